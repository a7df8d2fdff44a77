"""Every way in which memtrace ends leaves the target as it was."""
import os
import signal

import pytest

import json_report
import memtrace


memtrace.adopt_orphans()


@pytest.fixture
def storm(target):
    process = target("storm", "-t", "6", "-b", "-p")
    yield process
    memtrace.untouched(process.pid)
    process.go_on()
    process.result()


def test_end_of_input(storm, attach):
    tracer = attach(storm.pid)
    tracer.process.stdin.close()
    assert tracer.wait() == 0
    tracer.report().consistent()


@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_signal(storm, attach, signo):
    tracer = attach(storm.pid)
    os.kill(tracer.pid, signo)
    tracer.wait()
    tracer.report().consistent()


@pytest.mark.parametrize("signo", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_bug_of_ours(storm, attach, signo):
    """A crash restores the target first, and says where to report it."""
    tracer = attach(storm.pid)
    os.kill(tracer.pid, signo)
    assert tracer.wait() != 0
    memtrace.wait_for_guardians()


def test_full_disk(storm, started):
    tracer = memtrace.Memtrace(storm.pid, "/dev/full")
    started.append(tracer)
    tracer.attached()
    tracer.process.stdin.close()
    assert tracer.wait() == 1
    text = "\n".join(tracer.err)
    assert "/dev/full" in text
    assert '"summary"' in text  # the report is not lost


def test_no_names_any_more(storm, attach):
    """memtrace-fs dies: the report goes on without it."""
    tracer = attach(storm.pid)
    servers = [pid for pid in memtrace.descendants(tracer.pid)
               if b"memtrace-fs" in open(f"/proc/{pid}/cmdline", "rb").read()]
    memtrace.signal_all(servers)
    tracer.status()
    tracer.detach().consistent()
    assert servers


def test_batch(storm, tmp_path):
    """-b: the commands, then the report, without a console."""
    output = tmp_path / "report"
    run = memtrace.Process([memtrace.MEMTRACE, "-b", "-x", "status", "--format=json", "-o", output,
                            "-p", storm.pid], stdin=None)
    assert run.wait() == 0
    assert any("HEAP SUMMARY" in line for line in run.out)
    memtrace.Report(json_report.load(output.read_text()))


def test_duration(storm, tmp_path):
    output = tmp_path / "report"
    run = memtrace.Process([memtrace.MEMTRACE, "-d", "300ms", "--format=json", "-n", "0", "--all",
                            "-o", output, "-p", storm.pid], stdin=None)
    assert run.wait() == 0
    report = memtrace.Report(json_report.load(output.read_text())).consistent()
    assert report["summary"]["allocs"] > 0


def test_second_tracer_is_refused(storm, attach, tmp_path):
    tracer = attach(storm.pid)
    other = memtrace.Process([memtrace.MEMTRACE, "-b", "-p", storm.pid])
    assert other.wait() == 1
    assert str(tracer.pid) in "\n".join(other.err)
    tracer.status()
    tracer.detach().consistent()


def test_who_traces_memtrace_is_refused():
    """Two that trace each other could not even be killed."""
    run = memtrace.Process([memtrace.MEMTRACE, "-q", "-n", "0", "--no-symbols", "sh", "-c",
                            f"exec {memtrace.MEMTRACE} -b -p $PPID"], stdin=None)
    try:
        assert run.wait() == 1
        assert any("traces this memtrace" in line for line in run.err), run.story()
    finally:
        run.end()
