"""Children run free and unharmed; a new program begins new statistics."""
import os
import subprocess
import time

import pytest

import memtrace
from test_entries import tally


def test_forks_and_spawns(follow):
    result, report = follow("children", "4")
    assert report.counts() == tally(result)


@pytest.mark.limit(90)
def test_forks_under_a_storm(target, attach):
    process = target("storm", "-t", "6", "-f", "-b", "-s")
    for _ in range(3):
        tracer = attach(process.pid)
        tracer.status()
        tracer.status()
        tracer.detach().consistent()
    process.go_on()
    result = process.result()
    assert result["children"] > 0 and result["signals"] > 0


def test_sharing_child_from_before(target, attach):
    """A child by clone(CLONE_VM) that is there when memtrace comes: it is followed, and
    stands still when the stubs go."""
    process = target("sharer")
    for _ in range(10):
        tracer = attach(process.pid)
        first = tracer.status()["allocs"]
        while tracer.status()["allocs"] < first + 100:
            pass
        report = tracer.detach().consistent()
        sums = report.through("sharer_alloc")
        assert sums["allocs"] == report["summary"]["allocs"]
    process.go_on()
    process.result()


def test_sharing_child_that_waits(target, attach):
    """Stops of ours do not show in its system calls either."""
    process = target("sharer", "waits")
    for _ in range(3):
        attach(process.pid).detach()
    process.go_on()
    process.result()


@pytest.mark.limit(120)
def test_forks_of_threads_that_an_exec_kills(target, attach):
    """A thread that is killed between its fork and our hearing of it says nothing of the
    child, which must run on all the same."""
    process = target("execs", "forks", "200")
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    end = time.monotonic() + 10
    while memtrace.children(process.pid):
        assert time.monotonic() < end, "a child does not go on"
        time.sleep(0.01)
    tracer.detach()
    process.go_on()
    process.result()


FORKING = r"""
    #include <pthread.h>
    #include <stdio.h>
    #include <unistd.h>
    static void *forks(void *arg)
    {
        char byte;

        for (;; usleep(500)) {
            if (fork())
                continue;
            dprintf(1, "%d\n", getpid());
            _exit(read(0, &byte, 1));
        }
        return arg;
    }
    int main(int argc, char *argv[])
    {
        pthread_t thread;

        for (int i = 0; i < 4; i++)
            pthread_create(&thread, NULL, forks, NULL);
        usleep(10000);
        if (argc > 1)
            execv(argv[1], argv + 1);
        _exit(0);
    }
    """


@pytest.mark.parametrize("end", [(), ("/bin/true",)], ids=["exit", "exec"])
def test_forks_at_the_end(tmp_path, end):
    """Threads fork while another ends the program: no child keeps the patches."""
    program, (ours, theirs) = tmp_path / "forking", os.pipe()
    subprocess.run(["cc", "-pthread", "-o", program, "-xc", "-"], input=FORKING, text=True, check=True)
    try:
        for _ in range(8):
            with (tmp_path / "out").open("w+") as out:
                subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", tmp_path / "report", program,
                                *end], stdin=ours, stdout=out, timeout=30, check=True)
                out.seek(0)
                children = [int(line) for line in out]
            assert children
            for child in children:
                memtrace.untouched(child)
    finally:
        os.close(theirs)
        os.close(ours)


@pytest.mark.parametrize("how", [(), ("thread",)], ids=["main thread", "another thread"])
def test_exec(follow, how):
    result, report = follow("execs", *how)
    sums = report.through("second_alloc")
    assert (sums["allocs"], sums["allocated_bytes"]) == (51, 2000) == (result["allocs"], result["allocated_bytes"])
    assert (sums["in_use_blocks"], sums["in_use_bytes"]) == (1, 500)
    assert report.through("first_alloc")["allocs"] == 0
    assert any(module["path"].endswith("/execs") for module in report["modules"])


def test_exec_of_another_file(tmp_path):
    """A shell that becomes another program: that one is reported."""
    program = memtrace.TARGETS / "entries"
    status, out, report = memtrace.launch(tmp_path / "report", ["/bin/sh", "-c", f"exec {program} 2"])
    assert status == 0
    result = memtrace.parse_result(out)
    sums = report.consistent().through("main")
    assert sums["allocs"] == result["allocs"]


def test_status_of_the_program_is_ours(tmp_path):
    for command, want in (("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -KILL $$", 137)):
        status, _, _ = memtrace.launch(tmp_path / "report", ["/bin/sh", "-c", command])
        assert status == want, command
