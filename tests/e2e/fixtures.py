"""Fixtures: processes that are ended with the test, and a limit on its time."""
import os
import signal
import subprocess

import pytest

import memtrace


def pytest_configure(config):
    config.addinivalue_line("markers", "limit(seconds): the longest this test may take (default 60)")


@pytest.fixture(autouse=True)
def time_limit(request):
    mark = request.node.get_closest_marker("limit")
    seconds = (mark.args[0] if mark else 60) * memtrace.SLOWNESS

    def expire(*_):
        raise TimeoutError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def started():
    """A list; what is put into it is ended with the test, last first."""
    processes = []
    yield processes
    for process in reversed(processes):
        process.end()


@pytest.fixture
def target(started):
    """target(name, *args): a program of tests/targets/ that stands at READY."""

    def start(name, *args, **popen):
        started.append(memtrace.Target(name, *args, **popen))
        return started[-1].ready()

    return start


@pytest.fixture
def attach(started, tmp_path):
    """attach(pid, *options): a memtrace that counts."""

    def start(pid, *options, **more):
        output = tmp_path / f"report-{len(started)}.json"
        started.append(memtrace.Memtrace(pid, output, *options, **more))
        return started[-1].attached()

    return start


@pytest.fixture
def follow(target, attach):
    """follow(name, *args): runs a target from READY to its end, memtrace attached up to
    DONE.  Returns (the target's own tally, memtrace's report)."""

    def run(name, *args, options=(), **popen):
        process = target(name, *args, **popen)
        tracer = attach(process.pid, *options)
        process.go_on()
        process.done()
        report = tracer.detach().consistent()
        process.go_on()
        return process.result(), report

    return run


@pytest.fixture
def swap(tmp_path):
    """Some, if we may."""
    file = tmp_path / "swap"
    file.write_bytes(bytes(16 << 20))
    file.chmod(0o600)
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    for command in ["mkswap", "swapon"]:
        done = subprocess.run([command, file], env=env, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no swap here: {command}: {done.stderr}")
    yield
    subprocess.run(["swapoff", file], env=env, check=True)
