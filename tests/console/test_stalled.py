"""Whoever reads memtrace's words may stop reading: the process is let go all the same."""
import contextlib
import os
import select
import signal
import subprocess
import time

import pexpect
import pytest


def is_full(pipe):
    """Whether a pipe that nobody reads takes no more; asked by its other end, opened anew."""
    end = os.open(f"/proc/self/fd/{pipe.fileno()}", os.O_WRONLY)
    try:
        return not select.select([], [end], [], 0)[1]
    finally:
        os.close(end)


def sleeps_in_write(pid):
    with open(f"/proc/{pid}/syscall") as call:
        return call.read().startswith("1 0x1 ")


def until(condition, patience=60):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def start(memtrace, obedient):
    """start(*options, commands): a memtrace in the middle of a long answer."""
    started = []

    def make(*options, commands=b""):
        process = subprocess.Popen([memtrace, "-q", *options, "-p", str(obedient.pid)], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE)
        started.append(process)
        process.stdin.write(commands)
        process.stdin.flush()
        until(lambda: is_full(process.stdout))
        assert obedient.tracer() == process.pid
        return process

    yield make
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def stalled(start):
    return start(commands=b"help\n" * 500)


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_the_process_is_free_at_once(stalled, obedient, signo):
    os.kill(stalled.pid, signo)
    until(lambda: obedient.tracer() == 0)
    assert stalled.poll() is None
    out, _ = stalled.communicate(timeout=30)  # it is read again
    assert out.count(b"HEAP SUMMARY") == 1
    assert stalled.returncode == (0 if signo == signal.SIGINT else 128 + signo)


def test_in_the_commands_of_the_command_line(start, obedient):
    process = start("-b", *["-x", "help"] * 500)
    os.kill(process.pid, signal.SIGTERM)
    until(lambda: obedient.tracer() == 0)
    out, _ = process.communicate(timeout=30)
    assert out.count(b"HEAP SUMMARY") == 1
    assert process.returncode == 128 + signal.SIGTERM


def test_two_signals_at_once_are_one(stalled, obedient):
    """A closed terminal, and the end of a session with it."""
    os.kill(stalled.pid, signal.SIGSTOP)
    os.kill(stalled.pid, signal.SIGHUP)
    os.kill(stalled.pid, signal.SIGTERM)
    os.kill(stalled.pid, signal.SIGCONT)
    until(lambda: obedient.tracer() == 0)
    out, _ = stalled.communicate(timeout=30)
    assert out.count(b"HEAP SUMMARY") == 1
    assert stalled.returncode in (128 + signal.SIGHUP, 128 + signal.SIGTERM)


def test_a_second_signal_ends_it(stalled, obedient):
    os.kill(stalled.pid, signal.SIGINT)
    until(lambda: obedient.tracer() == 0)
    until(lambda: (os.kill(stalled.pid, signal.SIGINT), stalled.poll())[1] is not None)
    assert stalled.returncode == -signal.SIGINT


def server_of(child):
    with open(f"/proc/{child.pid}/task/{child.pid}/children") as children:
        return next(pid for pid in map(int, children.read().split())
                    if os.readlink(f"/proc/{pid}/exe").endswith("/memtrace-fs"))


def test_control_c_cancels_a_report(console, obedient):
    """The capture goes on, and so does the connection: what was asked is answered later."""
    child = console()
    obedient.order("allocate 1 99")
    server = server_of(child)
    os.kill(server, signal.SIGSTOP)
    for _ in range(2):
        child.sendline("report")
        child.expect(r"looking up names: 0 of \d+")
        child.sendintr()
        child.expect_exact("Cancelled\r\n")
        child.expect_exact("memtrace> ")
        assert obedient.tracer() == child.pid
    os.kill(server, signal.SIGCONT)
    child.sendline("report")
    child.expect_exact("99 bytes in 1 block were not free")
    child.expect(r"obey_allocate\(\) in \S*obedient\.c:\d+")
    child.expect_exact("memtrace> ")
    child.sendline("quit")
    child.expect_exact(f"Detached from process {obedient.pid}")


def test_output_that_can_not_be_cancelled(memtrace, obedient):
    """Who reads it has stopped: the first Ctrl-C is for the output, the next for the process."""
    reader = "trap '' INT; exec sleep 1000"
    child = pexpect.spawn("/bin/sh", ["-c", f"trap : INT; {memtrace} -q -p {obedient.pid} | sh -c {reader!r}"],
                          encoding="utf-8", timeout=30)
    until(lambda: obedient.tracer() != 0)
    for _ in range(300):
        child.sendline("help")
    tracer = obedient.tracer()
    until(lambda: sleeps_in_write(tracer))
    until(lambda: (child.sendintr(), obedient.tracer())[1] == 0)
    with contextlib.suppress(ProcessLookupError):  # a third Ctrl-C may have ended it
        os.kill(tracer, signal.SIGKILL)
    child.close(force=True)


def test_names_that_do_not_come(console, obedient):
    """memtrace-fs stands still: it is said what is waited for."""
    child = console()
    obedient.order("allocate 1 99")
    server = server_of(child)
    os.kill(server, signal.SIGSTOP)
    child.sendline("report")
    child.expect(r"looking up names: 0 of \d+")
    os.kill(server, signal.SIGCONT)
    child.expect_exact("99 bytes in 1 block were not free")
    child.expect_exact("memtrace> ")
    child.sendline("quit")
    child.expect_exact(f"Detached from process {obedient.pid}")
