"""The agent in the process (--engine=agent), on CPUs that have one: the same as by the trap."""
import os

import pytest

import build
import traced

AGENT = "--engine=agent --no-symbols"
ATTACH = f"-q {AGENT} -b -x status --format=json -o /dev/null"
COUNTS = ("allocs", "frees", "in_use_blocks", "in_use_bytes", "allocated_bytes")


def having(*names, **own):
    """The cases of each CPU that has one: its own, or the same as others'."""
    return pytest.mark.of_cpu(lambda cpu: own.get(cpu, names) if cpu in build.AGENT_CPUS else [])


def contexts(report):
    """What each call stack has counted; a frame is a place in a module's file."""
    sums = {}
    for context in report["contexts"]:
        stack = tuple((frame.get("module"), frame.get("offset"), frame.get("guess")) for frame in context["stack"])
        key = stack, context["stack_end"]
        assert key not in sums
        sums[key] = {name: context[name] for name in COUNTS}
    return sums


def by(guest, engine, command):
    output, report = traced.launch(guest, command, options=f"--engine={engine} --no-symbols")
    assert report["engine"] == engine
    return output, report


# (A32 and T32, and both in one stack: the programs of armhf are T32, a32's call its C library.)
@having(arm64=("targets/entries 2", "targets/chain", "chain-pac", "chain-static", "chain-musl", "threads-musl-static 2 40"),
        armhf=("targets/entries 2", "targets/chain", "chain-a32", "chain-t32-static", "chain-t32-O0", "chain-musl",
               "threads-musl-static 2 40"),
        armel=("targets/entries 2", "targets/chain", "chain-a32-v5", "chain-a32-static", "chain-musl"))
def test_as_by_the_trap(guest, name):
    """Counts and stacks, frame by frame."""
    guest.run("echo 0 >/proc/sys/kernel/randomize_va_space", check=True)
    try:
        traps = by(guest, "trap", f"/root/{name}")[1]
        agents = by(guest, "agent", f"/root/{name}")[1]
    finally:
        guest.run("echo 2 >/proc/sys/kernel/randomize_va_space", check=True)
    assert contexts(traps) == contexts(agents)
    for count in ("allocs", "frees", "allocated_bytes", "freed_bytes", "frees_of_unknown", "lost_events"):
        assert traps["summary"][count] == agents["summary"][count], count


@having("targets/threads 2 4000", arm64=("targets/threads 2 4000", "entries-pac 30"),
        armhf=("targets/threads 2 4000", "entries-a32 30", "entries-t32 30"))
def test_few_calls_stop(guest, name):
    """What is learned from the first calls of a stack holds for all others, also where return addresses are signed."""
    output, report = by(guest, "agent", f"/root/{name}")
    result = traced.result_in(output)
    assert result["allocs"] <= report["summary"]["allocs"] <= result["allocs"] + 8  # .. of its start
    assert report["summary"]["frees"] == result["frees"]
    # (a third of the entries' calls are of functions that the agent leaves to the trap)
    assert 0 < report["stopped_calls"] < result["allocs"] / (2 if "entries" in name else 10)


@having("targets/chain", arm64=())
def test_is_to_be_asked_for(guest, name):
    """On 32 bits."""
    report = traced.launch(guest, f"/root/{name}", options="--engine=auto --no-symbols")[1]
    assert (report["engine"], report["engine_reason"]) == (
        "trap", "on this CPU there is one only where it is asked for (--engine=agent)")


@having("registers")
def test_registers_that_a_function_leaves_alone(guest, name):
    output, report = by(guest, "agent", f"/root/targets/{name} 2000")
    assert report.counts()["allocs"] == traced.result_in(output)["allocs"] + 20  # behind its result
    assert report["stopped_calls"] < report.counts()["allocs"]


def mappings(guest, pid):
    return guest.run(f"grep -v -e heap -e stack /proc/{pid}/maps", check=True).output


def ours(guest, pid):
    """The agent's memory, and its code, which has no name."""
    return guest.run(f"grep -e memtrace-agent -e 'r-xp 00000000 00:00 0 *$' /proc/{pid}/maps").output


def taken_out(guest, attached):
    """Where a call of the process took too long (a second), or a thread did not come out in time, that was said, and who comes next
    takes away what stays."""
    for _ in range(5):
        if not ours(guest, attached.pid):
            return
        assert any(" stays in pid" in line or " stay in pid" in line for line in attached.report.get("left_behind", []))
        with traced.Attached(guest, attached.pid, options=AGENT) as attached:
            pass
    assert not ours(guest, attached.pid)


@having("storm")
def test_nothing_stays(guest, name):
    """Of one that comes and goes while three threads allocate."""
    with traced.Running(guest, f"/root/targets/{name} -t 3 -b") as storm:
        with traced.Attached(guest, storm.pid, options=AGENT) as attached:
            attached.await_allocs()
            assert "memtrace-agent" in mappings(guest, storm.pid)
        assert attached.report["engine"] == "agent"
        taken_out(guest, attached)
        assert "memtrace-agent" not in guest.run(f"ls -l /proc/{storm.pid}/fd", check=True).output
        traced.result_in(guest.run("echo >/tmp/in; echo >/tmp/in; until grep RESULT /tmp/out; do usleep 20000; done",
                                   timeout=60).output)


@having("threads")
def test_killed(guest, name):
    """memtrace is killed on its way in, in the midst, with its guardian in the end; nothing stays."""
    with traced.Running(guest, f"/root/targets/{name} 2 100") as process:
        before = mappings(guest, process.pid)
        for i in range(4):
            guest.run(f"sleep 30 | /root/memtrace -q {AGENT} -p {process.pid} >/dev/null 2>&1 & usleep {200000 + 300000 * i}; "
                      "kill -9 $!; while pidof memtrace; do usleep 20000; done", timeout=60)  # its guardian
            process.untouched()
            assert mappings(guest, process.pid) == before, i
        traced.forsake(guest, process.pid, options=AGENT)
        assert "memtrace-agent" in mappings(guest, process.pid)
        with traced.Attached(guest, process.pid, options=AGENT) as attached:
            pass
        taken_out(guest, attached)
        assert mappings(guest, process.pid) == before
        process.finish()


def do(process, line):
    """Of the target `stays`."""
    process.guest.run(f"n=$(grep -c DONE /tmp/out); echo {line} >/tmp/in; "
                      "until [ $(grep -c DONE /tmp/out) -gt $n ]; do usleep 20000; done", timeout=60, check=True)


@having("stays", armel=())  # (not seen there)
def test_left_killed_and_taken_up(guest, name):
    """The capture goes on without memtrace, which has left, and then was killed; no count is lost."""
    alone = f"/root/memtrace -q -b -x status {AGENT} --format=json -o /dev/null"
    with traced.Running(guest, f"/root/targets/{name}") as process:
        before = mappings(guest, process.pid)
        with traced.Attached(guest, process.pid, options=f"--stay {AGENT}") as attached:
            do(process, "a 100")
        assert "memtrace-agent" in mappings(guest, process.pid)
        do(process, "a 100")
        traced.forsake(guest, process.pid, options=AGENT, before=lambda: do(process, "r 20"))
        do(process, "a 50")
        with traced.Attached(guest, process.pid, options=AGENT) as attached:
            do(process, "f 30")
            do(process, "a 10")
        of_100 = [c for c in attached.report["contexts"] if c["allocs"] and c["allocated_bytes"] == 100 * c["allocs"]]
        assert (sum(c["allocs"] for c in of_100), sum(c["frees"] for c in of_100)) == (260, 50)
        taken_out(guest, attached)
        assert mappings(guest, process.pid) == before
        guest.run(f"{alone} --stay -p {process.pid} </dev/null", timeout=60, check=True)
        assert "memtrace-agent" in mappings(guest, process.pid)
        guest.run(f"/root/memtrace --clear -b -p {process.pid} </dev/null", timeout=60, check=True)
        process.untouched()
        assert mappings(guest, process.pid) == before
        do(process, "a 1")
        process.guest.run("echo q >/tmp/in", check=True)
        process.await_output("RESULT")


@pytest.mark.skipif("KILLS" not in os.environ, reason="KILLS=all")
@having("threads")
def test_killed_at_steps(guest, name):
    with traced.Running(guest, f"/root/targets/{name} 2 100") as process:
        before = mappings(guest, process.pid)
        for step, both in traced.all_kills(traced.kill_at(guest, process.pid, "all", ATTACH)):
            traced.kill_at(guest, process.pid, step, ATTACH, both)
            if not both:
                process.untouched()
                assert mappings(guest, process.pid) == before, step
        with traced.Attached(guest, process.pid, options=AGENT):
            pass
        assert mappings(guest, process.pid) == before
        process.finish()
