"""--follow=fork and all: children are followed from their birth, each with counts of its own, and live whatever happens to us."""
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time

import pytest

import memtrace
from test_several import Several, several  # noqa: F401

LIVE = memtrace.TARGETS / "live"
HEIRS = memtrace.TARGETS / "heirs"
NAMES = memtrace.Report.NAMES

memtrace.adopt_orphans()


def vdso(pid):
    """Its bytes: those of any other process."""
    for line in open(f"/proc/{pid}/maps", encoding="ascii"):
        if line.endswith("[vdso]\n"):
            begin, end = (int(word, 16) for word in line.split()[0].split("-"))
            with open(f"/proc/{pid}/mem", "rb") as mem:
                mem.seek(begin)
                return mem.read(end - begin)
    return b""


def untouched(pid):
    memtrace.untouched(pid)
    assert vdso(pid) == vdso("self")


def heirs(process):
    """What they say of themselves, by pid."""
    found = [json.loads(line[5:]) for line in process.out if line.startswith("HEIR ")]
    return {heir["pid"]: heir for heir in found}


def late(tracer):
    """Those whose memtrace did not come in time, on a machine that is very busy: their counts may lack what came before."""
    words = r"pid (\d+) (?:ran for a while before it was|ended before it could be)|no process with pid (\d+)"
    return {int(found[1] or found[2]) for found in (re.search(words, line) for line in tracer.out) if found}


def check(reports, process, known, count, tracer):
    """Each report against what its process says of itself; known: blocks that the first one was seen to allocate."""
    said, unsure = heirs(process), late(tracer)
    assert len(said) == 2 * count and unsure < set(said)
    for pid, heir in said.items():
        assert heir["verdict"] == "ok"
        if {pid, heir["parent"]} & unsure:
            continue
        report = reports[pid]
        assert report.counts() == {name: heir[name] for name in NAMES}
        assert report["summary"]["lost_events"] == 0
        inherited = report["inherited"]
        grandchild = heir["parent"] in said
        assert inherited["parent"] == heir["parent"]
        # The child's own blocks, and but two of what its parent had itself.
        before = known + (said[heir["parent"]]["allocs"] - said[heir["parent"]]["frees"] - 2 * bool(known) if grandchild else 0)
        assert inherited["blocks"] == before
        assert inherited["freed_blocks"] == (2 if known else 0)
        assert report["summary"]["frees_of_unknown"] == (0 if known else 2)


def ends_well(attach, process, guardians):
    """Nothing is left in it: by the guardian, or, if that was killed, too, by the next memtrace; and its numbers are right."""
    if guardians:
        attach(process.pid, "--no-symbols").detach(check=False)
        memtrace.untouched(process.pid)
    else:
        untouched(process.pid)
    process.go_on()
    process.result()


@pytest.mark.parametrize("engine", ["trap", "agent"])
def test_from_birth(started, several, engine):
    """Of a started program; the exit status is that of the program."""
    tracer = several(f"--engine={engine}", "--follow=fork", HEIRS, "3")
    tracer.wait_line("^READY")
    tracer.send()
    tracer.wait_line("^DONE")
    tracer.send()
    result = memtrace.parse_result([tracer.wait_line("^RESULT").string])
    reports = tracer.left()
    assert len(reports) == 7 or late(tracer)
    check(reports, tracer, 20, 3, tracer)
    parent = next(report for report in reports.values() if "inherited" not in report)
    assert parent.counts() == {name: result[name] for name in NAMES}


def test_from_an_attach(target, several):
    """The parent is let go with its children long ended."""
    process = target("heirs", "2")
    tracer = several("-p", process.pid, "--follow=fork").attached(1)
    process.go_on()
    process.done()
    tracer.send("quit")
    reports = tracer.left()
    check(reports, process, 20, 2, tracer)
    assert reports[process.pid]["summary"]["allocs"] == 20
    untouched(process.pid)
    process.go_on()
    process.result()


def test_programs(tmp_path, several):
    """all: what vfork and posix_spawn begin, as if it had been started alone; a fork child's exec."""
    status, out, alone = memtrace.launch(tmp_path / "alone", [LIVE, "100", "8"])
    assert status == 0
    tracer = several("--follow=all", "sh", "-c", f"{LIVE} 100 8 </dev/null; ({LIVE} 100 8 </dev/null; exit 0); exit 3")
    reports = tracer.left(3)
    mine = [report for report in reports.values() if report["command"] == [str(LIVE), "100", "8"]]
    assert [report.counts() for report in mine] == [alone.consistent().counts()] * 2
    assert any(report["command"][:2] == ["sh", "-c"] for report in reports.values())


def test_crowd(several):
    """Bounded: those for whom there is no room run on, and that is said."""
    tracer = several("--follow=fork", HEIRS, "crowd", "80")
    tracer.wait_line("^READY")
    tracer.send()
    tracer.wait_line("^CROWD$")
    while sum(", a child of " in line for line in tracer.out) < 64:
        tracer.wait_line(", a child of ")
    in_time = {int(pid) for pid in re.findall(r"to pid (\d+), a child of ", "\n".join(tracer.out))} - late(tracer)
    assert all(vdso(pid) == vdso("self") for pid in in_time)  # what they waited by is gone
    tracer.send()
    tracer.wait_line("^DONE")
    tracer.send()
    assert memtrace.parse_result([tracer.wait_line("^RESULT").string])["verdict"] == "ok"
    reports = tracer.left()
    assert len(reports) == 65
    assert sum(report["summary"]["frees_of_unknown"] for report in reports.values()) <= len(late(tracer))
    assert sum("64 children are followed at once" in line for line in tracer.out) == 1


@pytest.mark.parametrize("who", ["the first", "the parent's", "all", "all and the guardians"])
def test_killed(target, several, attach, who):
    """At any moment: parent and children live, and are as they were."""
    dice = random.Random(who)
    for _ in range(2):
        process = target("heirs", "storm", "60")
        tracer = several("-p", process.pid, "--follow=fork").attached(1)
        hand = memtrace.children(tracer.pid)[0]
        process.go_on()
        tracer.wait_line(rf"^\[\d+\] Attached to pid \d+, a child of {process.pid}$")
        time.sleep(dice.random() / 10)  # (any moment is right)
        if who == "the first":
            os.kill(tracer.pid, signal.SIGKILL)
        elif who == "the parent's":
            os.kill(hand, signal.SIGKILL)
        elif who == "all":
            hands = memtrace.children(tracer.pid)
            memtrace.signal_all([tracer.pid, *hands], signal.SIGSTOP)
            memtrace.signal_all([tracer.pid, *hands])
        else:
            memtrace.kill_at_once(tracer)
        process.done()
        if who == "the parent's":
            tracer.process.stdin.close()
        tracer.process.wait(memtrace.PATIENCE)
        memtrace.wait_for_guardians()
        memtrace.wait_for_guardians()
        ends_well(attach, process, who == "all and the guardians")


@pytest.mark.parametrize("guardians", [False, True])
def test_killed_with_living_children(target, several, attach, guardians):
    """Each is as it was, whether it was followed already or not."""
    process = target("heirs", "crowd", "12")
    tracer = several("-p", process.pid, "--follow=fork").attached(1)
    process.go_on()
    for _ in range(6):
        tracer.wait_line(", a child of ")
    hands = memtrace.children(tracer.pid)
    if guardians:
        memtrace.kill_at_once(tracer)
    else:
        memtrace.signal_all([tracer.pid, *hands], signal.SIGSTOP)
        memtrace.signal_all([tracer.pid, *hands])
        tracer.process.wait()
    memtrace.wait_for_guardians()
    memtrace.wait_for_guardians()
    process.wait_line("^CROWD$")
    children = memtrace.children(process.pid)
    assert len(children) == 12
    for pid in [process.pid, *children]:
        if guardians:
            attach(pid, "--no-symbols").detach(check=False)
            memtrace.untouched(pid)
        else:
            untouched(pid)
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def wait_for_state(pid, state):
    end = time.monotonic() + memtrace.PATIENCE
    while f"State:\t{state}" not in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii"):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("followed", [True, False])
def test_asleep_at_home(target, several, followed):
    """Its time was over, and it waits in the kernel for who knows how long: nobody waits for it."""
    process = target("heirs", "asleep", "1")
    # (an agent does not come where a stack seems to lead to stubs that its parent has)
    tracer = several("-p", process.pid, "--follow=fork", "--engine=trap").attached(1)
    hand = memtrace.children(tracer.pid)[0]
    os.kill(tracer.pid, signal.SIGSTOP)
    process.go_on()
    while not memtrace.children(process.pid):
        time.sleep(0.001)
    child = memtrace.children(process.pid)[0]
    wait_for_state(child, "D")
    if followed:
        os.kill(tracer.pid, signal.SIGCONT)
        tracer.wait_line(f"pid {child} ran for a while before it was followed")
        tracer.wait_line(f"Attached to pid {child}, a child of {process.pid}$")
        tracer.send("quit")
        assert set(tracer.left()) == {process.pid, child}
    else:  # its parent's memtrace ends first, and has what is left mended
        os.kill(hand, signal.SIGINT)
        wait_for_state(hand, "Z")
        memtrace.signal_all([tracer.pid])
        tracer.process.wait()
    memtrace.wait_until_untraced(child)
    memtrace.untouched(process.pid)
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def test_those_that_ended_are_not_waited_for(target, several):
    """What led to them is closed: it would be ready for ever, and its number taken."""
    process = target("heirs", "3")
    tracer = several("-p", process.pid, "--follow=fork").attached(1)

    def ways():
        return len(os.listdir(f"/proc/{tracer.pid}/fd"))

    before = ways()
    process.go_on()
    process.done()
    end = time.monotonic() + memtrace.PATIENCE
    while len(memtrace.children(tracer.pid)) > 1 or ways() != before:
        assert time.monotonic() < end, (before, ways())
        time.sleep(0.01)
    tracer.send("quit")
    assert process.pid in tracer.left()
    process.go_on()
    process.result()


def test_killed_before_they_are_followed(target, several):
    """They wait for a memtrace that never comes: the guardian has them go on, with nothing of ours left."""
    process = target("heirs", "crowd", "6")
    tracer = several("-p", process.pid, "--follow=fork").attached(1)
    os.kill(tracer.pid, signal.SIGSTOP)
    process.go_on()
    process.wait_line("^CROWD$")
    children = memtrace.children(process.pid)
    for pid in children:
        memtrace.wait_until_untraced(pid)
    assert len(children) == 6 and vdso(children[-1]) != vdso("self")
    memtrace.signal_all(memtrace.children(tracer.pid))
    memtrace.signal_all([tracer.pid])
    tracer.process.wait()
    memtrace.wait_for_guardians()
    memtrace.wait_for_guardians()
    for pid in [process.pid, *children]:
        untouched(pid)
    process.go_on()
    process.done()
    process.go_on()
    process.result()


KILL_AT = memtrace.BUILD / "tests" / "e2e" / "kill_at"


def killed_at(target, started, step, *how):
    """The process, with a storm of children followed by a memtrace that was killed at that step; and how many it made."""
    process = target("heirs", "storm", "5")
    tracer = memtrace.Process([KILL_AT, str(step), *how, "-f", memtrace.MEMTRACE, "--no-symbols", "-o", "/dev/null",
                               "--follow=fork", *memtrace.ENGINE_OPTIONS, "-p", str(process.pid)], stderr=subprocess.STDOUT)
    started.append(tracer)
    tracer.wait_line("Attached to pid|^STEPS")
    process.go_on()
    process.done()
    tracer.process.stdin.close()
    tracer.wait()
    memtrace.wait_for_guardians()
    return process, int(re.search(r"^STEPS (\d+) ", "\n".join(tracer.out), re.M)[1])


@pytest.mark.limit(180)
def test_killed_at_steps(target, started, attach):
    """Any memtrace of them, or all with their guardians, in front of what touches a process: parent and children live (their
    statuses say so), and the parent is as it was."""
    process, made = killed_at(target, started, "all")
    untouched(process.pid)
    process.go_on()
    process.result()
    assert made > 200
    dice = random.Random(made)
    for guardians in [], ["-g"]:
        for step in dice.sample(range(made * 2 // 3), int(os.environ.get("STEPS", "1"))):
            process, _ = killed_at(target, started, step, *guardians)
            ends_well(attach, process, guardians)
