"""What may be patched: code that is whole, still there, and that nobody else leads into."""
import os
import re
import shutil
import subprocess
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
@pytest.mark.parametrize("kind", ["plain", "textrel", "covered", "short", "alike"])
def test_unusual_code(target, attach, kind):
    """Text relocations: the file is not what runs.  Functions of 8 to 14 bytes, one behind the other.  Bytes that are
    a jump only for who begins to read at a wrong place."""
    tally, report, said = bumped(target, attach, kind)
    assert report.counts() == tally, said
    assert "not followed" not in said


@hand_made
@pytest.mark.parametrize("engines", [("trap", "trap"), ("agent", "auto"), ("agent", "trap")], ids="-".join)
def test_what_relocations_wrote_under_a_patch(target, attach, engines):
    """Killed, guardian and all: what was under its patch is in no file, so the patch stays, and what it leads to: an
    agent, too.  Where its capture is gone on with, the log of the killed one says what was there."""
    if "agent" in engines and os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("there is no agent for this CPU")
    library = memtrace.TARGETS / "alloc_covered.so"
    process = target("bumped", "50", env={**os.environ, "LD_PRELOAD": str(library)})
    before = code_of(process.pid, library.name)
    tracer = attach(process.pid, "--no-symbols", f"--engine={engines[0]}")
    memtrace.kill_at_once(tracer)
    tracer = attach(process.pid, "--no-symbols", f"--engine={engines[1]}")
    process.go_on()
    process.done()
    tracer.detach(check=False)
    said = "Going on with a capture" if engines[1] == "auto" else r"not followed: malloc in \S+/alloc_covered.so: "
    assert re.search(said, "\n".join(tracer.err))
    if engines[1] == "auto":
        assert code_of(process.pid, library.name) == before
    process.go_on()
    process.result()


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


def rehooked(target, attach):
    """A program that has hooked malloc while memtrace watches it."""
    process = target("rehook")
    tracer = attach(process.pid, "--no-symbols")
    process.go_on()
    process.done()
    return process, tracer


def goes_on(process):
    """By the hook of its own, and when it has taken that away."""
    process.go_on()
    process.done()
    process.go_on()
    process.result()


on_x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="a hook in x86-64 code")


@on_x86_64
def test_a_hook_that_leads_into_ours(target, attach):
    """Its trampoline holds our jump: what that leads to must stay, and the report says so; also that nobody knows
    whether all calls still came to us (they did)."""
    process, tracer = rehooked(target, attach)
    report = tracer.detach(check=False)
    assert report["summary"]["allocs"] == 100
    assert [(missed["function"], missed["reason"]) for missed in report["not_followed"]] == [
        ("malloc", "another tool has written over memtrace's patch; its calls since then may be missing")]
    assert re.search(r"another tool has changed malloc in \S+ meanwhile: its patch stays", "\n".join(tracer.err))
    goes_on(process)


@on_x86_64
def test_a_hook_in_the_way_of_the_guardian(target, attach):
    process, tracer = rehooked(target, attach)
    memtrace.adopt_orphans()
    os.kill(tracer.pid, 9)
    tracer.wait()
    memtrace.wait_for_guardians()
    goes_on(process)


@on_x86_64
@pytest.mark.parametrize("detached", [True, False], ids=["detached", "killed"])
def test_a_hook_and_who_comes_next(target, attach, started, detached):
    """A successor, who finds stubs that no code of a file leads to, leaves them alone."""
    process, tracer = rehooked(target, attach)
    if detached:
        tracer.detach(check=False)
    else:
        memtrace.kill_at_once(tracer)
    for _ in range(2):
        comes_next = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-p", process.pid])
        started.append(comes_next)
        assert comes_next.wait() == 1
        assert "no allocator of pid" in "\n".join(comes_next.err)
    goes_on(process)


class Uprobes:
    """Kernel probes on functions of a file, as perf probe, bpftrace and bcc set them."""

    def __init__(self, tracefs, file):
        self.tracefs, self.file, self.group = tracefs, file, f"memtrace_{os.getpid()}"
        self.names = []

    def symbol(self, name):
        table = subprocess.run(["readelf", "-sW", "--dyn-syms", self.file], capture_output=True, text=True).stdout
        return next(line.split()[1] for line in table.splitlines()
                    if len(line.split()) > 7 and line.split()[7].split("@")[0] == name)

    def write(self, file, text):
        out = os.open(self.tracefs / file, os.O_WRONLY | os.O_APPEND)  # nothing that seeks
        try:
            os.write(out, text.encode())
        finally:
            os.close(out)

    def put(self, *names):
        for name in names:
            self.write("uprobe_events", f"p:{self.group}/{name} {self.file}:0x{self.symbol(name)}\n")
            self.names.append(name)
            self.write(f"events/{self.group}/{name}/enable", "1")

    def remove(self):
        for name in self.names:
            self.write(f"events/{self.group}/{name}/enable", "0")
            self.write("uprobe_events", f"-:{self.group}/{name}\n")
        self.names = []


@pytest.fixture
def uprobes(tmp_path):
    """uprobes(file), where the kernel and our rights have them."""
    tracefs = tmp_path / "tracefs"
    tracefs.mkdir()
    if subprocess.run(["mount", "-t", "tracefs", "none", tracefs], capture_output=True).returncode:
        pytest.skip("no tracefs to be had")
    made = []

    def make(file):
        made.append(Uprobes(tracefs, file))
        return made[-1]

    try:
        if not (tracefs / "uprobe_events").exists():
            pytest.skip("the kernel has no uprobes")
        yield make
    finally:
        for probes in made:
            probes.remove()
        subprocess.run(["umount", tracefs], check=True)


ORDERS = {"first": ("put", "attach", "detach", "remove"), "left before": ("put", "attach", "remove", "detach"),
          "within": ("attach", "put", "remove", "detach"), "outlives": ("attach", "put", "detach", "remove")}


@on_x86_64
@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_uprobes(target, attach, uprobes, tmp_path, order):
    """Probes on a libc that only the target uses, put and removed before us, with us, behind us: nobody is harmed,
    everything is counted."""
    names = ("malloc", "free", "calloc", "realloc", "posix_memalign")
    libc = tmp_path / "libc.so.6"
    with open("/proc/self/maps") as maps:
        shutil.copy(next(line.split()[-1] for line in maps if "libc.so.6" in line), libc)
    process = target("entries", "5", env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)})
    probes, tracer = uprobes(libc), None
    for step in order:
        if step == "put":
            probes.put(*names)
        elif step == "remove":
            probes.remove()
        elif step == "attach":
            tracer = attach(process.pid, "--no-symbols")
        if step in ("put", "attach") and tracer and probes.names:
            process.go_on()
            process.done()
        elif step == "detach":
            report = tracer.detach(check=not probes.names).consistent()
    assert "not followed" not in "\n".join(tracer.err)
    process.go_on()
    result = process.result()
    assert report.counts() == {name: result[name] for name in memtrace.Report.NAMES}


@hand_made
@pytest.mark.parametrize("kind, function, why", [
    ("branch", "malloc", r"the instruction at 0x\w+ leads to byte 2 of it, which a patch would cover"),
    ("table", "malloc", r"the address at 0x\w+ leads to byte 2"),
    ("switch", "malloc", r"the table at 0x\w+ leads to byte 2"),
    ("falls", "calloc", "another function begins 4 bytes behind it"),
    ("lands", "calloc", r"a symbol at 0x\w+ leads to byte 4")])
def test_ways_into_what_a_patch_would_cover(target, attach, kind, function, why):
    """Entries that jump into one another, fall through, or are known to a table: such a function can't be patched."""
    _, report, said = bumped(target, attach, kind)
    assert re.search(rf"not followed: {function} in \S+/alloc_{kind}.so: {why}", said), said
    assert f"without its {function} the allocator would be counted wrong" in said
    assert report.counts() == dict.fromkeys(memtrace.Report.NAMES, 0)
