#!/usr/bin/env python3
"""What memtrace costs, in one run on one machine: `make bench`.

Tables:
  1. a malloc+free pair under memtrace against the bare limit (3 stops with registers and
     2 KB of stack), by threads and depth; under gdb and ltrace where they are installed
     and what the agent adds to one
  2. what is left of the cost after detach
     and what a fork costs that is not followed
  3. the longest pause of any thread at attach, report and detach, and while a report of
     100 000 call stacks is made
  4. memory per live block and per distinct call stack
  5. sizes of the stripped files; those for other CPUs: make bench-cross

Other load on the machine blurs wall time; CPU time (of memtrace and its target together)
is the steadier figure.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

import memtrace  # noqa: E402

LIMIT = memtrace.BUILD / "tests" / "bench" / "ptrace_limit"
ROUNDS = int(os.environ.get("ROUNDS", "3"))
QUIET = ("--no-symbols", "-q")


def row(*cells):
    print("".join(f"{cell:>{width}}" for cell, width in zip(cells, (34, 12, 12, 12, 12, 12))))


def heading(text, *columns):
    print(f"\n{text}\n")
    row("", *columns)


def median(values):
    return sorted(values)[len(values) // 2]


def bare_stop(*options):
    """(wall, cpu) nanoseconds of a stop, the medians of ROUNDS."""
    found = []
    for _ in range(ROUNDS):
        run = subprocess.run([LIMIT, "20000", *options], capture_output=True, text=True, check=True)
        match = re.match(r"STOPS \d+ wall (\d+) cpu (\d+)", run.stdout)
        found.append((int(match[1]), int(match[2])))
    return median([w for w, _ in found]), median([c for _, c in found])


def cpu_ns(pid):
    total = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        total += int(memtrace._read_proc(pid, f"task/{tid}/schedstat").split()[0])
    return total


def one_core(process):
    """Everything of a process on core 0."""
    for tid in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(tid), {0})


def measure(target, tracer_pid):
    """One pass of pairs: (wall per pair, cpu per pair, fastest / slowest thread)."""
    cpu = cpu_ns(target.pid) + (cpu_ns(tracer_pid) if tracer_pid else 0)
    target.send()
    match = target.wait_line(r"^PAIRS (\d+) (\d+) (\d+) (\d+)$")
    cpu = cpu_ns(target.pid) + (cpu_ns(tracer_pid) if tracer_pid else 0) - cpu
    pairs, wall, least, most = map(int, match.groups())
    return wall / pairs, cpu / pairs, most / max(least, 1)


def pairs(threads, depth, together, directory):
    target = memtrace.Target("pairs", threads, depth, "700").ready()
    tracer = None
    try:
        if together:
            one_core(target)
        tracer = memtrace.Memtrace(target.pid, directory / "report", *QUIET).attached()
        if together:
            one_core(tracer)
        found = [measure(target, tracer.pid) for _ in range(ROUNDS)]
        tracer.detach().consistent()
        return [median(column) for column in zip(*found)]
    finally:
        if tracer:
            tracer.end()
        target.end()


def pair_table(directory):
    wall, cpu = bare_stop()
    apart, _ = bare_stop("own")
    heading("a malloc+free pair, microseconds", "wall", "cpu", "ratio wall", "ratio cpu", "fairness")
    row("bare: 3 int3 stops, one core", f"{3 * wall / 1000:.1f}", f"{3 * cpu / 1000:.1f}", "1.00", "1.00")
    row("bare: 3 int3 stops, two cores", f"{3 * apart / 1000:.1f}")
    for together in (True, False):
        for threads in (1, 2, 8):
            for depth in (5, 30):
                took, used, fair = pairs(threads, depth, together, directory)
                row(f"{threads} thread{'s' if threads > 1 else ''}, depth {depth}, "
                    f"{'one core' if together else 'free'}",
                    f"{took / 1000:.1f}", f"{used / 1000:.1f}", f"{took / wall / 3:.2f}",
                    f"{used / cpu / 3:.2f}", f"{fair:.1f}")
    return wall


def agent_pair(threads, depth, directory):
    """(native, added by the agent, slow calls per thousand pairs)"""
    target = memtrace.Target("pairs", threads, depth, "300").ready()
    try:
        native = min(measure(target, None)[1] for _ in range(ROUNDS))
        tracer = memtrace.Memtrace(target.pid, directory / "report", *QUIET, "--engine=agent").attached()
        measure(target, None)  # all becomes known
        before = cpu_ns(tracer.pid)
        used = min(measure(target, None)[1] for _ in range(ROUNDS))
        slow = cpu_ns(tracer.pid) - before
        tracer.detach().consistent()
        return native, used - native, slow
    finally:
        target.end()


def agent_table(directory):
    """--engine=agent: known calls are counted in the process; heaptrack -p beside it, where it is installed."""
    heading("a malloc+free pair with --engine=agent, CPU nanoseconds", "native", "added", "memtrace us")
    for threads in (1, 2):
        for depth in (5, 10, 30):
            native, added, slow = agent_pair(threads, depth, directory)
            row(f"{threads} thread{'s' if threads > 1 else ''}, depth {depth}", f"{native:.1f}", f"{added:.1f}",
                f"{slow / 1000:.0f}")


def left_over(directory):
    """Nanoseconds of a pair of an untraced process, before it was traced and after."""
    heading("a malloc+free pair of a process that isn't traced, nanoseconds", "before", "after")
    target = memtrace.Target("pairs", 1, 5, "200").ready()
    try:
        before = median([measure(target, None)[1] for _ in range(ROUNDS)])
        tracer = memtrace.Memtrace(target.pid, directory / "report", *QUIET).attached()
        measure(target, tracer.pid)
        tracer.detach()
        after = median([measure(target, None)[1] for _ in range(ROUNDS)])
        row("", f"{before:.1f}", f"{after:.1f}")
    finally:
        target.end()


def system_calls(directory):
    """memtrace's own system calls per pair, by strace."""
    if not shutil.which("strace"):
        row("system calls per pair", "strace is not installed")
        return
    target = memtrace.Target("pairs", 1, 5, "700").ready()
    tracer = memtrace.Memtrace(target.pid, directory / "report", *QUIET).attached()
    counts = directory / "calls"
    strace = subprocess.Popen(["strace", "-c", "-f", "-p", str(tracer.pid), "-o", counts],
                              stderr=subprocess.PIPE, text=True)
    try:
        strace.stderr.readline()  # it is attached
        target.send()
        pairs = int(target.wait_line(r"^PAIRS (\d+)")[1])
        strace.send_signal(signal.SIGINT)
        strace.wait()
        calls = {line.split()[-1]: int(line.split()[3]) for line in counts.read_text().splitlines()
                 if re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+\d+", line) and line.split()[-1] != "total"}
        often = {name: f"{count / pairs:.1f}" for name, count in calls.items() if count > pairs / 20}
        row("system calls per pair", f"{sum(calls.values()) / pairs:.1f}  {often}")
    finally:
        strace.kill()
        tracer.end()
        target.end()


def gdb_pairs(wall):
    """gdb with silent breakpoints that go on at once; its own run of a few passes."""
    if not shutil.which("gdb"):
        row("gdb", "not installed")
        return
    target = memtrace.Target("pairs", 1, 5, "700").ready()
    commands = ["set pagination off", "set confirm off", "break malloc", "commands\nsilent\nbt -1\ncontinue\nend",
                "break free", "commands\nsilent\ncontinue\nend"]
    script = tempfile.NamedTemporaryFile("w", suffix=".gdb")
    script.write("\n".join(commands) + "\ncontinue\n")
    script.flush()
    gdb = memtrace.Process(["gdb", "-nx", "-q", "-batch", "-p", target.pid, "-x", script.name], stdin=subprocess.DEVNULL)
    try:
        gdb.wait_line("Breakpoint 2 at|Breakpoint 2")
        took, _, _ = measure(target, None)
        row("gdb: breakpoints with backtrace", f"{took / 1000:.1f}", "", f"{took / wall / 3:.2f}")
    except memtrace.Failed as error:
        row("gdb: failed", str(error).splitlines()[0][:60])
    finally:
        gdb.end()
        target.end()


def ltrace_pairs(wall):
    if not shutil.which("ltrace"):
        row("ltrace", "not installed")
        return
    target = memtrace.Target("pairs", 1, 5, "700").ready()
    ltrace = memtrace.Process(["ltrace", "-e", "malloc+free", "-o", "/dev/null", "-p", target.pid])
    try:
        took, _, _ = measure(target, None)
        row("ltrace", f"{took / 1000:.1f}", "", f"{took / wall / 3:.2f}")
    finally:
        ltrace.end()
        target.end()


def round_of_beats(target, threads):
    """The longest pause until every thread has beaten about twice, and since the last time."""
    target.send("gap")
    match = target.wait_line(r"^GAP (\d+) (\d+)$")
    worst, start = int(match[1]), int(match[2])
    while True:
        time.sleep(0.05)
        target.send("gap")
        match = target.wait_line(r"^GAP (\d+) (\d+)$")
        worst = max(worst, int(match[1]))
        if int(match[2]) - start >= max(300, 2 * threads):
            return worst


def phases(target, threads, directory):
    """Microseconds: untraced, at attach, traced, at a report, at detach."""
    target.wait_line("^READY")
    round_of_beats(target, threads)
    found = [round_of_beats(target, threads)]
    tracer = memtrace.Memtrace(target.pid, directory / "report", "-q").attached()
    try:
        found.append(round_of_beats(target, threads))
        found.append(round_of_beats(target, threads))
        tracer.send("report -n 3")
        tracer.status()
        found.append(round_of_beats(target, threads))
        tracer.detach(check=False)
        found.append(round_of_beats(target, threads))
    finally:
        tracer.end()
    return found


def pauses(directory):
    heading("the longest pause of any thread, milliseconds: median (least)",
            "untraced", "attach", "traced", "report", "detach")
    modules = [shutil.copy(memtrace.TARGETS / "plugin_a.so", directory / f"module{i}.so") for i in range(100)]
    for name, threads, more in (("1 thread", 1, ()), ("100 threads", 100, ()), ("1000 threads", 1000, ()),
                                ("1 thread, 100 modules", 1, modules)):
        found = []
        for _ in range(ROUNDS):
            target = memtrace.Target("heartbeat", threads, *more)
            try:
                found.append(phases(target, threads, directory))
            finally:
                target.end()
        row(name, *(f"{median(column) / 1000:.1f} ({min(column) / 1000:.1f})" for column in zip(*found)))


def large_report(directory):
    """The longest pause while a report of 100 000 call stacks is made and printed."""
    heading("while 100 000 call stacks are reported, milliseconds", "report took", "pause")
    target = memtrace.Target("heartbeat", "4")
    target.wait_line("^READY")
    tracer = memtrace.Memtrace(target.pid, directory / "report", "-q").attached()
    try:
        target.send("stacks")
        target.wait_line("^STACKS", timeout=300)
        tracer.status()
        plain = round_of_beats(target, 4)
        begin = time.monotonic()
        tracer.send("report -n 0")
        tracer.status()
        took = time.monotonic() - begin
        row("before: traced", "", f"{plain / 1000:.1f}")
        row("report", f"{took * 1000:.0f}", f"{round_of_beats(target, 4) / 1000:.1f}")
    finally:
        tracer.end()
        target.end()


def resident(pid):
    return int(re.search(r"^VmRSS:\s+(\d+) kB", memtrace._read_proc(pid, "status"), re.M)[1]) * 1024


def memory(directory):
    heading("memtrace's memory, bytes", "blocks", "stacks", "grown", "per block", "per stack")
    for blocks, stacks in ((300000, 64), (100000, 100000)):
        target = memtrace.Target("live", blocks, stacks).ready()
        tracer = memtrace.Memtrace(target.pid, directory / "report", *QUIET).attached()
        try:
            before = resident(tracer.pid)
            target.go_on()
            target.wait_line("^DONE$", timeout=300)
            tracer.status()
            grown = resident(tracer.pid) - before
            row("", blocks, stacks, grown, f"{grown / blocks:.0f}", f"{grown / stacks:.0f}" if stacks > 1000 else "")
        finally:
            tracer.end()
            target.end()


def sizes(directory):
    heading("memtrace's size, stripped", "KB")
    top = pathlib.Path(__file__).resolve().parents[2]
    built = {"this build": memtrace.MEMTRACE}
    for name, setting in (("glibc, static", []), ("musl, static", ["CC=musl-gcc"])):
        if setting and not shutil.which("musl-gcc"):
            continue
        out = directory / name.split(",")[0]
        subprocess.run(["make", "-s", "-j2", "-C", top, "STATIC=1", f"O={out}", *setting, out / "memtrace"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={k: v for k, v in os.environ.items() if k not in ("O", "MAKEFLAGS")})
        built[name] = out / "memtrace"
    for name, program in built.items():
        subprocess.run(["strip", "-s", "-o", directory / "stripped", program], check=True)
        row(name, f"{(directory / 'stripped').stat().st_size / 1000:.0f}")


def forks_of(target):
    """(wall, cpu) nanoseconds of a fork, exit and wait, the least of ROUNDS."""
    found = []
    for _ in range(ROUNDS):
        target.send()
        found.append(tuple(map(int, target.wait_line(r"^FORKS (\d+) (\d+)$").groups())))
    return min(w for w, _ in found), min(c for _, c in found)


def fork_table(directory):
    """A child that nobody follows; what memtrace itself takes for it counts, too."""
    heading("fork, exit, wait, not followed, us", "wall", "CPU", "memtrace", "ratio")
    for megabytes in (1, 100):
        target = memtrace.Process([memtrace.BUILD / "tests" / "bench" / "forks", str(megabytes)])
        try:
            target.wait_line("^READY")
            native = forks_of(target)
            row(f"{megabytes} MB, native", f"{native[0] / 1000:.0f}", f"{native[1] / 1000:.0f}")
            for engine in "trap", "agent":
                tracer = memtrace.Memtrace(target.pid, directory / "report", *QUIET, f"--engine={engine}").attached()
                before = cpu_ns(tracer.pid)
                wall, cpu = forks_of(target)
                used = (cpu_ns(tracer.pid) - before) / (ROUNDS * 500)
                row(f"{megabytes} MB, {engine}", f"{wall / 1000:.0f}", f"{cpu / 1000:.0f}", f"{used / 1000:.0f}",
                    f"{wall / native[0]:.2f}")
                tracer.detach().consistent()
        finally:
            target.end()


def main():
    with open("/proc/loadavg") as load:
        print(f"{os.cpu_count()} cores, load {load.read().split()[0]}, {os.uname().release}, medians of {ROUNDS}")
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        wall = pair_table(directory)
        agent_table(directory)
        gdb_pairs(wall)
        ltrace_pairs(wall)
        system_calls(directory)
        left_over(directory)
        fork_table(directory)
        pauses(directory)
        large_report(directory)
        memory(directory)
        sizes(directory)


if __name__ == "__main__":
    main()
