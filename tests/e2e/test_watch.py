"""The tests' own instruments: a wrong target or a blind watcher proves nothing.

Targets are run untraced, with the oracle of counts between them and libc: their tally
must be the oracle's.  The watcher of traces must see each kind of trace.
"""
import ctypes
import os
import signal
import struct

import pytest

import memtrace

NUMBERS = ("pid", "allocs", "frees", "allocated_bytes", "freed_bytes", "lost")


def oracle(path):
    if not path.exists():  # nothing was allocated yet
        return dict.fromkeys(NUMBERS, 0)
    return dict(zip(NUMBERS, struct.unpack("<6Q", path.read_bytes()[:48])))


def oracle_env(path):
    return dict(os.environ, LD_PRELOAD=str(memtrace.TARGETS / "count_preload.so"), COUNT_FILE=str(path))


EXACT = [("entries", "5"), ("operators", "5"), ("threads", "6", "2000"), ("children", "2"),
         ("leader",), ("live", "5000", "64"), ("jumps", "20"), ("signals", "plain", "2")]


@pytest.mark.parametrize("argv", EXACT, ids=lambda argv: argv[0])
def test_tally_is_the_oracles(target, tmp_path, argv):
    path = tmp_path / "counts"
    process = target(*argv, env=oracle_env(path))
    before = oracle(path)
    process.go_on()
    process.done()
    after = oracle(path)
    process.go_on()
    result = process.result()
    assert after["pid"] == process.pid
    for name in memtrace.Report.NAMES:
        assert after[name] - before[name] == result[name], name
    assert after["lost"] == 0


OTHERS = [("churn", "5", "8"), ("execs",), ("execs", "thread"), ("plugins", str(memtrace.TARGETS)),
          ("signals", "own", "2"), ("signals", "late", "2"), ("constructed",),
          ("storm", "-fbsp"), ("heartbeat", "3"), ("adversary", "20"), ("torture", "20")]


@pytest.mark.parametrize("argv", OTHERS, ids=" ".join)
def test_runs_by_itself(started, argv):
    process = memtrace.Target(*argv)
    started.append(process)
    process.process.stdin.close()
    process.result()


def test_calls_end_by_their_limit(target):
    process = target("eintr")
    process.go_on()
    process.result()


def test_plain_process_has_no_traces(target):
    process = target("threads", "4", "10")
    memtrace.untouched(process.pid)
    assert memtrace.fingerprint(process.pid) == memtrace.fingerprint(process.pid)


def libc_text(pid):
    return next(m for m in memtrace._mappings(pid) if "libc.so" in m[5] and "x" in m[2])


def poke(pid, where, data):
    fd = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    os.pwrite(fd, data, where)
    os.close(fd)


def test_sees_a_changed_byte(target):
    process = target("threads", "2", "10")
    text = libc_text(process.pid)
    poke(process.pid, text[0] + 0x1234, b"\xcc\xcc")
    assert any("text differs at file offset" in line for line in memtrace.traces(process.pid))


def test_sees_a_stack_that_leads_nowhere(target):
    process = target("threads", "2", "10")
    text = libc_text(process.pid)
    slack = text[1] - 32
    where = ["running"]
    while len(where) < 3:  # until it waits for our line
        where = open(f"/proc/{process.pid}/syscall").read().split()
    sp = int(where[-2], 16)
    with open(f"/proc/{process.pid}/mem", "rb", buffering=0) as memory:
        read = os.pread(memory.fileno(), 4096, sp)  # (less, where the stack ends)
    words = struct.unpack(f"<{len(read) // 8}Q", read[:len(read) // 8 * 8])
    caller = memtrace.frames(process.pid, process.pid)[1]
    stack = sp + 8 * words.index(caller)
    poke(process.pid, stack - 8, struct.pack("<Q", slack))  # nobody returns by that
    memtrace.untouched(process.pid)
    poke(process.pid, stack, struct.pack("<Q", slack))
    assert any("in the slack" in line for line in memtrace.traces(process.pid))
    poke(process.pid, slack, b"\x90\xc3")  # what it leads to is there: allowed
    memtrace.untouched(process.pid)
    poke(process.pid, stack, struct.pack("<Q", caller))
    memtrace.untouched(process.pid)


def test_sees_a_stopped_thread(target):
    process = target("threads", "2", "10")
    os.kill(process.pid, signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)
    assert any("is stopped" in line for line in memtrace.traces(process.pid))
    os.kill(process.pid, signal.SIGCONT)
    os.waitpid(process.pid, os.WCONTINUED)
    memtrace.untouched(process.pid)


def test_sees_a_tracer(target):
    PTRACE_SEIZE, PTRACE_DETACH, PTRACE_INTERRUPT = 0x4206, 17, 0x4207
    process = target("threads", "2", "10")
    ptrace = ctypes.CDLL(None, use_errno=True).ptrace
    ptrace.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2
    assert ptrace(PTRACE_SEIZE, process.pid, None, None) == 0
    assert any("has tracer" in line for line in memtrace.traces(process.pid))
    ptrace(PTRACE_INTERRUPT, process.pid, None, None)
    os.waitpid(process.pid, 0)
    ptrace(PTRACE_DETACH, process.pid, None, None)
    memtrace.untouched(process.pid)
