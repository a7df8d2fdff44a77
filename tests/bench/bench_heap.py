#!/usr/bin/env python3
"""What a look for leaks costs, in one run on one machine: part of `make bench`.

A process with a heap of a given size (heap_fill.c) is looked at by `memtrace --leaks -p`: how long
it stands still (memtrace's own clock), wall and CPU time from start to end, and memory for each
block.  The least of ROUNDS (3): other load blurs wall time and the pause.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

import memtrace  # noqa: E402

FILL = memtrace.BUILD / "tests" / "bench" / "heap_fill"
ROUNDS = int(os.environ.get("ROUNDS", "3"))
# MB, bytes of a block, huge pages
CASES = ((10, 200, False), (100, 200, False), (1000, 200, False), (1000, 200, True), (1000, 80, False))


def look(pid):
    """(pause in ms, wall in s, CPU in s, most KB of memtrace)"""
    begin = time.monotonic()
    process = subprocess.Popen([memtrace.MEMTRACE, "--no-symbols", "-q", "--leaks", "--format=json", "-p", str(pid)],
                               stdout=subprocess.PIPE)
    found = json.load(process.stdout)["leaks"]
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0 and all(a["read"] for a in found["allocators"])
    return found["pause_ms"], time.monotonic() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def huge_mb(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("AnonHugePages")).split()[1]) >> 10


def main():
    print(f"\nA look for leaks, the least of {ROUNDS}\n")
    print(f"{'':>22}{'blocks':>10}{'pause ms':>10}{'wall s':>8}{'CPU s':>8}{'MB':>6}{'bytes a block':>15}")
    for mb, size, huge in CASES:
        env = dict(os.environ, **({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"} if huge else {}))
        filled = subprocess.Popen([FILL, str(mb), str(size), *(["huge"] if huge else [])], env=env, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        try:
            blocks = int(filled.stdout.readline().split()[1])
            pages = f"huge ({huge_mb(filled.pid)} MB)" if huge else "4 KB"
            runs = [look(filled.pid) for _ in range(ROUNDS)]
            pause, wall, cpu, kb = (min(run[i] for run in runs) for i in range(4))
            print(f"{f'{mb} MB, {pages}':>22}{blocks:>10}{pause:>10.1f}{wall:>8.2f}{cpu:>8.2f}{kb >> 10:>6}"
                  f"{kb * 1024 / blocks:>15.1f}", flush=True)
        finally:
            filled.kill()
            filled.wait()


main()
