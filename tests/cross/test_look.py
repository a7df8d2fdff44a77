"""A look for leaks: the process copies itself, and sees nothing of that."""
import json
import os

import pytest

import traced

LOOK = "--no-symbols -q --leaks --format=json -o /tmp/look.json"


def look(guest, pid):
    done = guest.run(f"rm -f /tmp/look.json; /root/memtrace {LOOK} -p {pid}", timeout=120)
    assert done.status == 0, done.output
    return json.loads(guest.read("/tmp/look.json"))["leaks"]


def ends_well(guest, process):
    assert guest.run(f"cat /proc/{process.pid}/task/*/children").output.strip() == ""
    process.send()
    process.await_output("RESULT")
    traced.result_in(guest.run("cat /tmp/out").output)


def test_nobody_notices(guest):
    """Neither its waits (by __WALL, too), masks, locks and signals, nor robust mutexes."""
    with traced.Running(guest, "/root/targets/unnoticed all no-ring") as process:
        for _ in range(2):
            assert look(guest, process.pid)["copied"]
        ends_well(guest, process)


def test_musl(guest):
    with traced.Running(guest, "/root/threads-musl 3 100") as process:
        found = look(guest, process.pid)
        assert [(a["name"], a["read"]) for a in found["allocators"]] == [("musl", True)]
        process.finish()


def test_killed(guest):
    """memtrace is killed, whatever it is at; another look finds it as it was."""
    with traced.Running(guest, "/root/targets/unnoticed no-ring") as process:
        for i in range(5):
            guest.run(f"/root/memtrace {LOOK} -p {process.pid} >/dev/null 2>&1 & usleep {50000 * (i + 1)}; kill -9 $!; "
                      "while pidof memtrace; do usleep 20000; done", timeout=60)  # its guardian
            assert guest.run(f"kill -0 {process.pid}").status == 0, f"died after kill {i}"
        assert look(guest, process.pid)["copied"]
        ends_well(guest, process)


@pytest.mark.skipif("KILLS" not in os.environ, reason="KILLS=all")
def test_killed_at_steps(guest):
    """.. or its guardian, too: what they leave is taken away."""
    with traced.Running(guest, "/root/targets/threads 2 100") as process:
        made = traced.kill_at(guest, process.pid, "all", LOOK)
        assert made > 30
        for step, both in traced.all_kills(made):
            traced.kill_at(guest, process.pid, step, LOOK, both)
            if both:
                assert look(guest, process.pid)["copied"], step
        assert guest.run(f"cat /proc/{process.pid}/task/*/children").output.strip() == ""
        process.finish()
