"""--cgroup and --unit: the processes of a control group, and those that join it."""
import os
import pathlib
import subprocess

import pytest

import memtrace
from test_several import several  # noqa: F401

ROOTS = [pathlib.Path("/sys/fs/cgroup") / below for below in ("", "unified", "systemd", "pids")]


class Tree:
    """Folders that look like a group: where this system lets us make none."""

    def __init__(self, path):
        self.path = path
        (path / "below").mkdir(parents=True)
        for folder in path, path / "below":
            (folder / "cgroup.procs").touch()

    def join(self, pid, below=""):
        with open(self.path / below / "cgroup.procs", "a", encoding="ascii") as file:
            file.write(f"{pid}\n")

    def end(self):
        pass


class Group(Tree):
    def __init__(self, path):  # pylint: disable=super-init-not-called
        self.path = path
        path.mkdir()
        (path / "below").mkdir()

    def end(self):
        for pid in (self.path / "cgroup.procs").read_text().split() + (self.path / "below" / "cgroup.procs").read_text().split():
            (self.path.parent / "cgroup.procs").write_text(pid)
        (self.path / "below").rmdir()
        self.path.rmdir()


def takes(group):
    """May a process be moved there?  (Not where the group is another owner's, or of a kind that has none.)"""
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            group.join(process.pid)
            group.join(process.pid, "below")
            return True
        except OSError:
            return False
        finally:
            process.kill()


def real_group():
    for root in ROOTS:
        try:
            if (root / "cgroup.procs").exists():
                group = Group(root / f"memtrace-test-{os.getpid()}")
                if takes(group):
                    return group
                group.end()
        except OSError:
            pass
    return None


@pytest.fixture(params=["real", "fake"])
def group(request, tmp_path):
    found = Tree(tmp_path / "group") if request.param == "fake" else real_group()
    if not found:
        pytest.skip("no control group can be made here")
    yield found
    found.end()


def test_members(group, target, several):
    """Those that are there, those below, and one that joins; each counted by itself."""
    there, below, joins, stranger = (target("live", str(100 * n), "8") for n in range(1, 5))
    group.join(there.pid)
    group.join(below.pid, "below")
    tracer = several(f"--cgroup={group.path}").attached(2)
    group.join(joins.pid)
    tracer.attached(1)
    for process in there, below, joins:
        process.go_on()
        process.done()
    tracer.send("quit")
    reports = tracer.left()
    assert {pid: report["summary"]["in_use_blocks"] for pid, report in reports.items()} == {
        there.pid: 100, below.pid: 200, joins.pid: 300}
    for process in there, below, joins, stranger:
        memtrace.untouched(process.pid)


def test_ends_with_the_last(group, target, several):
    process = target("live", "10", "1")
    group.join(process.pid)
    tracer = several(f"--cgroup={group.path}").attached(1)
    process.go_on()
    process.done()
    process.go_on()
    process.result()
    assert list(tracer.left()) == [process.pid]


def test_begins_anew(group, target, several):
    """A service that is restarted: there is nobody for a moment."""
    first, second = (target("live", str(10 * n), "1") for n in (1, 2))
    group.join(first.pid)
    tracer = several(f"--cgroup={group.path}").attached(1)
    for process in first, second:
        process.go_on()
        process.done()
    first.go_on()
    first.result()
    group.join(second.pid)
    tracer.attached(1)
    second.go_on()
    second.result()
    assert set(tracer.left()) == {first.pid, second.pid}


@pytest.mark.parametrize("arguments, why", [
    (["--cgroup=/nowhere"], "--cgroup: /nowhere is no control group, nor is it below /sys/fs/cgroup"),
    (["--unit=odd-one"], "--unit: odd-one.service does not run, or this system has no systemd"),
    (["--unit=odd-one.socket"], "--unit: odd-one.socket does not run, or this system has no systemd"),
    (["--unit=a", "--cgroup=b"], "--cgroup and --unit contradict each other: give one"),
])
def test_refused(arguments, why):
    done = subprocess.run([memtrace.MEMTRACE, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"memtrace: {why}\n")


def test_unit():
    """A unit is the group of its name, wherever systemd has put it; nobody is in it here."""
    root = next((root for root in ROOTS[2::-1] if (root / "cgroup.procs").exists()), None)
    if not root:
        pytest.skip("no control group can be made here")
    path = root / f"memtrace-{os.getpid()}.slice" / "memtrace-test.service"
    try:
        path.mkdir(parents=True)
    except OSError:
        pytest.skip("no control group can be made here")
    try:
        done = subprocess.run([memtrace.MEMTRACE, "--unit=memtrace-test"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, f"memtrace: no process is in {path}\n")
    finally:
        path.rmdir()
        path.parent.rmdir()
