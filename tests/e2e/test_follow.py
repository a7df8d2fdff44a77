"""--follow=NAME, exec: the programs that descendants begin are followed beside their parents, from their first instruction."""
import json
import os
import random
import re
import shutil
import subprocess
import tempfile

import pytest

import json_report
import memtrace

KILL_AT = memtrace.BUILD / "tests" / "e2e" / "kill_at"
LIVE = memtrace.TARGETS / "live"
ALONE = [str(LIVE), "100", "8"]

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


def follow(tmp_path, argv, *options, **popen):
    """(exit status, what they wrote, the reports, by when they began)."""
    output = tmp_path / "report"
    process = memtrace.Process([memtrace.MEMTRACE, "--format=json", "-n", "0", "--all", "-o", output, *memtrace.ENGINE_OPTIONS,
                                *options, *argv], stdin=subprocess.DEVNULL, **popen)
    try:
        status = process.wait()
        reports = json.loads(output.read_text())["processes"]
        return status, process.out, [memtrace.Report(json_report.load(json.dumps(one))).consistent() for one in reports]
    finally:
        process.end()


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_behind_a_wrapper(tmp_path, wrapper):
    """As if it had been started alone, from its first instruction on; the wrapper, which was not asked for, has no report."""
    tally, alone = direct(tmp_path)
    status, out, reports = follow(tmp_path, WRAPPERS[wrapper], "--follow=other,live", stderr=subprocess.PIPE)
    assert status == 0 and memtrace.parse_result(out) == tally
    assert [report["command"] for report in reports] == [ALONE]
    assert reports[0].counts() == alone.counts()


def test_each_of_the_names(tmp_path):
    """Those of one name, of another, and one that one of them starts; not what else runs; the exit status is PROGRAM's."""
    _, alone = direct(tmp_path)
    shutil.copy(os.path.realpath("/bin/sh"), tmp_path / "outer")
    script = f"{LIVE} 100 8; ls / >/dev/null; {tmp_path}/outer -c '{LIVE} 100 8; exit 5'; true | cat; exit 3"
    status, _, reports = follow(tmp_path, ["sh", "-c", script], "--follow=live,outer")
    assert status == 3
    assert [os.path.basename(report["command"][0]) for report in reports] == ["live", "outer", "live"]
    assert [report.counts() for report in reports if report["command"] == ALONE] == [alone.counts()] * 2


def test_every_program(tmp_path):
    """exec: the started one, and each that a descendant begins; a subshell that begins none is let go."""
    _, alone = direct(tmp_path)
    script = f"(true; exit 0); {LIVE} 100 8; sh -c '({LIVE} 100 8; exit 0); exit 5'; exit 3"
    status, _, reports = follow(tmp_path, ["sh", "-c", script], "--follow=exec")
    assert status == 3
    assert [report["command"][0] for report in reports] == ["sh", str(LIVE), "sh", str(LIVE)]
    assert [report.counts() for report in reports if report["command"] == ALONE] == [alone.counts()] * 2


@pytest.mark.parametrize("what", ["live", "exec"])
def test_from_an_attach(target, started, tmp_path, what):
    """Programs that a process begins while it is watched, beside it."""
    server = memtrace.Process(["sh", "-c", f"echo READY; while read line; do {LIVE} $line 8 </dev/null; done"])
    started.append(server)
    server.wait_line("^READY$")
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "--format=json", "-o", tmp_path / "report", f"--follow={what}",
                               *memtrace.ENGINE_OPTIONS, "-p", server.pid], stderr=subprocess.STDOUT)
    started.append(tracer)
    tracer.wait_line("Attached to pid")
    for count in 10, 20:
        server.send(str(count))
        server.wait_line("^RESULT")
        tracer.wait_line("exited with status 0")
    tracer.send("quit")
    assert tracer.wait() == 0
    reports = json.loads((tmp_path / "report").read_text())["processes"]
    assert [report["summary"]["allocs"] for report in reports[1:]] == [10, 20] and reports[0]["pid"] == server.pid
    memtrace.untouched(server.pid)
    server.process.stdin.close()
    assert server.wait() == 0


def test_many(tmp_path):
    """In text those with most in use have sections of their own, the others one line, and all are in the sums by program."""
    lines = "; ".join(f"{LIVE} {count} 1 >/dev/null" for count in range(10, 130, 10))
    done = subprocess.run([memtrace.MEMTRACE, "--no-symbols", "--follow=live", "-q", "-o", tmp_path / "report", "sh", "-c", lines],
                          stdin=subprocess.DEVNULL, timeout=memtrace.PATIENCE, check=False)
    text = (tmp_path / "report").read_text()
    assert done.returncode == 0
    assert re.findall(r"in use: \d+ bytes in (\d+) blocks", text) == [str(count) for count in range(30, 130, 10)]
    assert "\nand 2 more processes, with 720 bytes in 30 blocks in use (-n 0 shows all)\n" in text
    assert re.search(r"^    live: 18720 bytes in 780 blocks .*, of 12 processes$", text, re.M)


def test_forks_and_names(tmp_path):
    """Both: PROGRAM, of which its children are, the subshell from its birth, and the program of the name."""
    status, _, reports = follow(tmp_path, ["sh", "-c", f"(:; :); {LIVE} 100 8; ls / >/dev/null; exit 4"], "--follow=fork,live")
    assert status == 4
    assert [os.path.basename(report["command"][0]) for report in reports] == ["sh", "sh", "live"]
    assert reports[1]["inherited"]["parent"] == reports[0]["pid"]


def test_one_among_many(tmp_path):
    """Others run before it, beside it, and around it: from subshells, in pipes, killed, and without an end."""
    tally, alone = direct(tmp_path)
    script = (f"ls / >/dev/null; true | cat; sh -c 'kill -9 $$'; (sleep 3 >/dev/null 2>&1 & echo $! >{tmp_path}/pid);"
              f" (sh -c '(sh -c \"{LIVE} 100 8\"; true) | cat'); exit 7")
    status, out, reports = follow(tmp_path, ["sh", "-c", script], "--follow=live", stderr=subprocess.DEVNULL)
    assert status == 7 and memtrace.parse_result(out) == tally
    assert [report.counts() for report in reports] == [alone.counts()]


def test_none(tmp_path):
    """The program that is wanted never begins: the wrapper is what was followed."""
    status, _, reports = follow(tmp_path, ["sh", "-c", "ls / >/dev/null; exit 4"], "--follow=nothing")
    assert status == 4 and [report["command"][0] for report in reports] == ["sh"]
    done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", "/dev/null", "--follow=nothing", "true"],
                          capture_output=True, text=True)
    words = r"\[\d+\] memtrace: --follow=nothing: no such program began; the report is on {}\n"
    assert re.fullmatch(words.format("true"), done.stderr)
    # What the wrapper has left ends without it.
    done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", "/dev/null", "--follow=nothing", "sh", "-c",
                           "(ls /; sh -c true) >/dev/null & exit 6"], capture_output=True, text=True)
    assert done.returncode == 6 and re.fullmatch(words.format("sh"), done.stderr)
    for line in ["--follow=true", "true"], ["--follow=env", "env", "true"], ["--follow=true", "env", "true"]:
        done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", "/dev/null", *line], capture_output=True, text=True)
        assert not done.stderr, done.stderr


def test_status_is_not_of_the_wrapper(tmp_path):
    """--error-exitcode is about the programs that were asked for."""
    for command, status in (f"{LIVE} 100 8", 9), (f"{LIVE} 0 1", 0):
        done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", "/dev/null", "--error-exitcode=9", "--follow=live", "sh", "-c",
                               f"{command}; exit 0"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr


def killed_at(started, step, *how):
    """A shell, whose programs were followed by memtraces that were killed at that step; and how many they made."""
    shell = memtrace.Process(["sh", "-c", f"echo READY; read line; ls / >/dev/null; ({LIVE} 100 8 </dev/null; true) && echo DONE; read line"])
    started.append(shell)
    shell.wait_line("^READY$")
    tracer = memtrace.Process([KILL_AT, str(step), *how, "-f", memtrace.MEMTRACE, "--no-symbols", "-o", "/dev/null", "--follow=live",
                               *memtrace.ENGINE_OPTIONS, "-p", str(shell.pid)], stderr=subprocess.STDOUT)
    started.append(tracer)
    tracer.wait_line("Attached to pid|^STEPS")
    shell.send()
    assert memtrace.parse_result([shell.wait_line("^RESULT").string])["allocs"] == 100
    shell.wait_line("^DONE$")  # (it ended with status 0)
    tracer.process.stdin.close()
    tracer.wait()
    memtrace.wait_for_guardians()
    return shell, int(re.search(r"^STEPS (\d+) ", "\n".join(tracer.out), re.M)[1])


@pytest.mark.limit(120)
def test_killed_at_steps(started, attach):
    """Any memtrace of them, or all with their guardians, in front of what touches a process: the shell, the others and the program
    run to their ends, and the shell is as it was."""
    shell, made = killed_at(started, "all")
    memtrace.untouched(shell.pid)
    assert made > 50
    dice = random.Random(made)
    for guardians in [], ["-g"]:
        for step in dice.sample(range(made), int(os.environ.get("STEPS", "3"))):
            shell, _ = killed_at(started, step, *guardians)
            if guardians:
                attach(shell.pid, "--no-symbols").detach(check=False)
            memtrace.untouched(shell.pid)
            shell.send()
            assert shell.wait() == 0


LOOKED_THROUGH = {
    "timeout": ["timeout", "60"],
    "that becomes it": ["setsid"],
    "one behind another": ["timeout", "60", "flock", "/dev/null", "env"],
    "ended before it": ["setsid", "--fork"],
}


@pytest.mark.parametrize("wrapper", LOOKED_THROUGH)
def test_a_wrapper_is_looked_through(tmp_path, wrapper):
    """Without the option: as if the program behind it had been started alone, the form of the report, too."""
    tally, alone = direct(tmp_path)
    group = {"start_new_session": True} if wrapper == "ended before it" else {}  # (setsid forks, as it leads a group)
    status, out, report = memtrace.launch(tmp_path / "report", [*LOOKED_THROUGH[wrapper], *ALONE], stderr=subprocess.PIPE, **group)
    assert status == 0 and memtrace.parse_result(out) == tally
    assert report["command"] == ALONE and report.consistent().counts() == alone.counts()


def through(tmp_path, *line):
    """What memtrace's last words, and the report's first ones are."""
    done = subprocess.run([memtrace.MEMTRACE, "--no-symbols", "-o", tmp_path / "report", *line], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=memtrace.PATIENCE, check=False)
    return done.returncode, done.stderr.splitlines()[-1], (tmp_path / "report").read_text().splitlines()[0]


def test_a_child_of_the_program_behind(tmp_path):
    """It is named as one of PROGRAM's is: with the option, not with its own line, cut short.  (The wrapper's words may be later.)"""
    done = subprocess.run([memtrace.MEMTRACE, "--no-symbols", "-o", tmp_path / "report", "timeout", "60", "sh", "-c", "sleep 0.5; exit 6"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=memtrace.PATIENCE, check=False)
    assert done.returncode == 6
    assert re.search(r"^\[\d+\] Its child \d+ \(sleep.*\) ran and was not watched: memtrace --follow=sleep [.]{3}$", done.stderr, re.M), done.stderr


def test_how_far_a_wrapper_is_looked_through(tmp_path):
    """To the first program; not where it is not asked for; a program that is not there, and one without an allocator."""
    status, last, first = through(tmp_path, "timeout", "60", "sh", "-c", f"{LIVE} 10 1; exit 5")
    assert status == 5 and "(sh -c ...)" in first
    status, last, first = through(tmp_path, "--follow=none", "timeout", "60", "sleep", "0.5")
    assert status == 0 and re.search(r"child \d+ \(sleep, .*--follow=sleep", last) and "(timeout 60 " in first
    status, last, first = through(tmp_path, "timeout", "60", "/no/such")
    assert status == 127 and "(timeout 60 " in first
    status, last, first = through(tmp_path, "timeout", "-s", "KILL", "0.5", "sleep", "100")
    assert status == 137 and "(sleep 100)" in first
    (tmp_path / "bare.c").write_text("int main(void) { return 3; }")
    subprocess.run(["cc", "-static", "-s", "-o", tmp_path / "bare", tmp_path / "bare.c"], check=True)
    status, last, first = through(tmp_path, "timeout", "60", tmp_path / "bare")
    assert status == 3 and f"({tmp_path}/bare)" in first


def test_format_of_a_viewer_through_a_wrapper(tmp_path):
    """It needs no file of each."""
    done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "--format=massif", "-o", tmp_path / "report", "timeout", "60", *ALONE],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=memtrace.PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nmem_heap_B=2400\n" in (tmp_path / "report").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="root may give rights to a file")
def test_rights_that_a_program_does_not_get(tmp_path):
    """A file's owner's, for who can't trace it with them: said."""
    with tempfile.TemporaryDirectory() as there:
        os.chmod(there, 0o755)
        shutil.copy(shutil.which("id"), f"{there}/id")
        os.chmod(f"{there}/id", 0o4755)
        run = {"capture_output": True, "text": True, "timeout": memtrace.PATIENCE, "user": 65534, "group": 65534, "extra_groups": [],
               "stdin": subprocess.DEVNULL, "check": False, "cwd": there}
        shutil.copy(memtrace.MEMTRACE, f"{there}/memtrace")
        done = subprocess.run([f"{there}/memtrace", "-q", "--no-symbols", "timeout", "60", f"{there}/id", "-u"], **run)
        assert done.stdout == "65534\n"
        assert re.search(r"memtrace: id \(pid \d+\) is without the rights of its file's owner while it is traced; --follow=none "
                         "leaves it alone\n", done.stderr), done.stderr
        done = subprocess.run([f"{there}/memtrace", "-q", "--no-symbols", "--follow=none", "timeout", "60", f"{there}/id", "-u"], **run)
        assert done.stdout == "0\n" and "rights" not in done.stderr


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
