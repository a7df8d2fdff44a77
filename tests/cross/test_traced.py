"""Counts against an oracle in the process, and processes left as they were found."""
import pytest

import traced


COMMANDS = ["entries 3", "threads 4 100", "jumps 2", "children 1", "churn 3 4", "plugins /root/targets 3",
            "signals plain 1", "signals own 1", "signals late 1", "kept wait"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command.split()[:2]).replace("/root/", ""))
def test_counts(guest, command):
    output, _ = traced.launch_counted(guest, "/root/targets/" + command)
    traced.result_in(output)


@pytest.mark.parametrize("command", ["env LD_PRELOAD=/root/targets/headed_preload.so HEADED=late /root/targets/threads 3 100",
                                     "/root/targets/interrupted jump 20"], ids=["late", "jump"])
def test_layers(guest, command):
    """Allocators that call one another, and handlers that interrupt them: only the outermost call counts."""
    assert traced.attach_and_count(guest, command, options=traced.ALONE)["summary"]["frees_of_unknown"] == 0


def test_attach_and_detach(guest):
    """Eight threads in a storm, three memtraces one after the other."""
    with traced.Running(guest, "/root/targets/storm -t 8 -b") as storm:
        for _ in range(3):
            assert storm.attach()["summary"]["allocs"] > 0
        traced.result_in(guest.run("echo >/tmp/in; echo >/tmp/in; until grep RESULT /tmp/out; do usleep 20000; done",
                                   timeout=60).output)


def test_attach_counts_exactly(guest):
    traced.attach_and_count(guest, "/root/targets/threads 4 300")


def test_killed(guest):
    """memtrace is killed in the middle of its work, over and over: the storm goes on, and
    the next memtrace leaves it as its files say."""
    with traced.Running(guest, "/root/targets/storm -t 8 -b") as storm:
        for i in range(12):
            guest.run(f"sleep 30 | /root/memtrace -q --no-symbols -p {storm.pid} >/dev/null 2>&1 & usleep {150000 + 70000 * i}; "
                      "kill -9 $!; while pidof memtrace; do usleep 20000; done", timeout=60)  # its guardian
            assert guest.run(f"kill -0 {storm.pid}").status == 0, f"died after kill {i}"
        storm.attach()


def test_killed_with_the_guardian(guest):
    """What both have left is cleared away by the next memtrace, under threads that run it."""
    with traced.Running(guest, "/root/targets/storm -t 8 -b") as storm:
        for _ in range(3):
            traced.forsake(guest, storm.pid)
            storm.attach()
        traced.result_in(guest.run("echo >/tmp/in; echo >/tmp/in; until grep RESULT /tmp/out; do usleep 20000; done",
                                   timeout=60).output)


def test_registers_that_a_function_leaves_alone(guest):
    """No convention makes a register or a flag free: malloc(), realloc(), free() of its own."""
    output, report = traced.launch(guest, "/root/targets/registers 30")
    result = traced.result_in(output)
    assert report.counts()["allocs"] == result["allocs"] + 20  # behind its result


def in_its_tail(guest, tailed):
    """Until its malloc waits in the kernel, its return address in the link register alone."""
    tailed.send()
    asleep = f"until grep -q ') D ' /proc/{tailed.pid}/stat; do usleep 20000; done"
    assert guest.run(asleep, timeout=60).status == 0, "it does not wait"


def test_left_with_the_return_address_in_a_register(guest):
    """A thread waits for its vfork child, and will return to the stub: that stays."""
    with traced.Running(guest, "/root/targets/tailed") as tailed:
        with traced.Attached(guest, tailed.pid, options=traced.ALONE):
            in_its_tail(guest, tailed)
        tailed.finish()


def test_killed_with_the_return_address_in_a_register(guest):
    """.. also if the next memtrace meets it so, and can't stop it: nobody knows its registers."""
    with traced.Running(guest, "/root/targets/tailed") as tailed:
        traced.forsake(guest, tailed.pid, before=lambda: in_its_tail(guest, tailed))
        with traced.Attached(guest, tailed.pid, options=traced.ALONE):
            pass
        tailed.finish()


def in_its_malloc(dozing):
    """Until its malloc waits, called by the stub."""
    dozing.send()
    dozing.await_output("DONE")


def test_killed_within_an_allocation(guest):
    """The next memtrace leaves the stub alone that a sleeping malloc returns to, which frame pointers lead past."""
    with traced.Running(guest, "/root/targets/dozing") as dozing:
        traced.forsake(guest, dozing.pid, before=lambda: in_its_malloc(dozing))
        with traced.Attached(guest, dozing.pid, options=traced.ALONE):
            pass
        dozing.send()
        dozing.await_output("RESULT")
        traced.result_in(guest.run("cat /tmp/out").output)
