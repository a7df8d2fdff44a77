"""Snapshot files: what memtrace-fs prints of one is what memtrace would have printed."""
import collections
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

import json_report
import memtrace
import programs
from memtrace import BUILD, MEMTRACE

FS = BUILD / "memtrace-fs"
NOWHERE = {"PATH": "/usr/bin:/bin"}

PYTHON = """
import sys, json
kept = []
print("READY", flush=True)
for line in sys.stdin:
    kept.append(json.loads(json.dumps({str(i): [i] * 40 for i in range(200)})))
    print("DONE", flush=True)
"""


class Python:
    def __init__(self, started, _):
        self.process = memtrace.Process([shutil.which("python3", path="/usr/bin"), "-S", "-c", PYTHON],
                                        env={"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"})
        started.append(self.process)
        self.process.wait_line("^READY")

    def work(self):
        self.process.send("go")
        self.process.wait_line("^DONE")


class Redis:
    def __init__(self, started, tmp_path):
        path = str(tmp_path / "redis.socket")
        self.process = memtrace.Process(programs.RedisSocket.command(path))
        started.append(self.process)
        self.work = programs.RedisSocket(self.process, path).push_lists


def printed(path, *options, **more):
    return subprocess.run([FS, "--report", path, *options], capture_output=True, text=True, **more)


VERDICTS = "leaks|grows|levelling off|cache|steady|too early|fragmentation\\?"


def without_times(text):
    """A process that stands still gives the same report later, but for the clock, what is
    sampled, and the verdicts, which know more the longer one looks; lines as their words."""
    text = re.sub(r"watched for [^,\n]*", "watched for TIME", text, count=1)
    text = re.sub(r"^HEAP SUMMARY .*", "HEAP SUMMARY", text, flags=re.M)
    text = " ".join(text.split())
    text = re.sub(r" RSS \S+ \S+ at the start, \S+ \S+ now\.", "", text)
    text = re.sub(r" The allocators have \S+ \S+ of the kernel\.", "", text)  # the last sample's
    text = re.sub(rf"(?i: (?:{VERDICTS})): .*?(?= What \d+ call stack)", "", text, count=1)
    return re.sub(rf" (?:{VERDICTS}): .*?(?= \S+(?:\(\) in |\+0x))", "", text)


def facts(text):
    """As without_times(), of a JSON report."""
    report = json_report.load(text)
    for name in ("time", "duration", "memtrace", "rss_bytes", "rss_start_bytes", "allocator_bytes", "threads"):
        report.pop(name)
    for of_a_moment in (report, *report["contexts"]):
        for name in ("first_time", "last_time", "verdict", "evidence", "bytes_per_hour", "bytes_per_hour_range"):
            of_a_moment.pop(name, None)  # times to the hundredth, of another now
    for module in report["modules"]:  # the process' own files are this machine's
        module["symbols_from"] = re.sub(r"^/proc/\d+/root", "", module["symbols_from"] or "")
    return report


def both_ways(kind, started, tmp_path, *options, **popen):
    """Of one state of one process: (text, JSON, a snapshot's path), all of its call stacks."""
    if kind is Redis and not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed")
    program = kind(started, tmp_path)
    tracer = memtrace.Process([popen.pop("command", MEMTRACE), "-q", "--all", "-n", "0", *options, "-p",
                               program.process.pid], **popen)
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("^HEAP SUMMARY")
    for _ in range(3):
        program.work()
    os.kill(program.process.pid, signal.SIGSTOP)
    tracer.send(f"report > {tmp_path}/text")
    tracer.send(f"report --json > {tmp_path}/json")
    tracer.send(f"save {tmp_path}/snapshot")
    said = tracer.wait_line(r"^\S+/snapshot has (\d+) call stacks?, (\d+) bytes")
    os.kill(program.process.pid, signal.SIGCONT)
    tracer.send("quit")
    assert tracer.wait() == 0, tracer.story()
    program.work()  # it lives
    path = tmp_path / "snapshot"
    assert path.stat().st_size == int(said.group(2))
    text = (tmp_path / "text").read_text()
    assert int(said.group(1)) >= text.count(" were not free") > 10
    return text, (tmp_path / "json").read_text(), path


@pytest.mark.limit(120)
@pytest.mark.parametrize("kind", [Python, Redis], ids=lambda kind: kind.__name__.lower())
def test_the_same_report(kind, started, tmp_path):
    """Live, with names; from the file with the debug files of this machine; and from the file
    alone, which has kept the names."""
    options = ["--all", "-n", "0", "--sort=bytes"]  # verdicts change with time, and would rank
    text, live, path = both_ways(kind, started, tmp_path, *options[-1:])
    (tmp_path / "nothing").mkdir()
    for where in ([], [tmp_path / "nothing"]):
        done = printed(path, *options, *where)
        assert (done.returncode, done.stderr) == (0, "")
        assert without_times(done.stdout) == without_times(text)
        done = printed(path, *options, "--format=json", *where, check=True)
        assert facts(done.stdout) == facts(live)
        done = printed(tmp_path / "json", *options, "--format=text", *where, check=True)
        assert without_times(done.stdout) == without_times(text)
        done = printed(tmp_path / "json", *options, "--format=json", *where, check=True)
        assert facts(done.stdout) == facts(live)


def test_a_json_report_cut_twice(leaky, tmp_path):
    """What was left out when it was written, and what is left out when it is printed, are one sum."""
    run("-q", "--format=json", "--all", "-n", "0", "-o", tmp_path / "all", "python3", "-S", "-c", "import json")
    whole = json.loads((tmp_path / "all").read_text())
    cut = dict(whole, contexts=whole["contexts"][:10])
    rest = whole["contexts"][10:]
    cut["left_out"] = {"contexts": len(rest), **{k: sum(c[k] for c in rest) for k in ("in_use_bytes", "in_use_blocks")}}
    (tmp_path / "cut").write_text(json.dumps(cut))
    (tmp_path / "nothing").mkdir()
    options = ["--all", "-n", "3", tmp_path / "nothing"]
    assert json.loads(printed(tmp_path / "cut", "--format=json", *options, check=True).stdout)["left_out"] == \
        json.loads(printed(tmp_path / "all", "--format=json", *options, check=True).stdout)["left_out"]
    text = printed(tmp_path / "cut", "--format=text", *options, check=True).stdout
    lost = sum(c["in_use_bytes"] for c in whole["contexts"][3:])
    blocks = sum(c["in_use_blocks"] for c in whole["contexts"][3:])
    assert f"\nand {len(whole['contexts']) - 3} more call stacks, {lost} bytes in {blocks} blocks\n" in text


@pytest.mark.parametrize("change", [{"frees": 99}, {"in_use_bytes": 10 ** 9}, {"id": 10 ** 9}])
def test_a_json_report_that_contradicts_itself(leaky, tmp_path, change):
    run("-q", "--format=json", "-o", tmp_path / "r", leaky)
    report = json.loads((tmp_path / "r").read_text())
    report["contexts"][0].update(change)
    (tmp_path / "r").write_text(json.dumps(report))
    done = printed(tmp_path / "r", "--format=text")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "memtrace-fs: the report is damaged: its counts contradict themselves\n"


@pytest.mark.limit(120)
@pytest.mark.parametrize("kind", [Python, Redis], ids=lambda kind: kind.__name__.lower())
def test_names_of_later(kind, started, tmp_path):
    """A memtrace without memtrace-fs knows the dynamic symbols; what is printed later is what it
    would have printed with the files of now, for stacks that are unwound the same way."""
    (tmp_path / "alone").mkdir()
    alone = shutil.copy(MEMTRACE, tmp_path / "alone")
    _, _, path = both_ways(kind, started, tmp_path, command=alone, env=NOWHERE, stderr=subprocess.DEVNULL)
    (tmp_path / "nothing").mkdir()
    options = ["--format=json", "--all", "-n", "0"]
    bare = json_report.load(printed(path, *options, tmp_path / "nothing", check=True).stdout)
    named = json_report.load(printed(path, *options, "/usr/lib/debug", check=True).stdout)
    assert bare["summary"] == named["summary"]
    assert len(bare["contexts"]) == len(named["contexts"]) > 20

    def machine_frames(report):
        return [[(f["module"], f["offset"]) for f in c["stack"] if not f["inlined"]] for c in report["contexts"]]

    def functions(report):
        return [f["function"] for c in report["contexts"] for f in c["stack"] if not f["inlined"]]

    assert machine_frames(bare) == machine_frames(named)
    assert {m["symbols_from"] for m in bare["modules"]} <= {None, "none", "dynamic symbols"}
    assert sum(name is not None for name in functions(bare)) < sum(name is not None for name in functions(named))


LEAK = """
#include <stdlib.h>
#include <string.h>
char *volatile kept;
__attribute__((noinline)) static void forget(void) { kept = strdup("forgotten"); }
int main(void) { for (int i = 0; i < 30; i++) forget(); return 0; }
"""


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    directory = tmp_path_factory.mktemp("leaky")
    (directory / "leaky.c").write_text(LEAK)
    subprocess.run(["gcc", "-g", "-O1", "-fno-builtin", "-o", directory / "leaky", directory / "leaky.c"], check=True)
    return directory / "leaky"


def run(*argv, **more):
    return subprocess.run([MEMTRACE, *argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)


def test_at_the_end(leaky, tmp_path):
    """--format=snapshot: of all call stacks, whatever -n says."""
    done = run("-q", "--format=snapshot", "-n", "1", "-o", tmp_path / "s", leaky)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    text = printed(tmp_path / "s", "--all").stdout
    assert "300 bytes in 30 blocks were not free (100%)\n    30 allocs, 0 frees\n    forget() in " in text
    assert [p.name for p in tmp_path.iterdir()] == ["s"]


def test_names_of_hidden_functions_are_not_known_without_files(leaky, tmp_path):
    shutil.copy(MEMTRACE, tmp_path / "memtrace")
    subprocess.run(["strip", "-o", tmp_path / "leaky", leaky], check=True)
    subprocess.run([tmp_path / "memtrace", "-q", "--format=snapshot", "-o", tmp_path / "s", tmp_path / "leaky"],
                   check=True, env=NOWHERE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (tmp_path / "nothing").mkdir()
    assert "forget" not in printed(tmp_path / "s", tmp_path / "nothing", check=True).stdout
    assert "    forget() in " in printed(tmp_path / "s", leaky.parent, check=True).stdout


@pytest.mark.parametrize("options", [["-p", "1"], ["true"]])
def test_no_terminal(options):
    """A snapshot is no text."""
    ours, theirs = os.openpty()
    try:
        done = subprocess.run([MEMTRACE, "--format=snapshot", *options], stdin=subprocess.DEVNULL, stdout=theirs,
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert done.stderr == "memtrace: --format=snapshot is no text: give a FILE with --output\n"
        name = os.ttyname(theirs)
        done = run("-q", "-o", "/dev/null", "-x", f"save {name}", "true")
        assert done.stderr == f"memtrace: can't write {name}: it is a terminal, and this no text\n"
    finally:
        os.close(ours)
        os.close(theirs)


def test_into_a_pipe(leaky, tmp_path):
    """Written front to back: a pipe will do."""
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    done = run("-q", "--format=snapshot", "-o", tmp_path / "pipe", leaky)
    (tmp_path / "s").write_bytes(reader.communicate(timeout=20)[0])
    assert (done.returncode, done.stderr) == (0, "")
    assert "forget() in " in printed(tmp_path / "s", check=True).stdout


def test_through_a_link(leaky, tmp_path):
    """What is replaced is the file; the link stays one, and the mode of the file."""
    (tmp_path / "there").write_text("old")
    (tmp_path / "there").chmod(0o640)
    (tmp_path / "link").symlink_to("there")
    assert run("-q", "--format=snapshot", "-o", tmp_path / "link", leaky).returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o640
    assert "forget() in " in printed(tmp_path / "link", check=True).stdout


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KB, with an old snapshot on it, and full but for a page."""
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", place], capture_output=True).returncode:
        pytest.skip("may not mount")
    (place / "s").write_text("old")
    (place / "rest").write_bytes(bytes(56 << 10))
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("way", ["save", "output"])
def test_full_disk(small_disk, started, tmp_path, way):
    """It is said, what was there stays, and nothing half is left; a process has more call stacks
    than there is place for."""
    program = Python(started, tmp_path)
    options = {"save": ["-o", os.devnull], "output": ["--format=snapshot", "-o", small_disk / "s"]}[way]
    tracer = memtrace.Process([MEMTRACE, "-q", "--no-symbols", *options, "-p", program.process.pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("^HEAP SUMMARY")
    program.work()
    if way == "save":
        tracer.send(f"save {small_disk}/s")
    tracer.send("quit")
    status = tracer.wait()
    said = "\n".join(tracer.err)
    assert "No space left on device" in said and str(small_disk / "s") in said, tracer.story()
    assert status == (1 if way == "output" else 0)
    assert (small_disk / "s").read_text() == "old"
    assert sorted(p.name for p in small_disk.iterdir()) == ["rest", "s"]
    program.work()


def test_what_is_none(tmp_path):
    (tmp_path / "text").write_text("Process 1 (x), watched for 1.0 s\n")
    done = printed(tmp_path / "text")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == (f"memtrace-fs: {tmp_path}/text: neither a snapshot nor a JSON report of memtrace; names "
                           "are not put into text (memtrace --format=snapshot)\n")
    (tmp_path / "cut").write_bytes(b"\x89MTS\r\n\x1a\n\1\0\0\0")
    done = printed(tmp_path / "cut")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"memtrace-fs: {tmp_path}/cut: the snapshot file is cut short\n"


def test_options_of_the_report(leaky, tmp_path):
    run("-q", "--format=snapshot", "-o", tmp_path / "s", leaky)
    assert "MODULES" in printed(tmp_path / "s", "-v", check=True).stdout
    for argv, why in ((["--format=xml"], "--format: 'xml' is not one of: text, json, folded, pprof, speedscope, "
                       "heaptrack, dhat, massif, gperftools, html, snapshot, junit, sarif"),
                      (["--sort=size"], "--sort: 'size' is not one of: verdict, bytes, blocks, allocs, growth, age, rate"),
                      (["-n", "-1"], "--count: '-1' is not a number")):
        done = printed(tmp_path / "s", *argv)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"memtrace-fs: {why}\n")


def folded(text):
    """Collapsed stacks: {stack, outermost function first: bytes}."""
    stacks = collections.Counter()
    for line in text.splitlines():
        stack, _, size = line.rpartition(" ")
        stacks[tuple(stack.split(";"))] += int(size)
    return stacks


def as_folded(report):
    """The same of a JSON report that has all call stacks."""
    stacks = collections.Counter()
    for context in report["contexts"]:
        stack = [f["function"] or f"{os.path.basename(f['module'])}+{f['offset']}" for f in context["stack"]]
        cut = [] if context["stack_end"] == "root" else [f"[stack cut: {context['stack_end']}]"]
        if context["in_use_bytes"]:
            stacks[(*cut, *reversed(stack))] += context["in_use_bytes"]
    return stacks


def test_collapsed_stacks(leaky, tmp_path):
    """--format=folded, at the end, of a snapshot and of JSON: what JSON has, whatever -n says."""
    python = "/usr/bin/python3", "-S", "-c", "import json"
    run("-q", "--format=json", "--all", "-n", "0", "-o", tmp_path / "json", *python, check=True)
    report = json_report.load((tmp_path / "json").read_text())
    (tmp_path / "nothing").mkdir()
    stacks = folded(printed(tmp_path / "json", "-n", "1", "--format=folded", tmp_path / "nothing", check=True).stdout)
    assert stacks == as_folded(report)
    assert sum(stacks.values()) == report["summary"]["in_use_bytes"]
    assert len(stacks) > 10
    run("-q", "-n", "1", "--format=folded", "-o", tmp_path / "folded", leaky, check=True)
    live = (tmp_path / "folded").read_text()
    run("-q", "--format=snapshot", "-o", tmp_path / "s", leaky, check=True)
    assert live == printed(tmp_path / "s", "-n", "1", "--format=folded", check=True).stdout
    run("-q", "--format=json", "-n", "0", "-o", tmp_path / "json", leaky, check=True)
    assert folded(live) == as_folded(json_report.load((tmp_path / "json").read_text()))
