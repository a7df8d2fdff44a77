"""Counts against an oracle in the process, and processes left as they were found."""
import pytest

import traced


@pytest.mark.parametrize("command", ["entries 3", "threads 4 300", "jumps 2", "children 1", "churn 3 4", "plugins /root/targets 3"], ids=lambda c: c.split()[0])
def test_counts(guest, command):
    output, _ = traced.launch_counted(guest, "/root/targets/" + command)
    traced.result_in(output)


def test_attach_and_detach(guest):
    """Eight threads in a storm, three memtraces one after the other."""
    with traced.Running(guest, "/root/targets/storm -t 8 -b") as storm:
        for _ in range(3):
            report = storm.attach(2)
            assert report["summary"]["allocs"] > 0
        traced.result_in(guest.run("echo >/tmp/in; echo >/tmp/in; until grep RESULT /tmp/out; do usleep 20000; done",
                                   timeout=60).output)


def test_attach_counts_exactly(guest):
    """What is allocated between READY and DONE, with memtrace attached before."""
    with traced.Running(guest, "/root/targets/threads 4 300") as target:
        start = (f"mkfifo /tmp/console; (sleep 100000 >/tmp/console & echo $! >/tmp/keeper); "
                 f"/root/memtrace {traced.ALONE} {traced.REPORT} -p {target.pid} </tmp/console >/tmp/words 2>&1 & echo $! >/tmp/tracer")
        guest.run("rm -f /tmp/console; " + start, check=True)
        guest.run("echo status >/tmp/console; until grep -q 'HEAP SUMMARY' /tmp/words; do usleep 20000; done",
                  timeout=60, check=True)
        target.send()
        target.await_output("DONE", 120)
        guest.run("echo quit >/tmp/console; kill $(cat /tmp/keeper); "
                  "while kill -0 $(cat /tmp/tracer); do usleep 20000; done", timeout=60)
        target.untouched()
        report = traced.read_report(guest)
        target.send()
        target.await_output("RESULT")
        result = traced.result_in(guest.run("cat /tmp/out").output)
        assert report["summary"]["allocs"] == result["allocs"]
        assert report["summary"]["frees"] == result["frees"]
        assert report["summary"]["allocated_bytes"] == result["allocated_bytes"]


def test_killed(guest):
    """memtrace is killed in the middle of its work, over and over: the storm goes on, and
    the next memtrace leaves it as its files say."""
    with traced.Running(guest, "/root/targets/storm -t 8 -b") as storm:
        for i in range(12):
            guest.run(f"sleep 30 | /root/memtrace -q --no-symbols -p {storm.pid} >/dev/null 2>&1 & usleep {150000 + 70000 * i}; "
                      f"kill -9 $(pidof memtrace | tr ' ' '\\n' | sort -n | head -1); true", timeout=60)
            assert guest.run(f"kill -0 {storm.pid}").status == 0, f"died after kill {i}"
        storm.attach(1)
