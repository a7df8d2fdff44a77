"""memtrace with few descriptors: it works, or says why not; the target lives, and is as it was."""
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
