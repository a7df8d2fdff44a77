"""A picture of a process (--leaks): it sees nothing of that, whatever it does and whenever we are
killed."""
import os
import re
import signal
import subprocess

import pytest

import memtrace
from test_kills import KILL_AT, must_live

LOOK = ["--no-symbols", "-q", "--leaks", "--format=json", "-o", "/dev/null"]

memtrace.adopt_orphans()


def look(pid, *options):
    run = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "--leaks", *options, "-p", pid])
    assert run.wait() == 0, run.story()
    return run


def test_nobody_notices(target):
    process = target("unnoticed", "all")
    before = memtrace.fingerprint(process.pid)
    for _ in range(30):
        look(process.pid, *LOOK)
    assert memtrace.children(process.pid) == []
    after = memtrace.fingerprint(process.pid)
    assert (after[1], len(after[0])) == (before[1], len(before[0]))
    process.go_on()
    result = process.result()
    assert min(result[what] for what in ("waits", "masks", "locks", "signals", "locked")) > 0


def steps_of(pid, *options):
    run = subprocess.run([KILL_AT, *options, memtrace.MEMTRACE, *LOOK, "-p", str(pid)],
                         capture_output=True, text=True, timeout=60)
    match = re.search(r"^STEPS (\d+) (\w+)$", run.stdout, re.M)
    assert match, run
    return int(match[1]), match[2]


@pytest.mark.limit(180)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_killed_at_each_step(target, guardian):
    """A quiet process, so that every step is one of attach, picture and detach."""
    process = target("threads", "2", "100")
    before = memtrace.fingerprint(process.pid)
    made, end = steps_of(process.pid, "all")
    assert end == "ended" and made > 30
    for step in range(made):
        steps_of(process.pid, str(step), *(["-g"] if guardian else []))
        must_live(process)
        assert memtrace.children(process.pid) == [], step
        if not guardian:
            memtrace.wait_until_untraced(process.pid)
            memtrace.untouched(process.pid)
            assert memtrace.fingerprint(process.pid) == before, step
    look(process.pid, *LOOK)
    assert memtrace.fingerprint(process.pid) == before
    process.go_on()
    process.done()
    process.go_on()
    process.result()


@pytest.mark.limit(120)
def test_killed_while_it_is_busy(target):
    """(Who waits with __WALL may find our helper, where we are killed just then: ARCHITECTURE.md.)"""
    process = target("unnoticed")
    made, end = steps_of(process.pid, "all")
    assert end == "ended"
    for step in range(0, made, max(1, made // 40)):
        steps_of(process.pid, str(step))
        must_live(process)
    process.go_on()
    process.result()
