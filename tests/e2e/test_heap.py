"""heap/leak/ on live processes, against an independent recorder (recorder_preload.c)."""
import errno
import glob
import os
import re
import subprocess

import pytest

O = os.environ["O"]
ORACLE = f"{O}/tests/e2e/heap_oracle"
RECORDER = f"{O}/tests/targets/recorder_preload.so"


class Looked:
    def __init__(self, text):
        self.text = text
        self.allocators = re.findall(r"^allocator (\S+) (\S+) (read|refused)", text, re.M)
        truth = re.search(r"^truth live (\d+) found (\d+) missed (\d+) false (\d+) short (\d+)", text, re.M)
        self.live, self.found, self.missed, self.false, self.short = map(int, truth.groups()) if truth else [None] * 5
        self.doubted = sum(map(int, re.findall(r"^doubted (\d+)", text, re.M)))
        self.classes = {k: int(n) for k, n in re.findall(r"^class (\S+) (\d+)", text, re.M)}


def look(pid, *options, tries=20):
    """heap_oracle's words; again where a call was half done."""
    for _ in range(tries):
        done = subprocess.run([ORACLE, *options, str(pid)], capture_output=True, text=True, timeout=120)
        if not done.stdout.startswith(f"refused {errno.EAGAIN} "):
            break
    assert done.returncode == 0, done.stdout + done.stderr
    return Looked(done.stdout)


class Running:
    """A program that says a line when it stands, and ends when its input does."""

    def __init__(self, *command, recorder=True, env=None):
        env = dict(os.environ, **(env or {}))
        if recorder:
            env.setdefault("LD_PRELOAD", RECORDER)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)

    def __enter__(self):
        assert self.process.stdout.readline()
        return self.process

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def jemalloc():
    for path in glob.glob("/usr/lib/*/libjemalloc.so.2"):
        return path
    return pytest.skip("no libjemalloc.so.2")


PYTHON = """
import sys
class A: pass
kept = [A() for i in range(20000)] + [str(i) * 40 for i in range(20000)] + [bytes(300000)]
import json, re, decimal
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("malloc", ["pymalloc", "malloc"])
def test_python(malloc):
    with Running("python3", "-c", PYTHON, env={"PYTHONMALLOC": malloc}) as python:
        looked = look(python.pid)
        assert ("glibc", "2.27-2.42", "read") in looked.allocators or looked.allocators[0][2] == "read"
        assert (looked.missed, looked.false, looked.short) == (0, 0, 0), looked.text
        assert looked.live > (40000 if malloc == "malloc" else 100)


@pytest.mark.parametrize("allocator", ["glibc", "jemalloc"])
def test_threads_in_full_flight(allocator):
    """Eight threads in malloc and free: nothing is missed, and what is found beyond is calls in flight."""
    env = None
    if allocator == "jemalloc":
        env = {"LD_PRELOAD": f"{RECORDER}:{jemalloc()}"}
    with Running(f"{O}/tests/targets/heap_churn", env=env) as churn:
        for _ in range(5):
            looked = look(churn.pid)
            assert looked.allocators[0][0] == allocator and looked.allocators[0][2] == "read"
            assert (looked.missed, looked.short) == (0, 0), looked.text
            assert looked.false <= 16, looked.text
            assert looked.live > 10000
            # (its threads hold all that they have)
            assert looked.classes["lost"] + looked.classes["through"] == looked.doubted, looked.text


def test_threads_in_full_flight_of_musl():
    """Their blocks are held, or in the hands of a call; a group that is being made refuses nothing."""
    path = f"{O}/tests/targets/heap_churn-musl-static"
    if not os.path.exists(path):
        pytest.skip("no musl-gcc")
    with Running(path, recorder=False) as churn:
        for _ in range(10):
            looked = look(churn.pid)
            assert looked.allocators == [("musl", "1.2.1-", "read")]
            assert looked.classes["lost"] + looked.classes["through"] == looked.doubted, looked.text
            assert looked.classes["held"] > 10000


@pytest.mark.parametrize("kind", ["", "-static", "-musl", "-musl-static"])
def test_a_program_with_a_list(kind):
    """Its blocks are its own list, with what is lost of them; a libc of its own in it, too."""
    path = f"{O}/tests/targets/heap_list{kind}"
    if not os.path.exists(path):
        pytest.skip("no musl-gcc")
    with Running(path, recorder=False) as program:
        looked = look(program.pid, "-b")
        told = {}
        for line in program.stdout:
            if line == b"end\n":
                break
            what, addr, size = line.split()
            told[int(addr, 16)] = (what.decode(), int(size))
        found = {int(a, 16): (c, int(s)) for a, s, c in re.findall(r"^block (\S+) (\d+) (\S+)", looked.text, re.M)}
        assert told.keys() <= found.keys() and len(told) == 3000
        slack = 0 if "musl" in kind else 4096 + 32
        assert not [hex(a) for a, (_, size) in told.items() if not size <= found[a][1] <= size + slack]
        # a word that is left in a live frame may hold a block, and what it leads to
        assert len([a for a in told if found[a][0] != told[a][0]]) <= 2
