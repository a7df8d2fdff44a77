"""A process that lives in another root: its files are found there, and its names are
still known when it, and they, have gone."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")


@pytest.fixture
def elsewhere(obedient_program, tmp_path):
    """The obedient program in a root of its own: (root, path inside)."""
    listed = subprocess.run(["ldd", obedient_program], check=True, capture_output=True, text=True).stdout
    for library in re.findall(r"(/\S+) \(0x", listed):
        place = tmp_path / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, place)
    shutil.copy(obedient_program, tmp_path / "elsewhere")
    return tmp_path, "/elsewhere"


def test_names_outlive_the_container(memtrace, elsewhere):
    root, path = elsewhere
    target = subprocess.Popen(["chroot", root, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert target.stdout.readline() == b"ok\n"
    watcher = subprocess.Popen([memtrace, "-q", "-p", str(target.pid)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watcher.stdin.write("status\n")
    watcher.stdin.flush()
    while "total heap usage" not in watcher.stdout.readline():
        pass
    target.stdin.write(b"allocate 3 11\n")
    target.stdin.flush()
    assert target.stdout.readline() == b"ok\n"
    target.stdin.close()
    assert target.wait(30) == 0
    shutil.rmtree(pathlib.Path(root))
    report, errors = watcher.communicate(timeout=60)
    target.stdout.close()
    assert watcher.returncode == 0, errors
    assert "33 bytes in 3 blocks were not free" in report
    assert re.search(r"obey_allocate\(\) in \S*obedient\.c:\d+", report)
