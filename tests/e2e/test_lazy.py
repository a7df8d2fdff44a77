"""A stack whose pages another thread of the program must bring (userfaultfd): that thread stands
with the others while memtrace looks who could return where. And one whose pages are in swap."""
import os
import random
import threading

import pytest

import memtrace

memtrace.adopt_orphans()

ALLOCS, FRAMES = 200, 21


@pytest.fixture
def lazy(target):
    """lazy(*options): the target, or a skip where userfaultfd is not for us."""
    def start(*options):
        process = memtrace.Target("lazy", *options)
        try:
            process.ready()
        except memtrace.Failed:
            if process.wait() == 77:
                pytest.skip("no userfaultfd here" if "-p" not in options else "nothing goes to swap")
            raise
        processes.append(process)
        return process
    processes = []
    yield start
    for process in processes:
        process.end()


def test_in_swap(swap, lazy, attach):
    """A stack is read where it is not in memory: to its end, and before stubs are wiped."""
    attach_and_detach(lazy, attach, "-p")
    stacks(lazy, attach, "-p")


def test_attach_and_detach(lazy, attach):
    """Nothing is read that would have to be brought; the server is asked while it runs."""
    attach_and_detach(lazy, attach)


def attach_and_detach(lazy, attach, *options):
    process = lazy(*options)
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert report["summary"]["allocs"] == process.result()["allocs"] == ALLOCS


def test_stacks(lazy, attach):
    """Each allocation of the thread finds the frames above taken away, and all are in its stack."""
    stacks(lazy, attach)


def stacks(lazy, attach, *options):
    process = lazy("-a", *options)
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    process.result()
    deep = [c for c in report["contexts"] if any(f["function"] == "descend" for f in c["stack"])]
    assert [c["allocs"] for c in deep] == [ALLOCS]
    assert sum(f["function"] == "descend" for f in deep[0]["stack"]) == FRAMES


@pytest.mark.limit(120)
def test_a_server_that_allocates(lazy, attach):
    """It waits for memtrace itself, at malloc, when memtrace wants a page of it."""
    process = lazy("-a", "-s")
    tracer = attach(process.pid)
    before = tracer.status()["allocs"]
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    result = process.result()
    assert report["summary"]["allocs"] > before
    # its own, while memtrace attached, were before counting began
    assert result["allocs"] - report["summary"]["allocs"] <= FRAMES * 6000 // 4096 + 8


@pytest.mark.limit(120)
def test_killed(lazy, attach):
    """At any moment: the guardian does not wait for a page, either."""
    process = lazy()
    dice = random.Random(7)
    for _ in range(10):
        tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "-o", os.devnull, "-p", process.pid])
        threading.Event().wait(0.03 * dice.random())
        tracer.process.kill()
        tracer.process.wait()
        memtrace.wait_for_guardians()
        memtrace.untouched(process.pid)
    attach(process.pid).detach().consistent()
    process.go_on()
    process.done()
    process.go_on()
    process.result()
