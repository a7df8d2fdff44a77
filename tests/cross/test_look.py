"""A look for leaks: the process copies itself, and sees nothing of that."""
import json
import os

import pytest

import traced
from serving import free_port, serving

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


LISTS = {"glibc": "/root/stripped/heap_list", "musl": "/root/stripped/heap_list-musl",
         "jemalloc": "LD_PRELOAD=$(echo /usr/lib/*/libjemalloc.so.2) /root/stripped/heap_list"}
# What a look says of the program's list of blocks, compared there, as the line to it is slow: "+": lost and not in
# the list, "-": in it and not found.
COMPARE = (r"""grep -E '^(lost|through)' /tmp/out | sed 's/ / 0x/; s/ [0-9]*$//' | sort >/tmp/told; """
           r"""sed -n 's/.*"address": "\(0x[0-9a-f]*\)".*"class": "lost\([a-z_]*\)".*/lost\2 \1/p' /tmp/look.json | """
           r"""sed 's/^lost_//' | sort >/tmp/found; wc -l </tmp/told; diff /tmp/told /tmp/found | grep '^[+-][a-z]'""")


def assert_same(guest):
    count, *others = guest.run(COMPARE, timeout=60).output.split("\n")
    assert int(count) == 2000 and not [line for line in others if line.strip()], others


@pytest.mark.of_cpu(lambda cpu: list(LISTS) if cpu in ("armhf", "arm64") else ["glibc", "musl"] if cpu == "mipsel" else [])
def test_list(guest, name):
    """A stripped program that knows which of its blocks are lost, and which only lost ones lead to."""
    with traced.Running(guest, LISTS[name]) as process:
        process.await_output("^end")
        done = guest.run(f"rm -f /tmp/look.json; /root/memtrace {LOOK} -n 0 -p {process.pid}; "
                         "grep -o '.name.*true' /tmp/look.json", timeout=120)
        assert f'"name": "{name}", "read": true' in done.output, done.output
        assert_same(guest)


@pytest.mark.of_cpu(lambda cpu: ["glibc"] if cpu == "armhf" else [])
def test_by_another_machine(guest, name, tmp_path):
    """Over the guest's network, where 64 KB are too little for a look: the same is found."""
    port = free_port()
    with traced.Running(guest, LISTS[name]) as process, \
            serving([tmp_path], "--no-announce", f"--listen=127.0.0.1:{port}"):
        process.await_output("^end")
        done = guest.run("rm -f /tmp/look.json; /root/memtrace --leaks --format=json -n 0 -o /tmp/look.json "
                         f"-c 10.0.2.2:{port} --memory=64K -p {process.pid}", timeout=120)
        assert "memtrace-fs looks in place of this machine" in done.output, done.output
        assert_same(guest)


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
