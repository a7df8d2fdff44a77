"""Attached and let go, over and over: nothing adds up in the target."""
import os
import struct
import time
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


@pytest.mark.limit(120)
def test_behind_a_seccomp_filter(target):
    """With break instructions: no thread is let go that is still owed its SIGTRAP."""
    process = target("storm", "-t", "8", "-x")
    cycle(process, 40)
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


def wait_until_it_reads(pid):
    """It says so before."""
    end = time.monotonic() + memtrace.PATIENCE
    while not memtrace._read_proc(pid, "syscall").startswith("0 "):
        assert time.monotonic() < end, memtrace._read_proc(pid, "syscall")
        time.sleep(0.001)


def words_into_slack(pid):
    """Words of a waiting program's innermost frames that lead behind a module's code."""
    sp = int(memtrace._read_proc(pid, "syscall").split()[-2], 16)
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        slacks = [slack[:2] for _, slack in memtrace._segments(pid, mem.fileno()) if slack]
        words = struct.unpack("<64Q", os.pread(mem.fileno(), 512, sp))
    return [hex(word) for word in words if any(begin <= word < end for begin, end in slacks)]


def test_a_stale_word_is_no_return_address(target, attach):
    """Where a frame has a hole, words of earlier calls are left; nobody returns by them."""
    process = target("stale")
    tracer = attach(process.pid, "--no-symbols")
    process.go_on()
    process.done()
    wait_until_it_reads(process.pid)
    report = tracer.detach()
    if not words_into_slack(process.pid):
        pytest.skip("this libc left no such word")
    assert memtrace.slack_bytes(process.pid) == 0
    assert not any("stay" in line for line in tracer.err), tracer.story()
    assert "left_behind" not in report
    process.go_on()
    process.result()


def test_a_stack_that_nobody_is_on(target, attach):
    """A program that switches between stacks by itself, within a call of malloc: its stack lies in a
    frame of the one that is in use, and leads into stubs to which it will return."""
    process = target("preempted")
    tracer = attach(process.pid, "--no-symbols")
    process.go_on()
    process.done()
    report = tracer.detach()
    assert any("stubs stay" in line for line in tracer.err), tracer.story()
    assert ["stubs stay" in line for line in report["left_behind"]] == [True]
    process.go_on()
    process.result()
