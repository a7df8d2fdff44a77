"""Signals arrive as they would have: each once, with its value, and no other."""
import os
import signal

import pytest

import memtrace
from test_entries import tally


@pytest.mark.parametrize("mode", ["plain", "own", "late"])
@pytest.mark.limit(90)
def test_every_signal(follow, mode):
    """`merged`: see signals.c; of 120 in mode late, sent to the one thread that traps with
    the same signal all the time, some percent are; seen: 0 to 6."""
    result, report = follow("signals", mode, "3")
    assert report.counts() == tally(result)
    assert result["merged"] <= 30


@pytest.mark.parametrize("where", ["altstack", "deep"])
def test_a_stub_below(target, attach, where):
    """We leave while it waits, in a handler on a stack of its own or far up; where it will
    return to lies a stub of ours."""
    process = target(where)
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    result = process.result()
    # the call that the program made has not returned: what one within it got is nobody's yet
    assert (report["summary"]["allocs"], report["summary"]["frees"]) == (0, 0)
    assert result["allocs"] == 1


def state(pid):
    return memtrace._read_proc(pid, "stat").rsplit(")", 1)[1].split()[0]


def test_group_stop(target, attach):
    """SIGSTOP stops a traced process, its parent hears of it, SIGCONT lets it go on."""
    process = target("storm", "-t", "4")
    tracer = attach(process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    first = tracer.status()
    second = tracer.status()
    assert first["allocs"] == second["allocs"]
    os.kill(process.pid, signal.SIGCONT)
    assert os.WIFCONTINUED(os.waitpid(process.pid, os.WCONTINUED)[1])
    while tracer.status()["allocs"] <= second["allocs"]:
        pass
    tracer.detach().consistent()
    process.go_on()
    process.result()


def test_attach_to_a_stopped_process(target, attach):
    """It stays stopped while we come and go."""
    process = target("storm", "-t", "4")
    os.kill(process.pid, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    tracer = attach(process.pid)
    tracer.detach(check=False)
    complaints = memtrace.traces(process.pid)
    assert complaints and all("is stopped: T (stopped)" in line for line in complaints), complaints
    os.kill(process.pid, signal.SIGCONT)
    assert os.WIFCONTINUED(os.waitpid(process.pid, os.WCONTINUED)[1])
    memtrace.untouched(process.pid)
    process.go_on()
    process.result()


def test_detach_while_stopped(target, attach):
    process = target("storm", "-t", "4")
    tracer = attach(process.pid)
    os.kill(process.pid, signal.SIGSTOP)
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    tracer.detach(check=False)
    complaints = memtrace.traces(process.pid)
    assert complaints and all("is stopped: T (stopped)" in line for line in complaints), complaints
    os.kill(process.pid, signal.SIGCONT)
    assert os.WIFCONTINUED(os.waitpid(process.pid, os.WCONTINUED)[1])
    process.go_on()
    process.result()


def test_no_call_is_interrupted(target, attach):
    """epoll_wait, semop, sigtimedwait, recv and 18 more: attach, report and detach are
    invisible to threads that wait in them."""
    process = target("eintr")
    before = memtrace.fingerprint(process.pid)[0].keys()
    for _ in range(10):
        tracer = attach(process.pid)
        tracer.send("report -n 3")
        tracer.status()
        tracer.detach().consistent()
    assert memtrace.fingerprint(process.pid)[0].keys() == before
    process.go_on()
    result = process.result()
    assert result["fewest"] > 0


@pytest.mark.parametrize("mode", ["mask", "cont"])
def test_what_ends_a_call(target, attach, mode):
    """A signal that only epoll_pwait() lets in ends it, each time; SIGCONT never does (by the trap: an attach with an agent
    takes seconds in such a storm, and while a process is traced another thread may take the signal, see ARCHITECTURE)."""
    process = target("wakeups", mode)
    for _ in range(30):
        attach(process.pid, *(["--engine=trap"] if mode == "cont" else [])).detach().consistent()
    process.go_on()
    result = process.result()
    assert result["sent"] >= 30
    assert (result["lost"], result["for_nothing"]) == (0, 0), result


@pytest.mark.parametrize("mode", ["wait", "read", "thread"])
def test_signals_that_are_waited_for(follow, mode):
    """By programs that block all signals; no trap takes them away.  `merged`: see kept.c."""
    result, report = follow("kept", mode)
    assert report.counts() == tally(result)
    assert result["sent"] == result["accepted"] + result["merged"] == 900
    assert result["merged"] <= (30 if mode == "thread" else 0)
