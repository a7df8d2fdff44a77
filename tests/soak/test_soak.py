"""The long runs, of which `make check` has a sample: COUNT kills and cycles each.

COUNT is 1000, or what the environment says.  Every run ends with the target's own
verdict, a new memtrace that attaches to what was left, and the check for traces.
"""
import os
import signal

import pytest

import memtrace
import test_cycles
import test_kills

COUNT = int(os.environ.get("COUNT", "1000"))
PORTION = 50
HOUR = 3600


def portions():
    return range(max(1, COUNT // PORTION))


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
@pytest.mark.parametrize("storm", [("-t", "8", "-f"), ("-t", "8", "-b", "-S"), ("-t", "8", "-p", "-f", "-b")],
                         ids=" ".join)
def test_random_kills(target, attach, storm, guardian):
    """A signal of the program's own that memtrace has taken and not yet handed on when it
    is killed is lost: the kernel has it no more.  Counted, and bounded: seen 16 in 1000
    kills, with a signal every millisecond or two."""
    lost = 0
    for number in portions():
        process = target("storm", *storm)
        test_kills.random_kills(process, min(PORTION, COUNT), number, guardian)
        test_kills.clean_up(process, attach)
        test_kills.must_live(process)
        process.go_on()
        lost += process.result()["lost"]
    print(f"signals lost: {lost}")
    assert lost <= COUNT / 20 + 1


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
@pytest.mark.parametrize("name", [("threads", "3", "100"), ("storm", "-t", "4", "-p", "-b")],
                         ids=lambda name: name[0])
def test_every_step(target, attach, name, guardian):
    """Every step of attach, patching and detach, over and over: COUNT kills."""
    process = target(*name)
    made, _ = test_kills.steps_of(process, "all")
    for done in range(0, COUNT, made):
        test_kills.stepwise_kills(process, attach, range(min(made, COUNT - done)), guardian)
    print(f"steps: {made}")
    process.go_on()
    if name[0] == "threads":
        process.done()
        process.go_on()
    process.result()


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_every_step_with_a_thread_within(target, started, guardian):
    """The same where a thread stands in the middle of what is patched, a new one each time."""
    made, _ = test_kills.steps_of(target("within"), "all")
    for number in range(COUNT):
        process = target("within")
        test_kills.steps_of(process, str(number % made), *(["-g"] if guardian else []))
        test_kills.continue_and_end(process)
        started.pop().end()
    print(f"steps: {made}")
    test_kills.continue_and_end(started[0])


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("storm", [("-t", "8", "-x"), ("-t", "1", "-p", "-x")], ids=" ".join)
def test_break_instructions(target, started, storm):
    """Under a seccomp filter that forbids the trap memtrace says that a kill may be the end of
    the process: how often it is.  It dies of SIGTRAP then, or computes right."""
    died, count = 0, max(1, COUNT // 10)
    for number in range(count):
        process = target("storm", *storm)
        tracer = memtrace.Memtrace(process.pid, os.devnull, "--no-symbols").attached()
        tracer.process.kill()
        tracer.wait()
        assert any("break instructions are used" in line for line in tracer.err), tracer.story()
        memtrace.wait_for_guardians()
        try:
            process.go_on()
            process.result()
        except (memtrace.Failed, BrokenPipeError):
            assert process.wait() == -signal.SIGTRAP, process.story()
            died += 1
        for one in (tracer, started.pop()):
            one.end()
    print(f"died: {died} of {count}")


@pytest.mark.limit(HOUR)
def test_cycles_on_a_busy_process(target):
    process = target("storm", "-t", "8", "-b")
    test_cycles.cycle(process, COUNT)
    memtrace.untouched(process.pid)
    process.go_on()
    process.result()
