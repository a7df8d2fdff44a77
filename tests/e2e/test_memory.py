"""memtrace's own memory: valgrind finds nothing, launched and attached."""
import shutil

import pytest

import memtrace

VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite",
            "--errors-for-leak-kinds=definite"]

pytestmark = [pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed"),
              pytest.mark.skipif("address" in str(memtrace.BUILD), reason="sanitizers and valgrind exclude each other"),
              pytest.mark.limit(120)]


def clean(process):
    assert process.wait(100) == 0, process.story()


def test_launched(started, tmp_path):
    process = memtrace.Process([*VALGRIND, memtrace.MEMTRACE, "--format=json", "-o", tmp_path / "report",
                                memtrace.TARGETS / "plugins", memtrace.TARGETS, "3"], stdin=None)
    started.append(process)
    clean(process)
    memtrace.parse_result(process.out)


def test_attached(started, target, tmp_path):
    victim = target("storm", "-t", "3", "-f", "-p")
    process = memtrace.Process([*VALGRIND, memtrace.MEMTRACE, "-b", "-x", "report -n 3", "-x", "clear", "-x", "modules",
                                "-x", "threads", "-x", "status", "-o", tmp_path / "report", "-p", victim.pid], stdin=None)
    started.append(process)
    clean(process)
    memtrace.untouched(victim.pid)
    victim.go_on()
    victim.result()
