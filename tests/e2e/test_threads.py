"""Threads: many, blocked, coming and going, the first one gone."""
import os
import signal

import pytest

import memtrace
from test_entries import tally


@pytest.mark.parametrize("count, each", [(2, 4000), (8, 1000), (100, 60)])
def test_freed_by_others(target, attach, count, each):
    process = target("threads", count, each)
    before = memtrace.fingerprint(process.pid)
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    assert memtrace.fingerprint(process.pid) == before
    process.go_on()
    assert report.counts() == tally(process.result())
    assert report["summary"]["in_use_bytes"] == count * 8 * 1000
    assert report["summary"]["in_use_blocks"] == count * 8


@pytest.mark.limit(90)
def test_a_thousand_threads(target, attach):
    process = target("threads", 1000, 4)
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert report.counts() == tally(process.result())


def test_come_and_go(follow):
    result, report = follow("churn", "30", "8")
    sums = report.through("churn_alloc")
    assert (sums["allocs"], sums["allocated_bytes"]) == (result["allocs"], result["allocated_bytes"])
    assert sums["in_use_blocks"] == result["allocs"] - result["frees"]
    assert report["summary"]["allocs"] >= result["allocs"]


def test_come_and_go_while_attaching(target, attach):
    """Attached and let go again in the middle of the coming and going."""
    process = target("churn", "3000", "8")
    process.go_on()
    for _ in range(3):
        attach(process.pid).detach().consistent()
    process.done()
    process.go_on()
    process.result()


def test_a_thread_ends_while_attaching(target, attach):
    """Between being listed and being looked at: no error."""
    process = target("threads", "4", "500")
    tid = max(int(tid) for tid in os.listdir(f"/proc/{process.pid}/task"))
    assert tid != process.pid
    env = dict(os.environ, LD_PRELOAD=str(memtrace.TARGETS / "dying_preload.so"), VANISHES=str(tid))
    tracer = attach(process.pid, env=env)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert report.counts() == tally(process.result())


def test_first_thread_gone(follow):
    result, report = follow("leader")
    sums = report.through("going_on")
    assert (sums["allocs"], sums["allocated_bytes"]) == (result["allocs"], result["allocated_bytes"])
    assert (sums["in_use_blocks"], sums["in_use_bytes"]) == (1, 4321)


def test_attach_after_the_first_thread_is_gone(target, attach, tmp_path):
    process = target("leader")
    process.go_on()
    process.done()
    attach(process.pid).detach()
    process.go_on()
    process.result()


def test_the_end_without_a_first_thread(target, attach):
    """Nobody is told of the end of a first thread that had ended before the attach."""
    process = target("leader")
    process.go_on()
    process.done()
    tracer = attach(process.pid)
    process.go_on()
    process.result()
    assert tracer.wait() == 0
    assert tracer.report()["summary"]["lost_events"] == 0


def test_threads_are_listed(target, attach):
    process = target("threads", 4, 100)
    tracer = attach(process.pid)
    tracer.send("threads")
    tracer.status()
    text = "\n".join(tracer.out)
    for tid in os.listdir(f"/proc/{process.pid}/task"):
        assert tid in text
    tracer.detach()
    process.go_on()
    process.done()
    process.go_on()
    process.result()


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_target_dies_meanwhile(target, attach, signo):
    """It dies as it would have, and the report is whole."""
    process = target("storm", "-t", "8", "-b")
    tracer = attach(process.pid)
    while not tracer.status()["allocs"]:
        assert process.alive(), process.story()
    os.kill(process.pid, signo)
    assert process.wait() == -signo
    tracer.wait()
    report = tracer.report().consistent()
    assert report["summary"]["allocs"] > 0
