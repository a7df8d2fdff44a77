#!/usr/bin/python3
"""What memtrace costs on other CPUs: make bench-cross, or tests/cross/bench.py [CPU]...

  sizes     of the stripped files, static by musl and by glibc, and linked to glibc
  stops     of the target per malloc+free pair, by strace watching memtrace
  ratio     of a pair to 3 bare stops (tests/bench/ptrace_limit.c), in wall time, all on one
            core: what an emulator takes means nothing, how much more a pair takes than a
            stop says something
  agent     of CPUs that have one (--engine=agent): microseconds of a pair, how many times less
            than by the trap, and stops of the target in one pass, by strace watching memtrace
  memory    resident, of the static memtrace and of its guardian, and what it grows by
            per live block
"""
import re
import subprocess
import sys
import tempfile
import pathlib

import build
from guest import CPUS, Guest
from packages import Packages

PASSES = 3
BLOCKS = 20000


def stripped(program, strip, to):
    subprocess.check_call([strip, "-s", "-o", to, program])
    return to


def programs(cpu, folder):
    """{name: stripped memtrace}"""
    strip = CPUS[cpu].triplet + "-strip"
    compiler, _ = build.musl_gcc(cpu)
    return {
        "musl": stripped(build.make(cpu, "memtrace", folder="-musl", CC=compiler, STATIC=1) / "memtrace", strip, folder / "musl"),
        "static": stripped(build.make(cpu, "memtrace", folder="-static", STATIC=1) / "memtrace", strip, folder / "static"),
        "dynamic": stripped(build.make(cpu, "memtrace") / "memtrace", strip, folder / "dynamic"),
    }


class Target:
    """A target with a pipe to talk to it by, and a memtrace that counts."""

    def __init__(self, guest, command, program, engine="trap"):
        self.guest = guest
        guest.run("rm -f /tmp/in /tmp/con /tmp/out; mkfifo /tmp/in /tmp/con", check=True)
        self.pids = [int(guest.run(f"{start} 2>&1 & echo $!", check=True).output) for start in (
            "sleep 100000 >/tmp/in", "sleep 100000 >/tmp/con", f"taskset 1 {command} </tmp/in >/tmp/out")]
        self.pid = self.pids[-1]
        self.wait("READY", "/tmp/out")
        self.memtrace = int(guest.run(f"taskset 1 {program} --engine={engine} --no-symbols -q -o /tmp/report -p {self.pid} </tmp/con >/tmp/words 2>&1 & "
                                      "echo $!", check=True).output)
        self.pids.append(self.memtrace)
        self.status()

    def wait(self, text, path, seconds=200):
        found = self.guest.run(f"until grep -q '{text}' {path}; do usleep 50000; done", timeout=seconds)
        if found.status:
            raise RuntimeError(f"no {text}: {self.guest.run(f'cat {path}').output}")

    def status(self):
        self.guest.run(": >/tmp/words; echo status >/tmp/con", check=True)
        self.wait("HEAP SUMMARY", "/tmp/words")

    def pairs(self):
        """(pairs, nanoseconds) of one pass."""
        self.guest.run(": >/tmp/out; echo >/tmp/in", check=True)
        self.wait("PAIRS", "/tmp/out")
        found = re.search(r"PAIRS (\d+) (\d+)", self.guest.run("cat /tmp/out").output)
        return int(found[1]), int(found[2])

    def resident(self):
        """KB of memtrace and of its guardian, a child of it."""
        guardian = self.guest.run(f"cat /proc/{self.memtrace}/task/*/children").output.split()
        return [int(re.search(r"VmRSS:\s+(\d+)", self.guest.run(f"cat /proc/{pid}/status").output)[1])
                for pid in (self.memtrace, *guardian[:1])]

    def end(self):
        self.guest.run("echo quit >/tmp/con", timeout=20)
        self.guest.run(f"while kill -0 {self.memtrace}; do usleep 50000; done", timeout=60)
        self.guest.run("kill -9 " + " ".join(map(str, self.pids)))


def median(values):
    return sorted(values)[len(values) // 2]


def speed(guest):
    """(stops per pair, microseconds of a bare stop, of a pair)"""
    stops = [int(re.search(r"wall (\d+)", guest.run("/root/ptrace_limit 1500", timeout=200, check=True).output)[1])
             for _ in range(PASSES)]
    target = Target(guest, "/root/pairs 1 5 1500", "/root/musl")
    found = [target.pairs() for _ in range(PASSES)]
    guest.run(f"strace -f -e trace=ptrace -o /tmp/calls -p {target.memtrace} >/dev/null 2>&1 & echo $! >/tmp/strace; sleep 2")
    made, _ = target.pairs()
    guest.run("kill $(cat /tmp/strace); sleep 1")
    continued = int(guest.run("grep -c PTRACE_CONT /tmp/calls").output)
    target.end()
    return continued / made, median(stops) / 1000, median([took / count for count, took in found]) / 1000


def agent(guest):
    """(microseconds of a pair, stops of the target in a pass)"""
    target = Target(guest, "/root/pairs 1 5 1500", "/root/musl", engine="agent")
    found = [target.pairs() for _ in range(PASSES)][1:]  # (the first learns)
    guest.run(f"strace -f -e trace=ptrace -o /tmp/calls -p {target.memtrace} >/dev/null 2>&1 & echo $! >/tmp/strace; sleep 2")
    target.pairs()
    guest.run("kill $(cat /tmp/strace); sleep 1")
    continued = int(guest.run("grep -c PTRACE_CONT /tmp/calls").output)
    target.end()
    return median([took / count for count, took in found]) / 1000, continued


def memory(guest):
    """KB at the attach, of the guardian, and bytes per live block."""
    target = Target(guest, f"/root/live {BLOCKS} 64", "/root/musl")
    before = target.resident()
    target.guest.run("echo >/tmp/in", check=True)
    target.wait("DONE", "/tmp/out")
    target.status()
    after = target.resident()
    target.end()
    return before[0], before[1] if len(before) > 1 else 0, (after[0] - before[0]) * 1024 / BLOCKS


def measure(cpu):
    triplet = CPUS[cpu].triplet
    with tempfile.TemporaryDirectory(prefix="memtrace-bench-") as name:
        folder = pathlib.Path(name)
        built = programs(cpu, folder)
        out = build.make(cpu, "tests/targets/pairs", "tests/targets/live", "tests/bench/ptrace_limit")
        strace = next(Packages(cpu).unpack("strace").glob("usr/bin/strace"))
        files = {"/root/musl": built["musl"], "/root/ptrace_limit": out / "tests/bench/ptrace_limit",
                 "/root/pairs": out / "tests/targets/pairs", "/root/live": out / "tests/targets/live", "/bin/strace": strace}
        with Guest(cpu, files=files) as guest:
            stops, bare, pair = speed(guest)
            counted = agent(guest) if cpu in build.AGENT_CPUS else None
            resident, guardian, block = memory(guest)
        sizes = [str(round(built[kind].stat().st_size / 1000)) for kind in ("musl", "static", "dynamic")]
    print(f"| {cpu} ({triplet}) | {' | '.join(sizes)} | {stops:.2f} | {bare:.0f} | {pair:.0f} | {pair / bare / 3:.2f} "
          f"| {resident} + {guardian} | {block:.0f} "
          f"| {f'{counted[0]:.2f} | {pair / counted[0]:.0f} | {counted[1]}' if counted else '- | - | -'} |", flush=True)


def main():
    print("| CPU | musl static, KB | glibc static | glibc | stops a pair | bare stop us | pair us | ratio to 3 | resident KB "
          "+ guardian | bytes a block | agent: pair us | trap / agent | stops in a pass |\n" + "|---" * 13 + "|", flush=True)
    for cpu in sys.argv[1:] or list(CPUS):
        measure(cpu)


if __name__ == "__main__":
    main()
