"""What may be patched: code that is whole, still there, and that nobody else leads into."""
import os
import re
import time

import pytest

import memtrace

hand_made = pytest.mark.skipif(not (memtrace.TARGETS / "alloc_plain.so").exists(), reason="x86-64 assembly")


def code_of(pid, name):
    """The bytes of all executable mappings of a file."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        code = b""
        for line in maps:
            if line.rstrip().endswith(name) and "x" in line.split()[1]:
                begin, end = (int(address, 16) for address in line.split()[0].split("-"))
                memory.seek(begin)
                code += memory.read(end - begin)
        return code


def bumped(target, attach, kind, *args):
    """(the target's own tally while we watched, the report, what memtrace said)"""
    library = memtrace.TARGETS / f"alloc_{kind}.so"
    process = target("bumped", "50", *args, env={**os.environ, "LD_PRELOAD": str(library)})
    before = code_of(process.pid, library.name)
    assert before
    tracer = attach(process.pid, "--no-symbols")
    process.go_on()
    process.done()
    report = tracer.detach(check=False).consistent()
    assert code_of(process.pid, library.name) == before
    process.go_on()
    result = process.result()
    return {name: result[name] // 2 for name in memtrace.Report.NAMES}, report, "\n".join(tracer.err)


@hand_made
@pytest.mark.parametrize("kind", ["plain", "textrel", "short"])
def test_unusual_code(target, attach, kind):
    """Text relocations: the file is not what runs.  Functions of 8 to 14 bytes, one behind the other."""
    tally, report, said = bumped(target, attach, kind)
    assert report.counts() == tally, said
    assert "not followed" not in said


@hand_made
def test_code_that_cannot_be_read(target, attach):
    tally, report, said = bumped(target, attach, "plain", "hide")
    assert report.counts() == tally, said


@hand_made
def test_unmapped_between_plan_and_patch(target, started, tmp_path):
    """What is planned is looked at again before it is written: here another file has come."""
    library = memtrace.TARGETS / "alloc_plain.so"
    shared = tmp_path / "shared"
    shared.write_bytes(os.urandom(64 << 10))
    process = target("gap", library, shared)
    env = {**os.environ, "LD_PRELOAD": str(memtrace.TARGETS / "gap_preload.so"), "GAP": str(tmp_path)}
    tracer = memtrace.Memtrace(process.pid, tmp_path / "report.json", "--no-symbols", env=env)
    started.append(tracer)
    end = time.monotonic() + memtrace.PATIENCE
    while not (tmp_path / "reached").exists():
        assert time.monotonic() < end, tracer.story()
        time.sleep(0.001)
    process.go_on()
    process.done()
    (tmp_path / "go").touch()
    tracer.attached()
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    result = process.result()
    assert report.counts() == {name: result[name] for name in memtrace.Report.NAMES}
