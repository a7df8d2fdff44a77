#!/usr/bin/env python3
"""What whole programs cost under memtrace, from their start to their end: `make bench`.

  1. user and system time of program and memtrace together against the program's alone, by turns; the
     least of ROUNDS.  Goal: geometric mean 1.2, none above 1.4.  Where the rest goes: into the start (the
     same program with next to nothing to do), calls that were stopped, and what each allocation adds to that
  2. the same for each allocation of a program with 10 000 call stacks and with 100 000.  Goal: 2 at most
"""
import math
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

import memtrace  # noqa: E402
import programs  # noqa: E402
import json_report  # noqa: E402
from bench import ROUNDS, heading, row  # noqa: E402

BLOCKS = 500000


def cpu(argv, **popen):
    """Seconds of a process and of those that it waits for."""
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(argv, stdin=nowhere, stdout=nowhere, stderr=nowhere, **popen)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        sys.exit(f"{argv[0]}: status {status}")
    return used.ru_utime + used.ru_stime


def watched(argv, report):
    return [memtrace.MEMTRACE, "--no-symbols", "-q", "--engine=agent", "--format=json", "-o", report, "--", *argv]


def by_turns(argv, report):
    """(alone, watched) seconds of CPU, and the report."""
    env = programs.steady_env()
    found = [(cpu(argv, env=env), cpu(watched(argv, report), env=env)) for _ in range(ROUNDS)]
    alone, under = (min(column) for column in zip(*found))
    return alone, under, json_report.load(report.read_text())


def program_table(directory):
    sizes = {"python json": (programs.python_argv, 20000, 1), "sqlite3": (programs.sqlite_argv, 60000, 1),
             "perl": (programs.perl_argv, 40000, 1), "cc1": (lambda _: programs.cc1_argv(directory), 0, 0)}
    heading("whole programs, CPU seconds", "alone", "ratio", "start", "ns an alloc", "stopped")
    ratios = []
    for name, (argv, size, least) in sizes.items():
        alone, under, report = by_turns(argv(size), directory / "report")
        ratios.append(under / alone)
        start, each = "", ""
        if size:
            nothing, begun, _ = by_turns(argv(least), directory / "begun")
            start = f"{begun - nothing:.2f}"
            each = f"{(under - alone - begun + nothing) / report['summary']['allocs'] * 1e9:.0f}"
        row(name, f"{alone:.2f}", f"{under / alone:.2f}", start, each, report["stopped_calls"])
    row("geometric mean (goal 1.20)", "", f"{math.prod(ratios) ** (1 / len(ratios)):.2f}")
    row("worst (goal 1.40)", "", f"{max(ratios):.2f}")


def stack_table(directory):
    heading(f"{BLOCKS} blocks of many call stacks, CPU seconds", "alone", "watched", "ns an alloc")
    found = []
    for stacks in (10000, 100000):
        alone, under, _ = by_turns([memtrace.TARGETS / "live", str(BLOCKS), str(stacks)], directory / "report")
        found.append((under - alone) / BLOCKS * 1e9)
        row(f"{stacks} call stacks", f"{alone:.2f}", f"{under:.2f}", f"{found[-1]:.0f}")
    row("ratio (goal 2.00)", "", "", f"{found[1] / found[0]:.2f}")


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        program_table(directory)
        stack_table(directory)


if __name__ == "__main__":
    main()
