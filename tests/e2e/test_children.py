"""Children run free and unharmed; a new program begins new statistics."""
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

import memtrace
from test_entries import tally
from test_signals import state


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


def test_sharing_child_that_outlives_its_process(target, attach):
    """It has the process' memory: what is patched there is put back when the process ends."""
    memtrace.adopt_orphans()
    process = target("sharer", "outlives")
    tracer = attach(process.pid)
    tracer.status()
    process.go_on()
    child = int(process.wait_line(r"^ALONE (\d+)$").group(1))
    assert tracer.wait() == 0
    assert any("ended" in line or "exited" in line for line in tracer.err)
    memtrace.wait_until_untraced(child)
    memtrace.untouched(child)
    process.go_on()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_sharing_child_that_flees_from_the_end(target, attach):
    """The process ends, and before the child's memory is put back the child has another: that is no program of the
    process'."""
    memtrace.adopt_orphans()
    for _ in range(5):
        process = target("sharer", "flees")
        tracer = attach(process.pid, "--no-symbols")
        tracer.status()
        process.go_on()
        child = int(process.wait_line(r"^CHILD (\d+)$").group(1))
        assert tracer.wait() == 0
        assert not any("now runs" in line for line in tracer.err), tracer.err
        tracer.report().consistent()
        memtrace.wait_until_untraced(child)
        process.go_on()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("late", [(), ("late",)])
def test_sharing_child_behind_an_exec(target, attach, late):
    """What the process was is the child's alone then, and is put back; the new program is followed."""
    process = target("sharer", "execs", *late)
    tracer = attach(process.pid)
    tracer.status()
    process.go_on()
    child = int(process.wait_line(r"^ALONE (\d+)$").group(1))
    memtrace.wait_until_untraced(child)
    memtrace.untouched(child)
    while not tracer.status()["allocs"]:
        pass
    memtrace.untouched(child)
    tracer.detach().consistent()
    process.go_on()
    assert process.wait() == 0


def wait_until_put_back(child):
    memtrace.wait_until_untraced(child)
    end = time.monotonic() + memtrace.PATIENCE
    while memtrace.traces(child):
        assert time.monotonic() < end, "the child is not put back"
        time.sleep(0.01)


@pytest.mark.parametrize("leaves", ["outlives", "execs"])
def test_killed_when_a_sharing_child_is_left(target, attach, leaves):
    """The guardian, too, puts back what is the child's alone, whenever it is to: the process has
    ended, or it has another program."""
    memtrace.adopt_orphans()
    for turn in range(5):
        process = target("sharer", leaves, "late")
        tracer = attach(process.pid, "--no-symbols")
        tracer.status()
        process.go_on()
        child = int(process.wait_line(r"^ALONE (\d+)$").group(1))
        threading.Event().wait(0.0005 * turn)  # the moment is what varies
        tracer.process.kill()
        tracer.process.wait()
        wait_until_put_back(child)
        process.go_on()
        if leaves == "outlives":
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        else:
            assert process.wait() == 0


@pytest.mark.limit(120)
def test_forks_of_threads_that_an_exec_kills(target, attach):
    """A thread that is killed between its fork and our hearing of it says nothing of the
    child, which must run on all the same."""
    process = target("execs", "forks", "80")
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    end = time.monotonic() + memtrace.PATIENCE
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
    static int told[2];
    static void *forks(void *arg)
    {
        char byte;

        for (;; usleep(500)) {
            if (fork())
                continue;
            dprintf(1, "%d\n", getpid());
            _exit(write(told[1], "", 1) + read(0, &byte, 1));
        }
        return arg;
    }
    int main(int argc, char *argv[])
    {
        pthread_t thread;
        char byte;

        if (pipe(told))
            return 1;
        for (int i = 0; i < 4; i++)
            pthread_create(&thread, NULL, forks, NULL);
        for (int i = 0; i < 8; i++)
            if (read(told[0], &byte, 1) != 1)
                return 1;
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
                                *end], stdin=ours, stdout=out, timeout=memtrace.PATIENCE, check=True)
                out.seek(0)
                children = [int(line) for line in out]
            assert children
            for child in children:
                memtrace.untouched(child)
    finally:
        os.close(theirs)
        os.close(ours)


BREEDING = r"""
    #include <stdio.h>
    #include <stdlib.h>
    #include <unistd.h>
    int main(void)
    {
        char byte;

        printf("READY %d\n", getpid());
        fflush(stdout);
        for (;; usleep(3000)) {
            free(malloc(10));
            if (fork())
                continue;
            dprintf(1, "CHILD %d\n", getpid());
            if (fork() == 0)
                dprintf(1, "CHILD %d\n", getpid());
            _exit(read(0, &byte, 1));
        }
    }
    """


def breed_and_kill(tmp_path, started, kills, seed):
    """Children of the time between memtrace's death and the guardian's work, too, must be
    as if nobody had been there."""
    program, dice = tmp_path / "breeding", random.Random(seed)
    subprocess.run(["cc", "-o", program, "-xc", "-"], input=BREEDING, text=True, check=True)
    memtrace.adopt_orphans()
    for _ in range(kills):
        process = memtrace.Process([program])
        started.append(process)
        process.wait_line("^CHILD")  # (a busy machine may let it make none before it is stopped)
        tracer = memtrace.Process([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", os.devnull, "-p", process.pid])
        started.append(tracer)
        threading.Event().wait(dice.choice([0.03, 0.1]) * dice.random())  # the moment is what varies
        tracer.process.kill()
        tracer.process.wait()
        guardians = set(memtrace.children(os.getpid())) - {process.pid}
        while any(memtrace._read_proc(pid, "comm") == "memtrace-guard\n" and not os.waitpid(pid, os.WNOHANG)[0]
                  for pid in guardians if os.path.exists(f"/proc/{pid}")):
            time.sleep(0.001)
        process.process.send_signal(signal.SIGSTOP)
        while state(process.pid) != "T":
            time.sleep(0.001)
        children = [int(line.split()[1]) for line in list(process.out) if line.startswith("CHILD")]
        assert children
        for child in children:
            memtrace.wait_until_untraced(child)
            memtrace.untouched(child)
        process.end()
        memtrace.wait_for_guardians()  # and for its children


def test_forks_around_a_kill(tmp_path, started):
    breed_and_kill(tmp_path, started, 6, os.getpid())


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


def test_child_behind_a_wrapper(tmp_path, started):
    """A report on a wrapper says which child ran, and how to see it."""
    os.mkfifo(tmp_path / "fifo")
    wrapper = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-i", "sh", "-c", f"cat {tmp_path}/fifo {tmp_path}/fifo; true"],
                               stderr=subprocess.STDOUT)
    started.append(wrapper)
    (tmp_path / "fifo").open("w").close()  # once cat has opened it
    wrapper.send("wait 1500ms")  # children are looked for each second at least
    wrapper.send("status")
    wrapper.wait_line("HEAP SUMMARY")
    (tmp_path / "fifo").write_text("")
    assert wrapper.wait() == 0
    assert re.fullmatch(rf"Its child \d+ \(cat, [0-9.]+ KiB\) ran and was not watched: memtrace --follow=cat [.]{{3}}",
                        wrapper.out[-1]), wrapper.story()


def test_children_that_run_on(tmp_path, started):
    """All of them are counted, some named, the largest advised."""
    source, program = tmp_path / "prefork.c", tmp_path / "prefork"
    source.write_text("""
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            char byte;
            for (int i = 1; i <= 6; i++)
                if (!fork()) {
                    char *block = malloc(i * 1000000);
                    memset(block, 1, i * 1000000);
                    (void)!write(1, "one\\n", 4);
                    return read(0, &byte, 1);
                }
            return read(0, &byte, 1);
        }
        """)
    subprocess.run(["cc", "-o", program, source], check=True)
    server = memtrace.Process([program])
    started.append(server)
    for _ in range(6):
        server.wait_line("^one$")
    pids = memtrace.descendants(server.pid)
    tracer = subprocess.run([memtrace.MEMTRACE, "--no-symbols", "-b", "-p", str(server.pid)], capture_output=True,
                            text=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
    last = tracer.stderr.splitlines()[-1]
    told = re.fullmatch(r"Its children (.*) and 2 more run on and are not watched: memtrace -p (\d+)", last)
    assert told, tracer.stderr
    assert len(re.findall(r"\d+ \(prefork, \d+\.\d MiB\)", told[1])) == 4
    largest = max(pids, key=lambda pid: int(re.search(r"RssAnon:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]))
    assert int(told[2]) == largest
    tracer = subprocess.run([memtrace.MEMTRACE, "--no-symbols", "-b", "-p", "prefork"], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert tracer.returncode == 0 and "not watched" not in tracer.stderr  # all of them are
    assert set(re.findall(r"^Process (\d+) ", tracer.stdout, re.M)) == {str(pid) for pid in [server.pid, *pids]}


def test_process_by_its_name(tmp_path, started):
    """As it calls itself, or as its file is called."""
    shutil.copy(shutil.which("sh"), tmp_path / "file-of-a-long-name")
    process = memtrace.Process([tmp_path / "file-of-a-long-name", "-c",
                                "echo one-of-a-long-name >/proc/$$/comm; echo READY; read line"])
    started.append(process)
    process.wait_line("^READY$")
    for name, known in (("file-of-a-long-name", True), ("one-of-a-long-name", True), ("one-of-a-long-n", True),
                        ("one-of-a-long", False), ("file-of-a-long", False)):
        done = subprocess.run([memtrace.MEMTRACE, "--no-symbols", "-b", "-p", name], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert (f"Attached to pid {process.pid}\n" in done.stderr) == known, done.stderr
        assert known or done.stderr == f"memtrace: --pid: no process is called '{name}'\n"
