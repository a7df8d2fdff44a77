"""Reports on the way: each --every, and by SIGUSR1."""
import os
import re
import select
import signal
import subprocess
import time

import pytest


@pytest.fixture
def start(memtrace, obedient):
    """start(OPTION...): memtrace, attached to the obedient process; it is ended with the test."""
    processes = []

    def begin(*options):
        processes.append(subprocess.Popen([memtrace, "-q", "--no-symbols", *options, "-p", str(obedient.pid)], text=True,
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.wait()


def until(condition, process):
    """Looks until it is so, as long as memtrace runs."""
    end = time.monotonic() + 30
    while not (value := condition()):
        assert process.poll() is None and time.monotonic() < end
        select.select([], [], [], 0.02)
    return value


def finish(process, sig=signal.SIGINT):
    if sig:
        process.send_signal(sig)
    return (*process.communicate(timeout=30), process.returncode)


def newest(folder):
    """Of whole files: the ones before it may be deleted before anybody looks."""
    return max(path.name for path in folder.iterdir() if not path.name.endswith(".tmp"))


def attached(process):
    """It answers a command."""
    process.stdin.write("status\n")
    process.stdin.flush()
    read_until("peak", process)


def read_until(words, process):
    while words not in (line := process.stdout.readline()):
        assert line


def test_files_by_number(start, obedient, tmp_path):
    """A file each time, whole; the last is the final report; old ones are thinned out, others' files stay."""
    (tmp_path / "r0000").write_text("not memtrace's")
    process = start("-b", "--every=100ms", "--keep=3", "-o", tmp_path / "r%n")
    until(lambda: newest(tmp_path) >= "r0002", process)
    obedient.order("allocate 3 100")
    until(lambda: newest(tmp_path) >= "r0005", process)
    out, err, status = finish(process)
    assert (out, err, status) == ("", "", 0)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 4 and names[:2] == ["r0000", "r0001"]
    assert (tmp_path / "r0000").read_text() == "not memtrace's"
    assert "300 bytes" not in (tmp_path / "r0001").read_text()
    assert re.search(r"300 bytes in 3 blocks", (tmp_path / names[-1]).read_text())
    obedient.order("allocate 1 1")


def test_a_full_disk_is_said_once(start, obedient, tmp_path):
    """.. and ends nothing."""
    folder = tmp_path / "reports"
    folder.mkdir()
    os.symlink("/dev/full", folder / "full")
    process = start("--every=100ms", "-x", "wait 450ms", "-x", "status", "-b", "-o", folder / "full")
    read_until("peak", process)
    _, err, status = finish(process)
    assert status == 1
    said = [line for line in err.splitlines() if "No space" in line]
    why = f"memtrace: can't write {folder}/full: the report can't be written: No space left on device"
    assert said == [why, why + "; the report goes to stderr"]
    assert os.readlink(folder / "full") == "/dev/full"
    obedient.order("allocate 1 1")


def test_a_signal_has_a_report_written(start, obedient, tmp_path):
    """To --output, whole: by another file in its place; and the final one after it."""
    path = tmp_path / "report"
    process = start("-o", path)
    attached(process)
    obedient.order("allocate 3 100")
    process.send_signal(signal.SIGUSR1)
    first = until(path.read_text, process)
    assert "300 bytes in 3 blocks" in first
    obedient.order("allocate 1 50")
    _, err, status = finish(process)
    assert (err, status) == ("", 0)
    assert "350 bytes in 4 blocks" in path.read_text()
    assert [entry.name for entry in tmp_path.iterdir()] == ["report"]


def test_a_signal_without_a_file(start, obedient):
    """It is as the command report."""
    process = start()
    attached(process)
    obedient.order("allocate 3 100")
    process.send_signal(signal.SIGUSR1)
    read_until("300 bytes in 3 blocks", process)
    out, err, status = finish(process)
    assert (err, status) == ("", 0) and "300 bytes in 3 blocks" in out


@pytest.mark.parametrize("options, words", [
    (["--every=1s"], "--every belongs to --output"),
    (["--keep=3", "-o", "x"], "--keep belongs to --every, and that to --output"),
    (["--every=1s", "-o", "%Q"], "'%Q' is none of"),
    (["--every=1s", "-o", "/nowhere/at/all/%n"], "/nowhere/at/all: No such file"),
])
def test_what_contradicts(memtrace, options, words):
    result = subprocess.run([memtrace, *options, "-p", "1"], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1 and words in result.stderr


def test_a_pipe_behind_a_link_is_no_file_to_replace(start, obedient, tmp_path):
    """The link stays, and the pipe gets it."""
    link = tmp_path / "link"
    os.symlink("/proc/self/fd/1", link)
    process = start("-b", "-x", f"export json {link}", "-o", tmp_path / "report")
    out, err, status = finish(process, None)
    assert (err, status) == ("", 0) and out.startswith("{") and link.is_symlink()
