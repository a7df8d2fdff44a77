"""memtrace with few descriptors: it works, or says why not; the target lives, and is as it was."""
import os
import pathlib
import shutil

import pytest

import memtrace

ENOUGH = 40


@pytest.mark.limit(240)
def test_few_descriptors(started, target, tmp_path):
    """The target dies of a soft trap: what can't be read of its filter may not count as none."""
    refused = []
    for limit in range(4, ENOUGH):
        process = target("sandboxed", "kill")
        tracer = memtrace.Memtrace(process.pid, tmp_path / f"report{limit}", "--no-symbols",
                                   command=["prlimit", f"--nofile={limit}"])
        started.append(tracer)
        try:
            tracer.attached()
        except (memtrace.Failed, BrokenPipeError):
            assert tracer.wait() == 1, tracer.story()
            assert "Too many open files" in "\n".join(tracer.err), tracer.story()
            memtrace.untouched(process.pid)
            refused.append(limit)
        process.go_on()
        process.done()
        if limit not in refused:
            tracer.send("quit")
            if tracer.wait():  # (the report's file)
                assert "Too many open files" in "\n".join(tracer.err), tracer.story()
            memtrace.untouched(process.pid)
        process.go_on()
        process.result()
    assert 4 in refused and ENOUGH - 1 not in refused


@pytest.mark.limit(240)
def test_more_libraries_than_descriptors(started, target, attach, tmp_path):
    """All are known, and the last of them is in the stacks."""
    count = 400
    for i in range(count):
        shutil.copy(memtrace.TARGETS / "plugin_a.so", tmp_path / f"lib{i}.so")
    process = target("distant", *(tmp_path / f"lib{i}.so" for i in range(count)))
    tracer = attach(process.pid, "--no-symbols", command=["prlimit", "--nofile=256"])
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    process.result()
    assert sum("/lib" in module["path"] and ".so" in module["path"] and str(tmp_path) in module["path"]
               for module in report["modules"]) == count
    last = str(tmp_path / f"lib{count - 1}.so")
    assert sum(context["allocs"] for context in report["contexts"]
               if any(frame["module"] == last for frame in context["stack"])) == 50
    assert not [line for line in tracer.err if "Too many" in line]


def test_file_size_limit(started, tmp_path):
    """A report that may not be that long goes to stderr, and the program's signals are its own."""
    output = tmp_path / "report"
    program = ["grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"]
    alone = memtrace.Process(program)
    started.append(alone)
    assert alone.wait() == 0 and len(alone.out) == 2
    run = memtrace.Process(["prlimit", "--fsize=1000", memtrace.MEMTRACE, "--format=json", "-n", "0", "-o", output,
                            *program])
    started.append(run)
    assert run.wait() == 1
    text = "\n".join(run.err)
    assert "File too large" in text and '"summary"' in text
    assert run.out == alone.out


FREEZERS = [("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"),
            ("/sys/fs/cgroup", "cgroup.freeze", "1", "0"),
            ("/sys/fs/cgroup/unified", "cgroup.freeze", "1", "0")]


@pytest.mark.parametrize("root, name, freeze, thaw", FREEZERS, ids=["v1", "v2", "hybrid"])
def test_frozen_cgroup(target, started, tmp_path, root, name, freeze, thaw):
    """It is said that it is frozen, and by which group above; and it is let go in peace."""
    above = pathlib.Path(root) / f"memtrace-test-{os.getpid()}"
    if os.geteuid() or not pathlib.Path(root, "cgroup.procs").exists():
        pytest.skip(f"no groups below {root}, or not for us")
    (above / "below").mkdir(parents=True)
    try:
        if not (above / name).exists():
            pytest.skip(f"{root} has no {name}")
        process = target("storm", "-t", "2", "-b", "-p")
        (above / "below" / "cgroup.procs").write_text(str(process.pid))
        (above / name).write_text(freeze)
        run = memtrace.Process([memtrace.MEMTRACE, "-d", "200ms", "--no-symbols", "-p", process.pid], stdin=None)
        started.append(run)
        assert run.wait() == 0, run.story()
        assert any("is frozen with its cgroup" in line and f"echo {thaw} > {above / name}" in line for line in run.err)
        (above / name).write_text(thaw)
        memtrace.untouched(process.pid)
        process.go_on()
        process.result()
    finally:
        for group in (above / "below", above):
            if (group / name).exists():
                (group / name).write_text(thaw)
            for pid in (group / "cgroup.procs").read_text().split():
                pathlib.Path(root, "cgroup.procs").write_text(pid)
            group.rmdir()
