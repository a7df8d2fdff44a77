"""A mapped file whose file system does not answer any more: memtrace works with what is left, lets
go when it is told to, and can be killed; the process never stands for it."""
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading

import pytest

import memtrace

memtrace.adopt_orphans()

SERVER = pathlib.Path(__file__).with_name("stuck_fs.py")
ROUNDS = 50
SILENT = "its file system does not answer"

pytestmark = [pytest.mark.limit(180),
              pytest.mark.skipif(os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK),
                                 reason="only root mounts, and there must be FUSE")]


class Stuck:
    """A target with a file of a file system that does not answer."""

    def __init__(self, point, started):
        self.point = point
        self.server = memtrace.Process([sys.executable, SERVER, point, memtrace.TARGETS / "plugin_a.so"])
        started.append(self.server)
        self.server.wait_line("^READY$")
        self.target = memtrace.Target("distant", point / "plugin_a.so")
        started.append(self.target)
        self.target.ready()
        self.server.send()
        self.server.wait_line("^STUCK$")

    def finish(self):
        """It works, is untraced, and, once its files can be read again, as it was."""
        assert "TracerPid:\t0\n" in pathlib.Path(f"/proc/{self.target.pid}/status").read_text()
        self.server.send()
        self.server.wait_line("^FREE$")
        memtrace.untouched(self.target.pid)
        self.target.go_on()
        self.target.result()


@pytest.fixture
def stuck(started, tmp_path):
    point = tmp_path / "mount"
    point.mkdir()
    made = Stuck(point, started)
    yield made
    made.server.end()
    subprocess.run(["umount", "--lazy", point], check=False)


def start(stuck, started, tmp_path, *options):
    tracer = memtrace.Memtrace(stuck.target.pid, tmp_path / "report", "--no-symbols", *options)
    started.append(tracer)
    return tracer


def test_counts(stuck, started, tmp_path):
    tracer = start(stuck, started, tmp_path)
    tracer.attached()
    stuck.target.go_on()
    stuck.target.done()
    report = tracer.detach(check=False).consistent()
    assert report["summary"]["allocs"] == 2 * ROUNDS
    assert any(SILENT in line and "plugin_a.so" in line for line in tracer.err), tracer.story()
    stuck.finish()


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM])
def test_ends_by_signal(stuck, started, tmp_path, signo):
    """Also before it counts: while it waits for that file."""
    tracer = start(stuck, started, tmp_path, "-v")
    while not any("Attaching" in line for line in tracer.err):
        assert tracer.alive()
        threading.Event().wait(0.001)
    os.kill(tracer.pid, signo)
    tracer.wait()
    stuck.target.go_on()
    stuck.target.done()
    stuck.finish()


def test_duration(stuck, started, tmp_path):
    tracer = start(stuck, started, tmp_path, "-d", "300ms")
    assert tracer.wait() == 0
    stuck.target.go_on()
    stuck.target.done()
    stuck.finish()


def test_killed(stuck, started, tmp_path):
    """It is gone at once, whatever it waited for, and its guardian sees to the rest."""
    dice = random.Random(3)
    for _ in range(6):
        tracer = start(stuck, started, tmp_path)
        threading.Event().wait(2.5 * dice.random())
        tracer.process.kill()
        tracer.wait()
        guardians = [pid for pid in memtrace.children(os.getpid())
                     if pathlib.Path(f"/proc/{pid}/comm").read_text() == "memtrace-guard\n"]
        for pid in guardians:
            os.waitpid(pid, 0)
        memtrace.wait_until_untraced(stuck.target.pid)
    stuck.target.go_on()
    stuck.target.done()
    stuck.finish()


def test_doctor(stuck):
    done = subprocess.run([memtrace.MEMTRACE, "--doctor", "--no-symbols", "-p", str(stuck.target.pid)],
                          capture_output=True, text=True, timeout=memtrace.PATIENCE)
    assert SILENT in done.stdout and done.returncode == 0
    stuck.target.go_on()
    stuck.target.done()
    stuck.finish()


def test_names(stuck, started, tmp_path):
    """memtrace-fs, which opens that file, too, is given up with its names."""
    tracer = memtrace.Memtrace(stuck.target.pid, tmp_path / "report")
    started.append(tracer)
    tracer.attached()
    stuck.target.go_on()
    stuck.target.done()
    report = tracer.detach(check=False).consistent()
    assert report["summary"]["allocs"] == 2 * ROUNDS
    stuck.finish()
