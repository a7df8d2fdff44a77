"""Several processes under one memtrace: one console, one report, and each as if it were the only one."""
import ctypes
import functools
import html.parser
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import json_report
import memtrace
from page import Page

memtrace.adopt_orphans()

PTRACE_SEIZE = 0x4206  # linux/ptrace.h


class Several(memtrace.Process):
    """A memtrace of them with a console on a pipe; its report is JSON in a file."""

    def __init__(self, output, *arguments):
        self.output = pathlib.Path(output)
        super().__init__([memtrace.MEMTRACE, "--no-symbols", "--format=json", "-n", "0", "--all", "-o", self.output,
                          *memtrace.ENGINE_OPTIONS, *arguments], stderr=subprocess.STDOUT)

    def answers(self, command, pattern, count):
        """What `count` processes say to it: {pid: a match object}."""
        self.send(command)
        found = {}
        while len(found) < count:
            whose = self.wait_line(rf"^==> (\d+) |{pattern}")
            if whose[1]:
                pid = int(whose[1])
            else:
                found[pid] = whose
        return found

    def attached(self, count):
        for _ in range(count):
            self.wait_line(r"^\[(\d+)\] Attached to pid \1$")
        return self

    def reports(self):
        """{pid: Report} once it has ended."""
        document = json.loads(self.output.read_text())
        assert set(document) == {"version", "processes"}
        one = self.output.with_suffix(".one")
        found = {}
        for process in document["processes"]:
            one.write_text(json.dumps(process))
            report = memtrace.Report(json_report.load(one.read_text()))
            found[report["pid"]] = report.consistent()
        return found

    def left(self, status=0):
        assert self.wait() == status, self.story()
        return self.reports()


@pytest.fixture
def several(started, tmp_path):
    def start(*arguments):
        started.append(Several(tmp_path / "report", *arguments))
        return started[-1]

    return start


def test_each_is_counted(target, several):
    """Exactly, by a program of its own."""
    processes = [target("live", str(100 * i), "8") for i in (1, 2, 3)]
    tracer = several(*(f"-p{process.pid}" for process in processes)).attached(3)
    for process in processes:
        process.go_on()
        process.done()
    use = tracer.answers("status", r"^    in use: (\d+) bytes in (\d+) blocks", 3)
    assert {pid: int(found[3]) for pid, found in use.items()} == {
        process.pid: 100 * i for i, process in enumerate(processes, 1)}
    tracer.send("quit")
    reports = tracer.left()
    for process in processes:
        memtrace.untouched(process.pid)
        process.go_on()
        result = process.result()
        assert reports[process.pid].counts() == {name: result[name] for name in memtrace.Report.NAMES}


def test_commands_for_one_or_for_all(target, several, tmp_path):
    one, other = target("live", "10", "1"), target("live", "10", "1")
    tracer = several("-p", one.pid, "-p", other.pid).attached(2)
    tracer.send("processes")
    for process in one, other:
        tracer.wait_line(rf"^  +{process.pid} live, RSS [0-9.]+ [KM]iB$")
    for command in f"save {tmp_path}/saved", "status | cat", f"status > {tmp_path}/status", "!true":
        tracer.send(command)
        tracer.wait_line("^memtrace: that is for one process: 'process PID' first$")
    tracer.send("process 1")
    tracer.wait_line("^memtrace: pid 1 is not followed; 'processes' lists them$")
    tracer.send(f"process {other.pid}")
    tracer.send(f"save {tmp_path}/saved")
    tracer.wait_line(rf"^==> {other.pid} \(live\) <==$")
    tracer.wait_line(rf"^{tmp_path}/saved has ")
    tracer.send("status")
    tracer.send("processes")
    tracer.wait_line(rf"^\* +{other.pid} live")
    tracer.send("process all")
    assert set(tracer.answers("status", "^HEAP SUMMARY", 2)) == {one.pid, other.pid}
    tracer.process.stdin.close()  # an end of input is a way to leave, too
    assert set(tracer.left()) == {one.pid, other.pid}
    assert sum(line.startswith("HEAP SUMMARY") for line in tracer.out) == 3, tracer.story()


def test_one_that_ends(target, several):
    """It is reported, and the others go on."""
    one, other = target("live", "10", "1"), target("live", "20", "1")
    tracer = several("-p", one.pid, "-p", other.pid).attached(2)
    one.go_on()
    one.done()
    one.go_on()
    one.result()
    tracer.wait_line(rf"^\[{one.pid}\] Process {one.pid} exited with status 0$")
    other.go_on()
    other.done()
    tracer.send(f"process {other.pid}")
    assert list(tracer.answers("status", r"^    in use: 480 bytes in 20 blocks", 1)) == [other.pid]
    tracer.send("quit")
    reports = tracer.left()
    assert {pid: report["summary"]["in_use_blocks"] for pid, report in reports.items()} == {one.pid: 10, other.pid: 20}


TITLE = """
$| = 1;
$0 = "titled: at birth";
print "READY\\n";
<STDIN>;
$0 = "titled: worker process";
print "NAMED\\n";
<STDIN>;
"""


@pytest.mark.parametrize("ended", [False, True])
def test_the_title_is_that_of_the_end(several, ended):
    """nginx, postgres, php-fpm say in their arguments what each process does: not yet as they are forked."""
    program = memtrace.Process(["perl", "-e", TITLE])
    other = memtrace.Process(["perl", "-e", TITLE])
    program.wait_line("^READY")
    other.wait_line("^READY")
    tracer = several("-p", program.pid, "-p", other.pid).attached(2)
    program.send()
    program.wait_line("^NAMED")
    if ended:
        tracer.send(f"process {program.pid}")
        assert list(tracer.answers("report", r"^Process \d+ \(titled: worker process\)", 1)) == [program.pid]
        program.send()
        tracer.wait_line(rf"^\[{program.pid}\] Process {program.pid} exited with status 0$")
    tracer.send("quit")
    reports = tracer.left()
    assert reports[program.pid]["command"] == ["titled: worker process"]
    assert reports[other.pid]["command"] == ["titled: at birth"]


def test_one_that_can_not_be_followed(target, several):
    one = target("live", "10", "1")
    tracer = several("-p", one.pid, "-p", 4194303).attached(1)
    tracer.send("quit")
    assert list(tracer.left(1)) == [one.pid]
    assert any(re.match(r"\[4194303\] memtrace: .*\b4194303\b", line) for line in tracer.out), tracer.story()


@pytest.fixture
def odd(target, tmp_path):
    """Programs of one name, which no others have."""
    shutil.copy(memtrace.TARGETS / "live", tmp_path / "odd-live")
    return functools.partial(target, tmp_path / "odd-live")


def test_all_of_a_name(odd, started, tmp_path):
    """In text, with sums by program; and --doctor looks at all of them."""
    processes = [odd("10", "1") for _ in range(3)]
    doctor = subprocess.run([memtrace.MEMTRACE, "--doctor", "--no-symbols", "-p", "odd-live"], capture_output=True, text=True,
                            timeout=60, check=True)
    assert re.findall(r"^memtrace can attach to pid (\d+)$", doctor.stdout, re.M) == [str(p.pid) for p in processes]
    # What follows nothing sums nothing up.
    cleared = subprocess.run([memtrace.MEMTRACE, "--clear", "-q", "-p", "odd-live"], capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, timeout=60, check=True)
    assert (cleared.stdout, cleared.stderr) == ("", "")
    looked = subprocess.run([memtrace.MEMTRACE, "--leaks", "--no-symbols", "-q", "-p", "odd-live"], capture_output=True,
                            text=True, stdin=subprocess.DEVNULL, timeout=60)  # (none has a block yet)
    assert "IN USE" not in looked.stdout
    # A look that could not be made is in no document.
    refused = subprocess.run([memtrace.MEMTRACE, "--leaks", "--no-symbols", "-q", "--format=json", "--memory=1K", "-p", "odd-live"],
                             capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
    assert refused.returncode == 1 and json.loads(refused.stdout)["processes"] == [], refused.stderr
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "-p", "odd-live"])
    started.append(tracer)
    tracer.send("status")  # answered when it is attached
    for _ in processes:
        tracer.wait_line("HEAP SUMMARY")
    for process in processes:
        process.go_on()
        process.done()
    tracer.process.stdin.close()
    assert tracer.wait() == 0
    assert [line for line in tracer.out if line.startswith("Process ")] == [
        f"Process {process.pid} ({tmp_path}/odd-live ...), watched for {seconds} s"
        for process, seconds in zip(processes, re.findall(r"watched for (\S+) s", "\n".join(tracer.out)))]
    assert tracer.out[-3:] == ["IN USE BY PROGRAM", "", "    odd-live: 720 bytes in 30 blocks, of 3 processes"]


def test_who_joins_a_name(odd, several):
    """Of a name that several have: whoever begins with it later is counted from its attach on."""
    there = [odd(str(100 * n), "8") for n in (1, 2)]
    tracer = several("-p", "odd-live").attached(2)
    joins = odd("300", "8")
    tracer.attached(1)
    for process in *there, joins:
        process.go_on()
        process.done()
    tracer.send("quit")
    reports = tracer.left()
    assert {pid: report["summary"]["in_use_blocks"] for pid, report in reports.items()} == {
        process.pid: 100 * n for n, process in enumerate([*there, joins], 1)}
    for process in *there, joins:
        memtrace.untouched(process.pid)


def test_a_child_that_joins(started, several, tmp_path):
    """.. is watched: no line says of its parent that it is not."""
    (tmp_path / "odd.c").write_text("""
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        int main(void) {
            char byte;
            write(1, "READY\\n", 6);
            read(0, &byte, 1);
            if (!fork())
                memset(malloc(2000000), 1, 2000000);
            return read(0, &byte, 1);
        }
        """)
    subprocess.run(["cc", "-w", "-o", tmp_path / "odd-parent", tmp_path / "odd.c"], check=True)
    parents = [memtrace.Process([tmp_path / "odd-parent"]) for _ in range(2)]
    started.extend(parents)
    for parent in parents:
        parent.wait_line("^READY$")
    tracer = several("-p", "odd-parent").attached(2)
    parents[0].send()
    tracer.attached(1)
    tracer.send("quit")
    assert len(tracer.left()) == 3
    assert not [line for line in tracer.out if "not watched" in line]


@pytest.fixture
def vforks(started, tmp_path):
    """Programs of one name: told to, one has a child by vfork(), which, told to, begins the program anew."""
    (tmp_path / "odd.c").write_text("""
        #include <unistd.h>
        int main(int argc, char **argv) {
            char byte;
            write(1, "READY\\n", 6);
            read(0, &byte, 1);
            if (argc == 1 && !vfork()) {
                write(1, "VFORKED\\n", 8);
                read(0, &byte, 1);
                execl(argv[0], argv[0], "again", NULL);
            }
            return read(0, &byte, 1);
        }
        """)
    subprocess.run(["cc", "-w", "-o", tmp_path / "odd-vfork", tmp_path / "odd.c"], check=True)

    def begin():
        started.append(memtrace.Process([tmp_path / "odd-vfork"]))
        started[-1].wait_line("^READY$")
        return started[-1]

    return begin


def test_a_child_by_vfork_joins_later(vforks, several):
    """Until it begins a program it is its parent's memtrace's."""
    parent, _ = vforks(), vforks()
    tracer = several("-p", "odd-vfork").attached(2)
    parent.send()
    parent.wait_line("^VFORKED$")
    vforks()
    tracer.attached(1)  # (it has seen both)
    parent.send()
    parent.wait_line("^READY$")
    tracer.attached(1)
    tracer.send("quit")
    assert len(tracer.left()) == 4


def test_a_child_by_vfork_is_its_parents(vforks, several):
    """One that is there before, too."""
    parent, _ = vforks(), vforks()
    parent.send()
    parent.wait_line("^VFORKED$")
    tracer = several("-p", "odd-vfork").attached(2)
    parent.send()
    parent.wait_line("^READY$")
    tracer.attached(1)
    tracer.send("quit")
    assert len(tracer.left()) == 3
    assert not [line for line in tracer.out if "begin anew" in line]


def test_one_that_joins_and_can_not_be_followed(odd, started, several, tmp_path):
    """It is told of; what was asked for is done."""
    (tmp_path / "late.c").write_text("""
        #include <sys/prctl.h>
        #include <unistd.h>
        int main(void) {
            char byte;
            write(1, "READY\\n", 6);
            read(0, &byte, 1);
            prctl(PR_SET_NAME, "odd-live");
            return read(0, &byte, 1);
        }
        """)
    subprocess.run(["cc", "-w", "-o", tmp_path / "late", tmp_path / "late.c"], check=True)
    late = memtrace.Process([tmp_path / "late"])
    started.append(late)
    late.wait_line("^READY$")
    processes = [odd("10", "1") for _ in range(2)]
    tracer = several("-p", "odd-live").attached(2)
    assert ctypes.CDLL(None).ptrace(PTRACE_SEIZE, late.pid, None, None) == 0
    late.send()
    tracer.wait_line(rf"^\[{late.pid}\] memtrace: pid {late.pid} is being traced by pid {os.getpid()} ")
    tracer.send("quit")
    assert set(tracer.left()) == {process.pid for process in processes}


def test_one_of_a_name(odd, started):
    """A session on one stays on that one; its last line says that there are more by now."""
    odd("10", "1")
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-p", "odd-live"], stderr=subprocess.STDOUT)
    started.append(tracer)
    tracer.wait_line("^Attached")
    odd("10", "1")
    tracer.process.stdin.close()
    assert tracer.wait() == 0
    assert tracer.out[-1] == "1 more process is called 'odd-live' by now, and is not watched: memtrace -p odd-live"


def test_report_of_all_by_a_signal(odd, several):
    """SIGUSR1: each says what it has, and goes on."""
    processes = [odd("10", "1"), odd("20", "1")]
    tracer = several("-p", "odd-live").attached(2)
    for process in processes:
        process.go_on()
        process.done()
    tracer.process.send_signal(signal.SIGUSR1)
    said = {}
    while len(said) < 2:
        whose = tracer.wait_line(r"^==> (\d+) |^    in use: \d+ bytes in (\d+) blocks")
        if whose[1]:
            pid = int(whose[1])
        else:
            said[pid] = int(whose[2])
    assert said == {process.pid: 10 * n for n, process in enumerate(processes, 1)}
    tracer.send("quit")
    assert set(tracer.left()) == set(said)


@pytest.mark.parametrize("who", ["the first", "all", "all and the guardians"])
def test_killed(target, several, attach, who):
    """Whoever of us is killed, the processes live, and are as they were."""
    processes = [target("storm", "-t", "4", "-f", "-b") for _ in range(2)]
    tracer = several(*(f"-p{process.pid}" for process in processes)).attached(2)
    hands = memtrace.children(tracer.pid)
    assert len(hands) == 2
    if who == "the first":
        tracer.process.kill()
        tracer.process.wait()
        for hand in hands:  # (ours now)
            os.waitpid(hand, 0)
    elif who == "all":
        memtrace.signal_all([tracer.pid, *hands], signal.SIGSTOP)
        memtrace.signal_all([tracer.pid, *hands])
        tracer.process.wait()
    else:
        memtrace.kill_at_once(tracer)
    memtrace.wait_for_guardians()
    memtrace.wait_for_guardians()  # (ours when those who started them have ended)
    for process in processes:
        assert process.alive(), process.story()
        if who == "all and the guardians":
            attach(process.pid, "--no-symbols").detach(check=False)
        else:
            memtrace.untouched(process.pid)
        process.go_on()
        process.result()


@pytest.mark.parametrize("arguments, why", [
    (["--every=1s", "-o", "%n"], "--every is for one process, not several, without %p in --output"),
    (["--listen=127.0.0.1"], "--listen is for one process, not several"),
    (["--listen=127.0.0.1", "-o", "%p"], "--listen is for one process, not several"),
    (["--format=pprof", "-o", "x"], "--format=pprof has a file for each process: give one with %p to --output"),
])
def test_what_is_for_one_alone(arguments, why):
    done = subprocess.run([memtrace.MEMTRACE, *arguments, "-p", "1", "-p", "2"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"memtrace: {why}\n")


@pytest.mark.parametrize("commands", [[], ["status", "processes", "status"]])
def test_quit_in_a_script(target, commands):
    """It ends nothing that was said before it, and no process' report."""
    processes = [target("live", "10", "8") for _ in range(2)]
    script = "".join(f"{command}\n" for command in [*commands, "quit"])
    done = subprocess.run([memtrace.MEMTRACE, "--no-symbols", "-q", *(f"-p{process.pid}" for process in processes)],
                          input=script, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "killed" not in done.stderr, done.stderr
    assert done.stdout.count("HEAP SUMMARY") == 2 * (commands.count("status") + 1)


FS = memtrace.BUILD / "memtrace-fs"


def fs(*arguments):
    return subprocess.run([FS, *arguments], capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_file_of_each(target, started, tmp_path):
    """%p: snapshots, and saved ones; memtrace-fs --each makes one document of them."""
    processes = [target("live", str(10 * i), "8") for i in (1, 2)]
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "--format=snapshot", "-o", tmp_path / "end-%p",
                               *memtrace.ENGINE_OPTIONS, *(f"-p{process.pid}" for process in processes)])
    started.append(tracer)
    tracer.send("status")
    for _ in processes:
        tracer.wait_line("HEAP SUMMARY")
    for process in processes:
        process.go_on()
        process.done()
    tracer.send(f"save {tmp_path}/now-%p")
    saved = {int(tracer.wait_line(rf"^{tmp_path}/now-(\d+) has ")[1]) for _ in processes}
    assert saved == {process.pid for process in processes}
    tracer.send("quit")
    assert tracer.wait() == 0
    for when in "now", "end":
        files = [tmp_path / f"{when}-{process.pid}" for process in processes]
        text = fs("--report", *files, "--each")
        assert re.findall(r"^Process (\d+) .*\n(?:.*\n)*?    in use: (\d+) bytes in (\d+) blocks", text, re.M) == [
            (str(process.pid), str(240 * i), str(10 * i)) for i, process in enumerate(processes, 1)]
        assert text.endswith("\nIN USE BY PROGRAM\n\n    live: 720 bytes in 30 blocks, of 2 processes\n"), text
    document = json.loads(fs("--report", *files, "--each", "--format=json"))
    assert [one["pid"] for one in document["processes"]] == [process.pid for process in processes]
    (tmp_path / "page").write_text(fs("--report", *files, "--each", "--format=html"))
    check_page(tmp_path / "page", {process.pid: 240 * i for i, process in enumerate(processes, 1)})


class Pages(html.parser.HTMLParser):
    """Documents within a document: {pid: (what the line above says, the page)}."""

    def __init__(self, text):
        super().__init__()
        self.found, self.summary, self.into = {}, "", None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.into = tag
        values = dict(attributes)
        if tag == "iframe":
            self.found[int(values["title"])] = (self.summary, values["srcdoc"])
            self.summary = ""

    def handle_data(self, data):
        if self.into == "summary":
            self.summary += data.strip()


def check_page(path, in_use):
    pages = Pages(path.read_text()).found
    assert set(pages) == set(in_use)
    for pid, (summary, text) in pages.items():
        assert re.match(rf"{pid} live: {in_use[pid]} bytes in \d+ blocks", summary), summary
        assert f"in use: {in_use[pid]} bytes in " in Page(text).sections["totals"]


def test_a_page_of_all(target, started, tmp_path):
    processes = [target("live", "10", "8") for _ in range(2)]
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "--format=html", "-o", tmp_path / "page",
                               *(f"-p{process.pid}" for process in processes)])
    started.append(tracer)
    tracer.send("quit")
    assert tracer.wait() == 0
    check_page(tmp_path / "page", {process.pid: 0 for process in processes})


def test_a_file_of_each_child(started, tmp_path):
    """What the document says of all goes where it would be without a file."""
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "--format=pprof", "-o", tmp_path / "%p.pb.gz",
                               "--follow=all", "sh", "-c", f"{memtrace.TARGETS}/live 10 8 </dev/null; exit 0"],
                              stderr=subprocess.STDOUT)
    started.append(tracer)
    assert tracer.wait() == 0
    pids = {re.search(r"pid (\d+)", line)[1] for line in tracer.out if re.search("(Started|Attached to) pid", line)}
    assert {path.name for path in tmp_path.iterdir()} == {f"{pid}.pb.gz" for pid in pids} and len(pids) == 2
    assert re.search("IN USE BY PROGRAM\n\n(    sh: .*\n)?    live: 240 bytes in 10 blocks$", "\n".join(tracer.out)), tracer.story()
