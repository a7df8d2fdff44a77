"""Running memtrace and its targets from a test.

Nothing here sleeps: a test waits for lines (READY of a target, HEAP SUMMARY of an
attached memtrace) or for the end of a process.  Everything started is ended by its
pid when the test is over, whatever happened.
"""
import ctypes
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import threading
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import json_report  # noqa: E402

BUILD = pathlib.Path(os.environ.get("O", "build")).resolve()
# `make SAN=address check`: built with sanitizers, it takes its time.
SAN = os.environ.get("SAN")
SLOWNESS = 5 if SAN else 1
MEMTRACE = BUILD / "memtrace"
# `MEMTRACE_ENGINE=agent`: tests that don't choose one run with this engine.
ENGINE = os.environ.get("MEMTRACE_ENGINE")
ENGINE_OPTIONS = [f"--engine={ENGINE}"] if ENGINE else []
TARGETS = BUILD / "tests" / "targets"
PATIENCE = 60.0 * SLOWNESS  # seconds until something that should happen counts as not happening


class Failed(AssertionError):
    """A process did not do what it should; says what it printed."""


class Process:
    """A started program whose lines are collected as they come."""

    started = []  # those that may still run

    def __init__(self, argv, **popen):
        self.argv = [str(a) for a in argv]
        self.process = subprocess.Popen(
            self.argv, stdin=popen.pop("stdin", subprocess.PIPE), stdout=subprocess.PIPE,
            stderr=popen.pop("stderr", subprocess.PIPE), **popen)
        self.pid = self.process.pid
        Process.started = [p for p in Process.started if p.alive()] + [self]
        self.out, self.err = [], []
        self._news = threading.Condition()
        self._read = 0
        self._open = 0
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            if stream:
                self._open += 1
                threading.Thread(target=self._collect, args=(stream, lines), daemon=True).start()

    def _collect(self, stream, lines):
        for line in stream:
            with self._news:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._open -= 1
            self._news.notify_all()

    def story(self):
        status = self.process.poll()
        return (f"{' '.join(self.argv)}: {'still runs' if status is None else f'status {status}'}\n"
                f"stdout: {self.out[-30:]}\nstderr: {self.err[-30:]}")

    def wait_line(self, pattern, timeout=PATIENCE):
        """The next line of stdout that matches, a match object; those before it are passed."""
        end = time.monotonic() + timeout
        with self._news:
            while True:
                while self._read < len(self.out):
                    self._read += 1
                    match = re.search(pattern, self.out[self._read - 1])
                    if match:
                        return match
                left = end - time.monotonic()
                if left <= 0 or self._open == 0:
                    raise Failed(f"no line like {pattern!r} from {self.story()}")
                self._news.wait(left)

    def wait_said(self, pattern, timeout=PATIENCE):
        """Until a line of stderr matches; what is on stdout may be read before it."""
        end = time.monotonic() + timeout
        with self._news:
            while not any(re.search(pattern, line) for line in self.err):
                left = end - time.monotonic()
                if left <= 0 or self._open == 0:
                    raise Failed(f"does not say {pattern!r}: {self.story()}")
                self._news.wait(left)

    def send(self, line=""):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def wait(self, timeout=PATIENCE):
        """The exit status, once it has ended and everything it printed is here."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failed(f"does not end: {self.story()}") from None
        end = time.monotonic() + 5
        with self._news:
            while self._open and time.monotonic() < end:
                self._news.wait(0.5)
        return status

    def alive(self):
        return self.process.poll() is None

    def end(self):
        """Ends it and what it started, stopped or not.  The collecting threads end
        with the last process that holds the pipes."""
        if self.alive():
            below = descendants(self.pid)
            self.process.kill()
            self.process.wait()
            signal_all(below)
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass


class Target(Process):
    """A program of tests/targets/; see target.h for what it says and awaits."""

    def __init__(self, name, *args, command=(), **popen):
        super().__init__([*command, TARGETS / name, *args], **popen)

    def ready(self):
        self.wait_line(r"^READY (\d+)$")
        return self

    def go_on(self):
        self.send()

    def done(self):
        self.wait_line(r"^DONE$")

    def result(self):
        """Its last line; the verdict has been checked, and that it ended by itself."""
        result = parse_result([self.wait_line(r"^RESULT (\{.*\})$").group(0)])
        status = self.wait()
        if status != 0:
            raise Failed(f"the target ended badly: {self.story()}")
        return result


class Memtrace(Process):
    """A memtrace with a console on a pipe, attached to pid; its report is JSON in a file."""

    def __init__(self, pid, output, *options, env=None, command=()):
        self.output = pathlib.Path(output)
        self.target = pid
        super().__init__([*command, MEMTRACE, "--format=json", "-n", "0", "--all", "-o", self.output,
                          *ENGINE_OPTIONS, *options, "-p", pid], env=env)

    def attached(self):
        """Waits until it counts: the console answers."""
        self.status()
        return self

    def status(self):
        """{'bytes', 'blocks', 'allocs', 'frees', 'allocated'} of the console's status."""
        self.send("status")
        self.wait_line(r"HEAP SUMMARY")
        use = self.wait_line(r"^    in use: (?:about )?(\d+) bytes? in (\d+) blocks?\b")
        total = self.wait_line(r"total heap usage: (?:about )?(\d+) allocs?, (\d+) frees?, (\d+) bytes?\b")
        names = ("bytes", "blocks", "allocs", "frees", "allocated")
        return dict(zip(names, map(int, use.groups() + total.groups())))

    def detach(self, check=True):
        """Quits; the target must be as if nothing had been.  Returns the report."""
        self.send("quit")
        self.process.stdin.close()
        status = self.wait()
        if status != 0:
            raise Failed(f"memtrace ended badly: {self.story()}")
        if check:
            untouched(self.target)
        return self.report()

    def report(self):
        """The final report, once it has ended."""
        return Report(json_report.load(self.output.read_text()))


def parse_result(lines):
    """The RESULT among a target's lines, its verdict checked."""
    result = next(json.loads(line[7:]) for line in reversed(lines) if line.startswith("RESULT "))
    if result["verdict"] != "ok":
        raise Failed(f"the target's verdict: {result['verdict']}")
    return result


def launch(output, argv, *options, timeout=PATIENCE, **popen):
    """Runs a program under memtrace to its end: (status, lines of stdout, Report)."""
    process = Process([MEMTRACE, "--format=json", "-n", "0", "--all", "-o", output, *ENGINE_OPTIONS, *options,
                       *argv],
                      stdin=popen.pop("stdin", subprocess.DEVNULL), **popen)
    try:
        status = process.wait(timeout)
        path = pathlib.Path(output)
        if not path.exists():
            raise Failed(f"no report: {process.story()}")
        return status, process.out, Report(json_report.load(path.read_text()))
    finally:
        process.end()


class Report(dict):
    """The JSON report."""

    NAMES = ("allocs", "frees", "allocated_bytes", "freed_bytes")

    def counts(self):
        return {name: self["summary"][name] for name in self.NAMES}

    def through(self, *functions):
        """Sums over the contexts whose stack passes any of the functions."""
        names = ("in_use_bytes", "in_use_blocks", "allocs", "frees", "allocated_bytes")
        sums = dict.fromkeys(names, 0)
        for context in self["contexts"]:
            if any((frame["function"] or "").split("(")[0] in functions for frame in context["stack"]):
                for name in names:
                    sums[name] += context[name]
        return sums

    def consistent(self):
        """What must hold in every report."""
        summary = self["summary"]
        assert summary["lost_events"] == 0
        assert summary["allocs"] - summary["frees"] == summary["in_use_blocks"]
        assert summary["allocated_bytes"] - summary["freed_bytes"] == summary["in_use_bytes"]
        for name in ("in_use_bytes", "in_use_blocks", "allocs", "frees", "allocated_bytes"):
            assert sum(c[name] for c in self["contexts"]) == summary[name], name
        for context in self["contexts"]:
            assert context["allocs"] - context["frees"] == context["in_use_blocks"]
        return self


# ---- left without a trace -----------------------------------------------------

def _read_proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace")


def task(pid):
    """PID/task/TID of a thread that lives: the first one may have ended before the others."""
    for tid in os.listdir(f"/proc/{pid}/task"):
        if _read_proc(pid, f"task/{tid}/stat").rsplit(")", 1)[1].split()[0] not in "ZX":
            return f"{pid}/task/{tid}"
    raise Failed(f"process {pid} has no living thread: {_read_proc(pid, 'stat').split()[-1]} is its exit code")


def _mappings(pid):
    for line in _read_proc(task(pid), "maps").splitlines():
        match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) ([0-9a-f]+) (\S+) (\d+)\s*(.*)", line)
        begin, end, offset = (int(match[i], 16) for i in (1, 2, 4))
        yield begin, end, match[3], offset, int(match[6]), match[7]


def _exec_segments(data):
    """(vaddr, offset, file size) of the PT_LOADs with PF_X of an ELF file's bytes."""
    if data[:5] != b"\x7fELF\x02":
        return
    phoff, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for i in range(count):
        kind, flags, offset, vaddr, _, filesz, memsz, _ = struct.unpack_from("<IIQQQQQQ", data, phoff + i * size)
        if kind == 1 and flags & 1:
            yield vaddr, offset, filesz


def _text_traces(pid, mem, begin, end, offset, path):
    """Compares an executable mapping with its file.  Returns (complaints, slack), slack =
    (begin, end, the bytes there that are not the file's)."""
    name = f"/proc/{pid}/map_files/{begin:x}-{end:x}"
    try:
        data = pathlib.Path(name).read_bytes()
    except OSError:
        data = pathlib.Path(f"/proc/{task(pid)}/root{path}").read_bytes()
    complaints, slack = [], None
    for vaddr, file_offset, filesz in _exec_segments(data):
        page = file_offset & ~4095
        if not page <= offset < file_offset + filesz:
            continue
        first, last = max(offset, file_offset), file_offset + filesz
        os_begin = begin + first - offset
        length = min(last - first, end - os_begin)
        now = os.pread(mem, length, os_begin)
        if now != data[first:first + length]:
            where = next(i for i in range(length) if now[i] != data[first + i])
            complaints.append(
                f"{path}: text differs at file offset {first + where:#x} (address {os_begin + where:#x}): "
                f"{now[where:where + 8].hex()} for {data[first + where:first + where + 8].hex()}")
        tail = os_begin + length
        if tail < end:
            now = os.pread(mem, end - tail, tail)
            original = data[last:last + end - tail].ljust(end - tail, b"\0")
            changed = [i for i in range(end - tail) if now[i] != original[i]]
            slack = (tail, end, {tail + i for i in changed})
    return complaints, slack


def frames(pid, tid):
    """The pc of each frame of a thread, by elfutils."""
    run = subprocess.run(["eu-stack", "-n", "0", "-p", str(pid)], capture_output=True, text=True, timeout=PATIENCE)
    threads = re.split(r"^TID (\d+):$", run.stdout, flags=re.M)
    found = threads[threads.index(str(tid)) + 1] if str(tid) in threads else ""
    return [int(pc, 16) for pc in re.findall(r"^#\d+\s+(0x[0-9a-f]+)", found, re.M)]


def _thread_traces(pid, mem, mappings, slacks):
    for tid in os.listdir(f"/proc/{pid}/task"):
        try:
            status = dict(line.split(":\t", 1) for line in
                          _read_proc(pid, f"task/{tid}/status").splitlines() if ":\t" in line)
            where = _read_proc(pid, f"task/{tid}/syscall").split()
        except (FileNotFoundError, ProcessLookupError, PermissionError):  # or a first thread that has ended
            continue
        if status["State"][0] in "Tt":
            yield f"thread {tid} is stopped: {status['State']}"
        if int(status["TracerPid"]):
            yield f"thread {tid} has tracer {status['TracerPid']}"
        if len(where) < 3:
            continue
        sp, pc = int(where[-2], 16), int(where[-1], 16)
        stack = next((m for m in mappings if m[0] <= sp < m[1]), None)
        if not stack:
            continue
        try:
            raw = os.pread(mem, min(stack[1] - sp, 1 << 20) & ~7, sp)
        except OSError:
            continue
        words = struct.unpack(f"<{len(raw) // 8}Q", raw[:len(raw) & ~7])
        for begin, end, changed in slacks:
            for word in {w for w in words + (pc,) if begin <= w < end}:
                # (a word that looks so may be stale)
                if word not in changed and (word == pc or any(begin <= at < end for at in frames(pid, tid))):
                    yield f"thread {tid} may return to {word:#x} in the slack, where nothing is left"


def _segments(pid, mem):
    """(complaints, slack) of each executable mapping of a file."""
    for begin, end, rights, offset, inode, path in _mappings(pid):
        if "x" in rights and inode:
            yield _text_traces(pid, mem, begin, end, offset, path)


def slack_bytes(pid):
    """How many bytes behind executable segments are not their files'."""
    mem = os.open(f"/proc/{task(pid)}/mem", os.O_RDONLY)
    try:
        return sum(len(slack[2]) for _, slack in _segments(pid, mem) if slack)
    finally:
        os.close(mem)


def traces(pid):
    """What is left of a tracer in a living process, as sentences; [] for nothing.

    Every executable segment must be its file's; behind a segment's file bytes, in the
    last page, inert bytes may stay, and must as long as a stack leads there.
    """
    complaints, slacks = [], []
    mappings = list(_mappings(pid))
    mem = os.open(f"/proc/{task(pid)}/mem", os.O_RDONLY)
    try:
        for found, slack in _segments(pid, mem):
            complaints += found
            if slack:
                slacks.append(slack)
        complaints += _thread_traces(pid, mem, mappings, slacks)
    finally:
        os.close(mem)
    return complaints


def wait_until_untraced(pid):
    """A fork child is traced from birth, until its copy of the code is put back."""
    end = time.monotonic() + PATIENCE
    while "TracerPid:\t0\n" not in _read_proc(pid, "status"):
        assert time.monotonic() < end, f"{pid} is still traced"
        time.sleep(0.001)


def untouched(pid):
    found = traces(pid)
    assert not found, "the target was not left as it was:\n" + "\n".join(found)


def adopt_orphans():
    """What a killed memtrace leaves behind becomes a child of ours."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for_guardians():
    """Waits for the end of the guardians whose memtrace was killed: of every child that
    we did not start."""
    ours = {process.pid for process in Process.started if process.alive()}
    for child in set(children(os.getpid())) - ours:
        try:
            os.waitpid(child, 0)
        except ChildProcessError:
            pass


def fingerprint(pid):
    """What of an idle process must be the same before and after: its mappings of files,
    each thread's signal masks and cores, its descriptors."""
    tasks = {}
    for tid in sorted(os.listdir(f"/proc/{pid}/task")):
        status = _read_proc(pid, f"task/{tid}/status")
        tasks[tid] = re.findall(r"^(?:Sig(?!Q)\w+|ShdPnd|Cpus_allowed|Seccomp|NoNewPrivs):.*$", status, re.M)
    files = [m for m in _mappings(pid) if m[4]]
    return tasks, files, sorted(os.listdir(f"/proc/{pid}/fd"))


def children(pid):
    found = []
    try:
        tids = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return found
    for tid in tids:
        try:
            found += map(int, _read_proc(pid, f"task/{tid}/children").split())
        except (FileNotFoundError, ProcessLookupError):
            pass  # a thread that has just ended
    return found


def wait_until_childless(pid):
    """(What a thread of its own still has to reap: a helper of a copy, whose memtrace was killed.)"""
    end = time.monotonic() + PATIENCE
    while children(pid):
        assert time.monotonic() < end, f"{pid} has the children {children(pid)}"
        time.sleep(0.001)


def descendants(pid):
    """Pids below pid, each before those below it."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def kill_at_once(tracer):
    """A memtrace and what it has started, the guardian.  Stopped first: the guardian would begin
    with its work if it came to run between the two ends."""
    pids = [tracer.pid, *descendants(tracer.pid)]
    signal_all(pids, signal.SIGSTOP)
    signal_all(pids)
    tracer.process.wait()


def signal_all(pids, signo=signal.SIGKILL):
    for pid in pids:
        try:
            os.kill(pid, signo)
        except ProcessLookupError:
            pass
