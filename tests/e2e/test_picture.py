"""A picture of a process (--leaks): it sees nothing of that, whatever it does and whenever we are
killed."""
import json
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


def seen(pid, tmp_path):
    """What JSON says of a look."""
    output = tmp_path / f"look-{pid}.json"
    look(pid, "-q", "--format=json", "-o", output)
    return json.loads(output.read_text())["leaks"]


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


def left_in_vdso(pid):
    """Is anything behind the end of its vdso, where the code of a copy is?"""
    with open(f"/proc/{pid}/maps") as maps:
        end, = (int(line.split()[0].split("-")[1], 16) for line in maps if line.endswith("[vdso]\n"))
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(end - 256)
        return memory.read(256) != bytes(256)


@pytest.mark.limit(180)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_killed_at_each_step(target, guardian, tmp_path):
    """A quiet process, so that every step is one of attach, picture and detach."""
    process = target("threads", "2", "100")
    before = memtrace.fingerprint(process.pid)
    made, end = steps_of(process.pid, "all")
    assert end == "ended" and made > 30
    left = 0
    for step in range(made):
        steps_of(process.pid, str(step), *(["-g"] if guardian else []))
        must_live(process)
        memtrace.wait_until_childless(process.pid)
        if not guardian:
            memtrace.wait_until_untraced(process.pid)
            memtrace.untouched(process.pid)
            assert memtrace.fingerprint(process.pid) == before, step
            assert not left_in_vdso(process.pid), step
        elif left_in_vdso(process.pid):  # where nobody runs it; the next look takes it away
            left += 1
            assert seen(process.pid, tmp_path)["copied"], step
            assert not left_in_vdso(process.pid), step
    assert (left > 0) == guardian
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


# ---- what a copy meets ---------------------------------------------------------------

def ended_well(process):
    assert memtrace.children(process.pid) == []
    process.go_on()
    result = process.result()
    assert process.wait() == 0
    return result


@pytest.mark.parametrize("action, call", [("errno", "clone"), ("kill", "clone"), ("trap", "clone"),
                                          ("kill", "close_range"), ("kill", "waitid"), ("allow", "clone")])
def test_behind_a_seccomp_filter(target, tmp_path, action, call):
    """A call that is forbidden, be it the helper's or the copy's, is never made: the process
    stands while it is looked at."""
    process = target("gated", action, call)
    found = seen(process.pid, tmp_path)
    assert found["copied"] == (action == "allow")
    assert found["held"]["bytes"] >= 777
    ended_well(process)


def test_of_who_brings_pages(tmp_path, started):
    """By userfaultfd(2)."""
    process = memtrace.Target("lazy")
    started.append(process)
    try:
        process.ready()
    except memtrace.Failed:
        if process.wait() == 77:
            pytest.skip("no userfaultfd here")
        raise
    found = seen(process.pid, tmp_path)
    assert found["copied"] is False
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def test_first_of_its_namespace(started, tmp_path):
    """What it adopts would be seen: a copy would be its child."""
    outer = memtrace.Target("gated", "allow", "clone", command=("unshare", "--pid", "--fork", "--kill-child"))
    started.append(outer)
    outer.ready()
    [inner] = memtrace.children(outer.pid)
    found = seen(inner, tmp_path)
    assert found["copied"] is False
    assert found["held"]["bytes"] >= 777
    assert memtrace.children(inner) == []
    outer.go_on()
    outer.result()
    assert outer.wait() == 0


def test_while_children_are_born(target, tmp_path):
    """fork, vfork, posix_spawn, clone: the process waits for each, and each ends as it should."""
    process = target("children", "60")
    process.go_on()
    copied = [seen(process.pid, tmp_path)["copied"] for _ in range(8)]
    assert any(copied)
    process.done()
    process.go_on()
    process.result()
    assert process.wait() == 0


def test_while_a_vfork_child_runs(target, tmp_path):
    """Its parent waits in the kernel, and has no thread that could copy it."""
    process = target("children", "stay")
    process.go_on()
    child = int(process.wait_line(r"^CHILD (\d+)$").group(1))
    process.go_on()
    for _ in range(3):
        found = seen(process.pid, tmp_path)
        assert [(a["name"], a["read"]) for a in found["allocators"]] == [("glibc", True)]
    # (the list of a process' children may leave one out while others end: its own word is asked)
    with open(f"/proc/{child}/status", encoding="ascii") as status:
        assert f"PPid:\t{process.pid}\n" in status.read()
    process.done()
    process.go_on()
    process.result()
    assert process.wait() == 0
