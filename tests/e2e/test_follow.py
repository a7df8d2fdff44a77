"""--follow: the program behind a wrapper is followed from its first instruction, and the wrapper is let go as it was."""
import os
import random
import re
import shutil
import subprocess

import pytest

import memtrace

KILL_AT = memtrace.BUILD / "tests" / "e2e" / "kill_at"
LIVE = memtrace.TARGETS / "live"

memtrace.adopt_orphans()

WRAPPERS = {
    "fork": ["timeout", "60", LIVE, "100", "8"],
    "vfork": ["sh", "-c", f"{LIVE} 100 8; exit 0"],
    "an exec of its own": ["env", "sh", "-c", f"{LIVE} 100 8; exit 0"],
    "the wrapper becomes it": ["env", LIVE, "100", "8"],
    "no wrapper": [LIVE, "100", "8"],
    # (it has been reaped when it begins)
    "ended before it": ["sh", "-c", f"P=$$; (while kill -0 $P 2>/dev/null; do sleep 0.02; done; {LIVE} 100 8; true) & exit 0"],
}


def direct(tmp_path):
    """What memtrace says of the program alone."""
    status, out, report = memtrace.launch(tmp_path / "direct", [LIVE, "100", "8"])
    assert status == 0
    return memtrace.parse_result(out), report.consistent()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_behind_a_wrapper(tmp_path, wrapper):
    """As if it had been started alone, from its first instruction on."""
    tally, alone = direct(tmp_path)
    status, out, report = memtrace.launch(tmp_path / "report", WRAPPERS[wrapper], "--follow=other,live", stderr=subprocess.PIPE)
    assert status == 0 and memtrace.parse_result(out) == tally
    assert report.consistent().counts() == alone.counts()
    assert report["command"] == [str(LIVE), "100", "8"]


def test_the_first_program(tmp_path):
    """With exec it is the first one that another process begins; the exit status is the wrapper's."""
    tally, alone = direct(tmp_path)
    script = f"{LIVE} 100 8; sh -c 'exit 5'; exit 3"
    status, out, report = memtrace.launch(tmp_path / "report", ["sh", "-c", script], "--follow=exec")
    assert status == 3 and memtrace.parse_result(out) == tally
    assert report.consistent().counts() == alone.counts()


def test_it_is_followed_to_its_end(tmp_path):
    """Once it has begun by an exec of the wrapper's own, another one of its name is its child as any."""
    shutil.copy(os.path.realpath("/bin/sh"), tmp_path / "outer")
    status, _, report = memtrace.launch(tmp_path / "report", ["env", tmp_path / "outer", "-c", f"{tmp_path}/outer -c 'exit 5'; exit 3"],
                                        "--follow=outer")
    assert status == 3 and report["command"][2].endswith("exit 3")


def test_one_among_many(tmp_path):
    """Others run before it, beside it, and around it: from subshells, in pipes, killed, and without an end."""
    tally, alone = direct(tmp_path)
    script = (f"ls / >/dev/null; true | cat; sh -c 'kill -9 $$'; (sleep 1000 >/dev/null 2>&1 & echo $! >{tmp_path}/pid);"
              f" (sh -c '(sh -c \"{LIVE} 100 8\"; true) | cat'); exit 7")
    status, out, report = memtrace.launch(tmp_path / "report", ["sh", "-c", script], "--follow=live", stderr=subprocess.DEVNULL)
    sleeper = int((tmp_path / "pid").read_text())
    try:
        memtrace.wait_until_untraced(sleeper)
    finally:
        os.kill(sleeper, 9)
    assert status == 7 and memtrace.parse_result(out) == tally
    assert report.consistent().counts() == alone.counts()


def test_none(tmp_path):
    """The program that is wanted never begins: the wrapper is what was followed."""
    status, _, report = memtrace.launch(tmp_path / "report", ["sh", "-c", "ls / >/dev/null; exit 4"], "--follow=nothing")
    assert status == 4 and report.consistent()["command"][0] == "sh"
    done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", "/dev/null", "--follow=nothing", "true"],
                          capture_output=True, text=True)
    words = "memtrace: --follow=nothing: no such program began; the report is on {}\n"
    assert done.stderr == words.format("true")
    # What the wrapper has left ends without it.
    done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", "/dev/null", "--follow=nothing", "sh", "-c",
                           "(ls /; sh -c true) >/dev/null & exit 6"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (6, words.format("sh"))
    for line, warns in (["--follow=true", "true"], False), (["--follow=env", "env", "true"], False):
        done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", "/dev/null", *line], capture_output=True, text=True)
        assert bool(done.stderr) == warns, done.stderr


def test_wrapper_is_left_as_it_was(tmp_path, started):
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "--format=json", "-o", tmp_path / "report",
                               "--follow=live", "sh", "-c", f"({LIVE} 100 8; true); read line; echo END $line"])
    started.append(tracer)
    pid = int(tracer.wait_line(r"^READY (\d+)$")[1])
    wrapper = next(child for child in memtrace.children(tracer.pid) if pid in memtrace.descendants(child))
    memtrace.wait_until_untraced(wrapper)
    memtrace.untouched(wrapper)
    for child in memtrace.descendants(wrapper)[:-1]:  # the subshell: it is let go when it stops next (runners.h)
        assert [what for what in memtrace.traces(child) if "has tracer" not in what] == []
    for answer in "DONE", "RESULT":
        tracer.send("on")
        tracer.wait_line(f"^{answer}")
    tracer.send("here")
    tracer.wait_line("^END here$")
    assert tracer.wait() == 0


SCRIPT = f"echo BEGIN; ls / >/dev/null; ({LIVE} 100 8; true); echo END"
ARGUMENTS = ["--no-symbols", "-q", "-o", "/dev/null", "--follow=live", "sh", "-c", SCRIPT]


def runs_to_its_end(out):
    """It was never begun, or everything of it has run."""
    lines = [line for line in out.splitlines() if not line.startswith("STEPS")]
    assert not lines or (memtrace.parse_result(lines)["allocs"] == 100 and lines[-1] == "END"), out


def test_killed_at_steps():
    """By SIGKILL, in front of what touches a process: the wrapper, the others and the program run to their ends."""
    run = subprocess.run([KILL_AT, "all", memtrace.MEMTRACE, *ARGUMENTS], capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, timeout=60, check=False)
    made = int(re.search(r"^STEPS (\d+) ended$", run.stdout, re.M)[1])
    assert made > 50
    runs_to_its_end(run.stdout)
    dice = random.Random(made)
    for step in dice.sample(range(1, made + 1), 10):
        run = subprocess.run([KILL_AT, str(step), memtrace.MEMTRACE, *ARGUMENTS], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert re.search(r"^STEPS \d+ killed$", run.stdout, re.M) or step > made - 10, run
        runs_to_its_end(run.stdout)


def test_quit_meanwhile(tmp_path, started):
    """A Ctrl-C, or the end of --duration, before the program began: all are let go."""
    # (on a busy machine 100 ms were over before sh had mapped its libc: no allocator is status 1)
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "-o", tmp_path / "report", "-d", "2s",
                               "--follow=live", "sh", "-c", f"(sh -c 'read line; {LIVE} 100 8; true'); echo END"])
    started.append(tracer)
    assert tracer.process.wait(memtrace.PATIENCE) == 0
    for pid in memtrace.children(os.getpid()):
        memtrace.wait_until_untraced(pid)
    tracer.send("on")
    tracer.process.stdin.close()
    tracer.wait_line("^READY")
    tracer.wait_line("^RESULT")
    tracer.wait_line("^END$")
