"""The command line: what is refused, exit statuses, where words and reports go, and
that --help, the man page and the completions tell of the same options."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import json_report

ROOT = pathlib.Path(__file__).parent.parent.parent
BUILD = pathlib.Path(os.environ.get("O", "build")).resolve()
MEMTRACE = str(BUILD / "memtrace")


def run(*argv, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([MEMTRACE, *map(str, argv)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, **more)


def refused(*argv, why):
    result = run(*argv)
    assert result.returncode == 1, result
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert re.fullmatch(rf"memtrace: {why}\n", result.stderr), result.stderr


@pytest.fixture(scope="session")
def leaky(tmp_path_factory):
    """A program that leaks 100 bytes at one place, and 7 at 20 calls of another; with an
    argument, nothing; with two the 100 bytes, and it fails."""
    source = tmp_path_factory.mktemp("leaky") / "leaky.c"
    source.write_text("""
        #include <signal.h>
        #include <stdlib.h>
        void *volatile sink;
        static __attribute__((noinline)) void leak(int size) { sink = malloc(size); }
        int main(int argc, char **argv)
        {
            if (argc == 2)
                return 0;
            leak(100);
            if (argc > 2)
                return argv[2][0] == 'e' ? 5 : raise(SIGSEGV);
            for (int i = 0; i < 20; i++)
                leak(7);
            return 0;
        }""")
    subprocess.run(["cc", "-g", "-O1", "-o", source.with_suffix(""), source], check=True)
    return str(source.with_suffix(""))


@pytest.fixture
def sleeper():
    """A process that waits for the end of its input."""
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    # (once it waits in read(0, ...): before, libc may not be mapped yet)
    while not pathlib.Path(f"/proc/{process.pid}/syscall").read_text().startswith("0 0x0 "):
        assert process.poll() is None
    yield process
    process.stdin.close()
    process.wait()


def tracer(pid):
    return int(re.search(r"TracerPid:\t(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


# ---- bad input -------------------------------------------------------------------


@pytest.mark.parametrize("argv, why", [
    ([], "neither --pid nor a PROGRAM is given; see .*"),
    (["-p"], "--pid needs its PID; see .*"),
    (["-p", "no such"], "--pid: no process is called 'no such'"),
    (["-p", "0"], "--pid: 0 is not between 1 and 4194304"),
    (["-p", "1", "ls"], "--pid and a PROGRAM .* contradict each other.*"),
    (["--nonsense", "ls"], "unknown or ambiguous option '--nonsense'; see .*"),
    (["-s", "513", "ls"], "--stack-depth: 513 is not between 1 and 512"),
    (["-d", "1x", "ls"], "--duration: '1x' is not a time such as .*"),
    (["-p", "1", "2", "3"], "--pid takes one process, not 1 and 2: .*"),
    (["--engine=ebpf", "ls"], "--engine: 'ebpf' is not one of: trap, auto, agent, breakpoint"),
    (["-x", "nonsense", "ls"], "--command: unknown command 'nonsense'.*"),
    (["--selftest", "--action=nonsense"], "no scenario 'nonsense'.*"),
])
def test_bad_options(argv, why):
    refused(*argv, why=why)


def test_no_such_pid():
    refused("-q", "-p", 4194303, why=r".*\b4194303\b.*")


def test_itself():
    result = subprocess.run(["/bin/sh", "-c", f"exec {MEMTRACE} -p $$"], capture_output=True, text=True)
    assert result.returncode == 1
    assert re.fullmatch(r"memtrace: memtrace can't attach to itself \(pid \d+\)\n", result.stderr)


def test_zombie():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    refused("-q", "-p", child.pid, why=r".*zombie.*")
    child.wait()


def test_kernel_thread():
    if pathlib.Path("/proc/2/comm").exists() and "kthreadd" in pathlib.Path("/proc/2/comm").read_text():
        refused("-q", "-p", 2, why=r".*kernel thread.*")
    else:
        pytest.skip("no kernel thread to be seen in this container")


def test_another_tracer(sleeper):
    first = subprocess.Popen([MEMTRACE, "-q", "-p", str(sleeper.pid)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    first.stdin.write("status\n")
    first.stdin.flush()
    while "total heap usage" not in first.stdout.readline():
        pass
    refused("-q", "-p", sleeper.pid, why=rf".*\b{first.pid}\b.*")
    first.stdin.close()
    first.stdout.read()
    assert first.wait() == 0


def test_program_not_found(tmp_path):
    refused("-q", "/no/such/program", why=".*/no/such/program.*")
    refused("-q", "no-such-program", why=".*no-such-program.*")
    refused("-q", tmp_path, why=f".*{tmp_path}.*")
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    refused("-q", script, why=f".*{script}.*")  # not executable


# ---- exit status ---------------------------------------------------------------------


def test_status_of_the_program():
    assert run("-q", "sh", "-c", "exit 7").returncode == 7
    assert run("-q", "true").returncode == 0


def test_error_exitcode_of_starting_up(tmp_path):
    """What every C++ program has, and the buffer that printf() made, is nobody's leak, and said beside one."""
    (tmp_path / "hello.cc").write_text("""
        #include <cstdio>
        #include <new>
        void *volatile sink;
        int main(int argc, char **)
        {
            if (argc > 1)
                sink = operator new(11);
            puts("hello");
        }
    """)
    subprocess.run(["g++", "-O1", "-o", tmp_path / "hello", tmp_path / "hello.cc"], check=True)
    result = run("-q", "--error-exitcode=77", tmp_path / "hello")
    assert re.search(r"in use: \d+ bytes in 2 blocks", result.stderr), result.stderr
    assert result.returncode == 0 and "memtrace:" not in result.stderr, result.stderr
    result = run("-q", "--error-exitcode=77", tmp_path / "hello", "leak")
    assert result.returncode == 77
    assert re.search(r"\nmemtrace: blocks in use: 1 \(11 bytes\), and 2 \(\d+ bytes\) of starting up\n$", result.stderr), result.stderr


def test_program_killed():
    result = run("sh", "-c", "kill -9 $$")
    assert result.returncode == 128 + signal.SIGKILL
    assert "was killed by signal 9 (Killed)" in result.stderr
    assert "HEAP SUMMARY" in result.stderr


def test_error_exitcode(leaky):
    result = run("-q", "--error-exitcode=77", leaky)
    assert result.returncode == 77
    assert result.stderr.endswith("\nmemtrace: blocks in use: 21 (240 bytes)\n")
    result = run("-q", "--error-exitcode=77", leaky, "not")
    assert result.returncode == 0
    assert "memtrace:" not in result.stderr
    assert "memtrace:" not in run("-q", leaky).stderr


@pytest.mark.parametrize("how, status", [("exit", 5), ("crash", 128 + signal.SIGSEGV)])
def test_error_exitcode_is_no_crash(leaky, how, status):
    """A test suite must see that the program failed, not that it leaked."""
    result = run("-q", "--error-exitcode=77", leaky, "leak", how)
    assert result.returncode == status
    assert result.stderr.endswith("\nmemtrace: blocks in use: 1 (100 bytes); the exit status is not of these\n")


def test_fail_on(leaky):
    """Expressions, by their own status or that of --error-exitcode; never instead of the program's."""
    done = run("-q", "--fail-on=used>240", "--fail-on=context:blocks>20", leaky)
    assert done.returncode == 0 and "memtrace:" not in done.stderr
    done = run("-q", "--fail-on=used>239", "--fail-on=context:blocks>19", leaky)
    assert done.returncode == 2
    first, second = done.stderr.splitlines()[-2:]
    assert first == "memtrace: --fail-on=used>239: 240 bytes"
    assert re.fullmatch(r"memtrace: --fail-on=context:blocks>19: #\d+ \w+: 20 blocks", second)
    assert run("-q", "--fail-on=blocks", "--error-exitcode=77", leaky).returncode == 77
    assert run("-q", "--fail-on=blocks", leaky, "leak", "exit").returncode == 5
    assert run("-q", "--fail-on=verdict", leaky).returncode == 0
    done = run("-q", "--fail-on=used", leaky)
    assert done.returncode == 2 and "memtrace: blocks in use: 21 (240 bytes)\n" in done.stderr
    done = run("-q", "--fail-on=size", leaky)
    assert done.returncode == 1 and done.stderr.startswith("memtrace: --fail-on: 'size' is not one of: ")


def test_start_up_is_apart(tmp_path):
    """What every program has: in all sums, said apart, and last; also where the loader has no names.  But more buffers
    of streams than there are standard ones are somebody's."""
    (tmp_path / "p.cc").write_text("""
        #include <stdio.h>
        #include <stdlib.h>
        #include <new>
        int main(int argc, char **argv)
        {
            if (!::operator new(40))
                return 1;
            printf("1");
            for (int i = 0; i < atoi(argv[1]); i++)
                getc(fopen("/dev/zero", "r"));
        }""")
    subprocess.run(["g++", "-o", tmp_path / "p", tmp_path / "p.cc"], check=True)
    done = run("-q", "-n", "0", tmp_path / "p", "0")
    text = " ".join(done.stderr.split())
    assert " 1 call stack allocated while memtrace watched was not freed. Not counted in that: " in text
    stacks = re.split(r"^\d+\. #", done.stderr, flags=re.M)[1:]
    assert [" of starting up: " in stack for stack in stacks] == [False, True, True], done.stderr
    assert re.match(r"\d+  40 bytes in 1 block were", stacks[0]) and "_IO_file_doallocate" in stacks[2]
    for options, count in ([], 2), (["--no-symbols"], 1):  # (the buffer is known by its name alone)
        done = run("-q", *options, "--format=json", f"--fail-on=blocks>{3 - count}", "-o", tmp_path / "json", tmp_path / "p", "0")
        assert done.returncode == 0 and "not counted, of starting up: " in done.stderr
        report = json.loads((tmp_path / "json").read_text())
        known = [c for c in report["contexts"] if c.get("start_up")]
        assert len(known) == count and report["start_up"] == {
            "contexts": count, "in_use_blocks": count, "in_use_bytes": sum(c["in_use_bytes"] for c in known)}
        assert report["summary"]["in_use_blocks"] == 3
    done = run("-q", "--format=json", "--fail-on=blocks>9", "-o", tmp_path / "json", tmp_path / "p", "4")
    assert done.returncode == 0  # (FILEs and their buffers)
    report = json.loads((tmp_path / "json").read_text())
    assert report["start_up"]["contexts"] == 2
    assert run("-q", "--fail-on=blocks>8", tmp_path / "p", "4").returncode == 2


def test_stacks_begin_with_the_program(tmp_path):
    """Between malloc and the program's function are eight of the library's; and a recursion is
    one line.  JSON has them all."""
    source, program = tmp_path / "conns.cc", tmp_path / "conns"
    source.write_text("""
        #include <unistd.h>
        #include <map>
        #include <memory>
        #include <string>
        std::map<int, std::shared_ptr<std::string>> conns;
        __attribute__((noinline)) void open_conn(int i)
        {
            conns[i] = std::make_shared<std::string>(1000, 'x');
        }
        __attribute__((noinline)) int walk(int n)
        {
            if (n)
                return walk(n - 1) + 1;
            open_conn(n);
            return 1;
        }
        int main() { walk(30); _exit(0); }""")
    subprocess.run(["g++", "-g", "-O0", "-o", program, source], check=True)
    text = run("-q", "-n", "0", program).stderr
    stack = (f"    open_conn(int) in {source}:9\n"
             f"    walk(int) in {source}:15\n"
             f"    walk(int) in {source}:14 (x30)\n"
             f"    main() in {source}:18\n")
    shown = re.findall(r"\n    1 alloc, 0 frees\n(    open_conn.*?)    __libc_start", text, re.S)
    assert shown == [stack] * 3  # the string, its control block, the node of the map
    path = tmp_path / "report.json"
    run("-q", "-n", "0", "--format=json", "-o", path, program)
    whole = [c["stack"] for c in json_report.load(path.read_text())["contexts"]
             if any(f["function"] == "open_conn(int)" for f in c["stack"])]
    for stack in whole:
        at = next(i for i, frame in enumerate(stack) if frame["function"] == "open_conn(int)")
        assert at >= 3 and all(frame["allocator"] for frame in stack[:at])
        assert sum(frame["function"] == "walk(int)" for frame in stack) == 31
    assert len(whole) == 3


def test_verbose_and_quiet():
    """The last of the two counts; every step is told with -v alone."""
    assert run("-v", "-q", "-o", "/dev/null", "true").stderr == ""
    assert "Set breakpoint on malloc in" in run("-q", "-v", "-o", "/dev/null", "true").stderr
    words = run("-o", "/dev/null", "true").stderr.splitlines()
    assert len(words) == 2
    assert words[0].startswith("Started pid ") and words[1].endswith(" exited with status 0")


def test_batch_and_duration(sleeper):
    assert run("-q", "-b", "-p", sleeper.pid).returncode == 0
    assert run("-q", "-d", "50ms", "-p", sleeper.pid).returncode == 0
    assert tracer(sleeper.pid) == 0


def test_duration_leaves_the_program_alone():
    process = subprocess.Popen([MEMTRACE, "-q", "-d", "50ms", "sh", "-c", "echo $$; read line; echo $line"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    pid = int(process.stdout.readline())
    assert process.wait(60) == 0
    assert tracer(pid) == 0
    process.stdin.write("lives\n")
    process.stdin.close()
    assert process.stdout.read() == "lives\n"


def test_terminate_detaches():
    process = subprocess.Popen([MEMTRACE, "-q", "sh", "-c", "echo $$; read line; echo $line"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    while "total heap usage" not in process.stderr.readline():
        pass  # (the program still holds stderr: there is no end of it yet)
    assert tracer(pid) == 0
    process.stdin.write("lives\n")
    process.stdin.close()
    assert process.stdout.read() == "lives\n"


# ---- where words go ----------------------------------------------------------------------


def test_the_program_keeps_its_files():
    result = run("sh", "-c", "cat; echo error >&2", stdin=None, input="from stdin\n")
    assert result.stdout == "from stdin\n"
    assert "error\n" in result.stderr
    assert "HEAP SUMMARY" in result.stderr


def test_interactive():
    result = run("-i", "cat", stdin=None, input="status\nquit\n")
    assert result.stdout == ""
    assert result.stderr.count("HEAP SUMMARY") == 2 or "exited" in result.stderr


def test_quiet(sleeper):
    result = run("-q", "-p", sleeper.pid)
    assert result.stderr == ""
    assert "HEAP SUMMARY" in result.stdout


def test_output(leaky, tmp_path):
    path = tmp_path / "report"
    path.write_text("stale " * 100_000)
    result = run("-q", "-o", path, leaky)
    assert result.returncode == 0
    assert result.stderr == ""
    assert "HEAP SUMMARY" in path.read_text()
    assert "stale" not in path.read_text()


def test_output_of_a_session_that_never_began(tmp_path):
    path = tmp_path / "report"
    assert run("-q", "-o", path, "/no/such/program").returncode == 1
    assert not path.exists()
    path.write_text("precious")
    assert run("-q", "-o", path, "/no/such/program").returncode == 1
    assert path.read_text() == "precious"


@pytest.mark.parametrize("path, why", [("/no/such/dir/report", "No such file or directory"),
                                       ("/", "Is a directory|File exists"),
                                       ("/dev/full", "No space left on device")])
def test_output_that_can_not_be_written(leaky, path, why):
    result = run("-q", "-o", path, leaky)
    assert result.returncode == 1
    warning, report = result.stderr.split("\n", 1)
    assert re.match(rf"memtrace: can't write {path}: .*({why}).*; the report .*stderr", warning)
    assert "140 bytes in 20 blocks were not free" in report
    assert "HEAP SUMMARY" in report


def test_stdout_that_can_not_be_written():
    target = subprocess.Popen(["sleep", "1000"])
    try:
        with open("/dev/full", "w") as full:
            result = subprocess.run([MEMTRACE, "-q", "-b", "-d", "100ms", "-p", str(target.pid)], stdout=full,
                                    stderr=subprocess.PIPE, text=True, timeout=60)
    finally:
        target.kill()
        target.wait()
    assert result.returncode == 1
    warning, report = result.stderr.split("\n", 1)
    assert warning == "memtrace: the report can't be written: No space left on device; the report goes to stderr"
    assert "HEAP SUMMARY" in report


def test_an_interpreter_that_is_not_there(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    result = run(script)
    assert result.returncode == 1
    assert result.stderr.startswith(f"memtrace: {script}: its interpreter is not there")


@pytest.mark.parametrize("before", [[], ["sh", "-c", 'exec "$0"']], ids=["started", "exec"])
def test_a_program_in_which_nothing_is_seen(tmp_path, before):
    """Static and stripped: to say that it leaks nothing would be a lie."""
    source, program = tmp_path / "nothing.c", tmp_path / "nothing"
    source.write_text("#include <stdlib.h>\nvoid *volatile kept;\nint main(void) { kept = malloc(100); return 0; }\n")
    subprocess.run(["cc", "-static", "-s", "-o", program, source], check=True)
    result = run("-q", "--error-exitcode=9", *before, program)
    assert result.returncode == 1
    assert re.search(r"^memtrace: no allocator found in pid \d+: no module has a symbol malloc; .* unstripped file$",
                     result.stderr, re.M)
    assert "No allocator was found: what the process allocates is not known." in result.stderr


def test_a_report_before_the_program_begins():
    """Its libraries are still to come: that none has an allocator is no news."""
    result = run("-q", "--no-symbols", "-x", "report", "true")
    assert result.returncode == 0
    assert result.stderr.startswith("Process ") and "No allocator was found" not in result.stderr


def test_a_program_that_becomes_a_daemon(tmp_path):
    """What is of interest begins when the process that was started has ended."""
    source, program = tmp_path / "daemon.c", tmp_path / "daemon"
    source.write_text("""
        #include <stdio.h>
        #include <unistd.h>
        int main(void) { char byte; pid_t pid = fork(); return pid ? printf("%d\\n", pid) < 0 : read(0, &byte, 1); }
        """)
    subprocess.run(["cc", "-o", program, source], check=True)
    ours, theirs = os.pipe()
    out, err = tmp_path / "out", tmp_path / "err"  # no pipes: the child has them as well
    try:
        with out.open("w") as stdout, err.open("w") as stderr:
            subprocess.run([MEMTRACE, "--no-symbols", program], stdin=ours, stdout=stdout, stderr=stderr,
                           timeout=60, check=True)
    finally:
        os.close(theirs)
        os.close(ours)
    child = int(out.read_text())
    assert re.fullmatch(rf"Its child {child} \(daemon, [0-9.]+ [KM]iB\) runs on and is not watched: memtrace -p {child}",
                        err.read_text().splitlines()[-1])


def test_json(leaky, tmp_path):
    path = tmp_path / "report.json"
    run("-q", "--format=json", "-o", path, leaky)
    report = json.loads(path.read_text())
    assert report["summary"] == {
        "in_use_bytes": 240, "in_use_blocks": 21, "allocs": 21, "frees": 0,
        "allocated_bytes": 240, "freed_bytes": 0, "peak_bytes": 240, "frees_of_unknown": 0, "lost_events": 0}
    assert [(c["in_use_bytes"], c["in_use_blocks"]) for c in report["contexts"]] == [(140, 20), (100, 1)]
    assert report["command"] == [leaky]


def test_json_of_a_process_that_lives(sleeper):
    """What the console tells of it, and what the kernel does."""
    result = run("-q", "--format=json", "-b", "-x", "wait 100ms", "-p", sleeper.pid)
    report = json.loads(result.stdout)
    status = pathlib.Path(f"/proc/{sleeper.pid}/status").read_text()
    assert report["rss_bytes"] == 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])
    assert report["running"] is True
    assert 0.1 <= report["duration"] < 60
    assert [(t["tid"], t["name"], t["allocs"]) for t in report["threads"]] == [(sleeper.pid, "cat", 0)]
    assert report["left_out"] == {"contexts": 0, "in_use_bytes": 0, "in_use_blocks": 0}


def test_closed_files():
    """Descriptors 0 to 2 closed: no file of ours takes their place, and the program
    finds them closed, as without us."""
    script = "for f in 0 1 2; do [ -e /proc/$$/fd/$f ] && exit $((10 + f)); done; exit 5"
    command = f"exec {MEMTRACE} -q -o /dev/null /bin/sh -c '{script}' <&- >&- 2>&-"
    assert subprocess.run(["/bin/sh", "-c", command], timeout=60).returncode == 5


def test_signal_mask_and_ignored_signals_are_the_callers():
    # but for 32 and 33, which libc keeps for itself and takes in whoever has threads
    script = ("import re\n"
              "found = re.findall(r'(Sig(?:Blk|Ign)):\\t(\\w+)', open('/proc/self/status').read())\n"
              "print([(name, hex(int(mask, 16) & ~(3 << 31))) for name, mask in found])")

    def odd():
        signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR2])
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    argv = ["/usr/bin/python3", "-c", script]
    alone = subprocess.run(argv, stdout=subprocess.PIPE, text=True, preexec_fn=odd).stdout
    traced = subprocess.run([MEMTRACE, "-q", "-o", "/dev/null", *argv], stdout=subprocess.PIPE,
                            text=True, preexec_fn=odd, timeout=60).stdout
    assert traced == alone


# ---- one table of options ------------------------------------------------------------------


def said(program, *argv):
    return subprocess.run([BUILD / program, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          check=True, timeout=60).stdout


@pytest.fixture(scope="module", params=["memtrace", "memtrace-fs"])
def program(request):
    return request.param


@pytest.fixture(scope="module")
def options(program):
    """[(short, long, argument)] of the table; None for what is not there."""
    rows = [line.split("\t") for line in said(program, "--dump-options").splitlines()]
    assert len(rows) > 9
    return [(short if len(short) > 1 else None, name, arg if arg != "-" else None)
            for short, name, arg, _ in rows]


def test_help(program, options):
    text = said(program, "--help")
    assert said(program, "-h") == text
    for short, name, arg in options:
        assert re.search(rf"^  {short + ', ' if short else '    '}{name}{'=' + re.escape(arg) if arg else ''} ", text, re.M), name
    assert max(map(len, text.splitlines())) <= 80
    assert "record-stacks" not in text and "dump-options" not in text


def test_version(program):
    assert re.fullmatch(rf"{program} \d+\.\d+\.\d+\n", said(program, "--version"))


def test_manual(program, options):
    text = (ROOT / f"doc/{program}.1").read_text()
    for short, name, arg in options:
        item = ".It " + (f"Fl {short[1:]} , " if short else "") + f"Fl {name[1:]}"
        item += f" Ns = Ns Ar {arg}" if arg else ""
        assert item + "\n" in text, name
    told = set(re.findall(r"^\.It .*Fl -([a-z-]+)", text, re.M)) - {"sort"}
    assert told <= {name[2:] for _, name, _ in options}
    for command in console_commands() if program == "memtrace" else ():
        assert re.search(rf"^(\.It )?\.?Ic {command}\b|^\.It Ic {command}\b", text, re.M), command


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_manual_is_clean():
    for page in (ROOT / "doc").glob("*.1"):
        found = subprocess.run(["mandoc", "-T", "lint", str(page)], capture_output=True, text=True).stdout
        # whether the pages it refers to are installed is not about this page
        found = [line for line in found.splitlines() if "referenced manual" not in line]
        assert found == []


def console_commands():
    names = run("-q", "-b", "-x", "help", "-o", "/dev/null", "true").stderr
    return re.findall(r"^([a-z]+)(?: \[.*)?$", names, re.M)


@pytest.mark.parametrize("path", ["{}.bash", "_{}", "{}.fish"])
def test_completions(program, options, path):
    text = (ROOT / "completions" / path.format(program)).read_text()
    fish = path.endswith(".fish")
    for short, name, _ in options:
        assert re.search(rf"-l {name[2:]}\b" if fish else rf"(?<!-){name}\b", text), name
        if short:
            assert re.search(rf"-s {short[1]} " if fish else rf"(?<![-\w]){short}\b", text), short
    told = set(re.findall(r"^complete.* -l ([a-z-]+)" if fish else r"(?<![-\w])--([a-z][a-z-]+)", text, re.M))
    assert told <= {name[2:] for _, name, _ in options}
    for command in console_commands() if program == "memtrace" else ():
        assert command in text


def test_bash_completion_of_the_server(tmp_path):
    (tmp_path / "staging").mkdir()
    (tmp_path / "stale.txt").touch()
    script = (f". {ROOT}/completions/memtrace-fs.bash; cd {tmp_path}\n"
              "try() { COMP_WORDS=(memtrace-fs \"$@\"); COMP_CWORD=$#; COMPREPLY=(); _memtrace_fs 2>/dev/null;"
              " echo \"${COMPREPLY[*]}\"; }\n"
              "try --no-a; try sta; try --report = stal; try --li; try --debug-dir = st\n")
    out = subprocess.run(["bash", "-c", script], capture_output=True, text=True).stdout.splitlines()
    assert out == ["--no-announce", "staging", "stale.txt", "--listen=", "staging"]


def test_bash_completion_completes():
    script = (f". {ROOT}/completions/memtrace.bash\n"
              "try() { COMP_WORDS=(memtrace \"$@\"); COMP_CWORD=$#; COMPREPLY=(); _memtrace 2>/dev/null;"
              " echo \"${COMPREPLY[*]}\"; }\n"
              "try --so; try --sort = b; try --sort al; try --no-s; try -x mo; try -p " + str(os.getpid()) + "\n")
    out = subprocess.run(["bash", "-c", script], capture_output=True, text=True).stdout.splitlines()
    assert out[:5] == ["--sort=", "bytes blocks", "allocs", "--no-symbols", "monitor modules"]
    assert str(os.getpid()) in out[5].split()


def test_bash_completion_names_processes(tmp_path):
    """By a part of its name; the name that several have, and then, or of several names, the numbers with them."""
    shutil.copy(shutil.which("sleep"), tmp_path / "odd-sleeper")
    sleepers = [subprocess.Popen([tmp_path / "odd-sleeper", "1000"]) for _ in range(2)]
    script = (f". {ROOT}/completions/memtrace.bash\n"
              "COMP_WORDS=(memtrace -p $WORD); COMP_CWORD=2; _memtrace 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\"\n")

    def offered(word="odd-sl"):
        return set(subprocess.run(["bash", "-c", script], env={**os.environ, "WORD": word}, capture_output=True,
                                  text=True).stdout.splitlines())

    assert offered() == {"odd-sleeper"}
    assert offered("odd-sleeper") == {f"{sleeper.pid} (odd-sleeper)" for sleeper in sleepers}
    sleepers[0].kill()
    sleepers[0].wait()
    assert offered() == {str(sleepers[1].pid)}
    sleepers[1].kill()
    sleepers[1].wait()
