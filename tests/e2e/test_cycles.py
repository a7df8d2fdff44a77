"""Attached and let go, over and over: nothing adds up in the target."""
import subprocess

import pytest

import memtrace


def cycle(process, count):
    for _ in range(count):
        run = subprocess.run([memtrace.MEMTRACE, "-b", "-x", "status", "--no-symbols", "-q", "--format=json",
                              "-o", "/dev/null", "-p", str(process.pid)], capture_output=True, text=True,
                             timeout=60, stdin=subprocess.DEVNULL)
        assert run.returncode == 0, run.stderr
        assert "HEAP SUMMARY" in run.stdout
        assert process.alive(), process.story()


@pytest.mark.limit(90)
def test_on_a_busy_process(target):
    process = target("storm", "-t", "8", "-b")
    cycle(process, 25)
    memtrace.untouched(process.pid)
    process.go_on()
    process.result()


@pytest.mark.limit(90)
def test_nothing_stays_under_load(target):
    """A thread that allocates all the time is nearly always in a stub; it comes out, unless it is not let run."""
    process = target("storm", "-t", "1")
    stayed = 0
    for _ in range(10):
        cycle(process, 1)
        stayed += memtrace.slack_bytes(process.pid) > 0
    assert stayed < 10  # all 10 before there was a wait for it
    process.go_on()
    process.result()


@pytest.mark.limit(90)
def test_on_an_idle_process(target):
    process = target("threads", "5", "100")
    before = memtrace.fingerprint(process.pid)
    cycle(process, 25)
    memtrace.untouched(process.pid)
    assert memtrace.fingerprint(process.pid) == before
    process.go_on()
    process.done()
    process.go_on()
    process.result()
