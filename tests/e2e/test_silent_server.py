"""A server that accepts and says nothing (a dead host behind a port forward): what is due, the
signals and the console do not wait for it."""
import pathlib
import signal
import socket
import time

import pytest

import memtrace

ANSWER_LIMIT = 10  # seconds that memtrace waits for an answer where nothing else is due


@pytest.fixture
def mute():
    """A listening socket of that kind."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def called(mute, started, tmp_path, pid, *options):
    """(memtrace, attached, the connection by which it calls again)"""
    tracer = memtrace.Memtrace(pid, tmp_path / "report", "-c", f"127.0.0.1:{mute.getsockname()[1]}", *options)
    started.append(tracer)
    mute.settimeout(memtrace.PATIENCE)
    mute.accept()[0].close()  # the first time; what follows is while it is attached
    return tracer, mute.accept()[0]


def is_traced(pid):
    return "TracerPid:\t0\n" not in pathlib.Path(f"/proc/{pid}/status").read_text()


def test_duration(target, started, mute, tmp_path):
    process = target("threads")
    tracer, again = called(mute, started, tmp_path, process.pid, "-d", "1s")
    with again:
        began = time.monotonic()
        memtrace.wait_until_untraced(process.pid)
        assert time.monotonic() - began < ANSWER_LIMIT / 2
        memtrace.untouched(process.pid)
    mute.close()  # nor is it there for the names
    assert tracer.wait() == 0
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def test_console(target, started, mute, tmp_path):
    process = target("threads")
    tracer, again = called(mute, started, tmp_path, process.pid)
    with again:
        began = time.monotonic()
        tracer.status()
        assert time.monotonic() - began < ANSWER_LIMIT / 2
        assert is_traced(process.pid)
    mute.close()
    tracer.detach()


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_signal(target, started, mute, tmp_path, signo):
    process = target("threads")
    tracer, again = called(mute, started, tmp_path, process.pid)
    with again:
        began = time.monotonic()
        tracer.process.send_signal(signo)
        memtrace.wait_until_untraced(process.pid)
        assert time.monotonic() - began < ANSWER_LIMIT / 2
    mute.close()
    tracer.wait()
    memtrace.untouched(process.pid)
