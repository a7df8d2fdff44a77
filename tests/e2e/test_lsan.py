"""Programs with a LeakSanitizer of their own, which wants to trace them as memtrace does."""
import os
import subprocess

import pytest

import json_report
import memtrace
from test_kinds import built

SAID = "LSAN_OPTIONS=detect_leaks=0"


def launched(started, tmp_path, program, *options, **more):
    """(exit status, lines of stderr, report)"""
    output = tmp_path / "report.json"
    run = memtrace.Process([memtrace.MEMTRACE, "--format=json", "-n", "0", "-o", output, *options, *program],
                           env=environment(**more), stdin=subprocess.DEVNULL)
    started.append(run)
    return run.wait(), "\n".join(run.err), memtrace.Report(json_report.load(output.read_text()))


def environment(**more):
    plain = {k: v for k, v in os.environ.items() if k not in ("LSAN_OPTIONS", "ASAN_OPTIONS")}
    return {**plain, **more}


@pytest.mark.parametrize("kind", ["leak", "address"])
@pytest.mark.parametrize("options", [[], ["--no-symbols"]])
def test_launched(started, tmp_path, kind, options):
    """It is started without its own look at the end, which would fail, and that is said."""
    program = memtrace.TARGETS / built(f"sanitized-{kind}")
    status, said, report = launched(started, tmp_path, [program, "leak"], *options)
    assert status == 0, said
    assert said.count(SAID) == 1
    assert options or report.through("leak")["in_use_blocks"] == 50


def test_by_itself(started):
    """Without memtrace it finds them: what is turned off under it."""
    target = memtrace.Target(built("sanitized-leak"), "leak", env=environment())
    started.append(target)
    target.ready().go_on()
    target.done()
    target.go_on()
    target.wait_line("RESULT")
    assert target.wait() == 23 and "LeakSanitizer: detected memory leaks" in "\n".join(target.err)


@pytest.mark.parametrize("value", ["detect_leaks=0", "verbosity=0:detect_leaks=0"])
def test_turned_off_already(started, tmp_path, value):
    status, said, _ = launched(started, tmp_path, [memtrace.TARGETS / built("sanitized-address")], ASAN_OPTIONS=value)
    assert status == 0 and "LeakSanitizer" not in said


def test_attached(target, attach):
    """The user is told, and what memtrace left is as ever: the look at the end works."""
    process = target(built("sanitized-leak"), "leak", env=environment())
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    tracer.detach()
    assert sum("has LeakSanitizer" in line for line in tracer.err) == 1
    process.go_on()
    process.wait_line("RESULT")
    assert process.wait() == 23 and "LeakSanitizer: detected memory leaks" in "\n".join(process.err)
