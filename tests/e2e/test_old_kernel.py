"""memtrace where the kernel lacks what came after Linux 3.4 (tests/targets/old_kernel.c): it
works; and where the kernel is older: it says so."""
import ctypes
import subprocess

import pytest

import json_report
import memtrace

OLD = memtrace.TARGETS / "old_kernel"


def run(version, *argv):
    return subprocess.run([OLD, version, memtrace.MEMTRACE, *map(str, argv)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)


def test_the_filter():
    """What is tested with: the calls fail, so that what follows says something."""
    script = "import ctypes, os; libc = ctypes.CDLL(None, use_errno=True); " \
             "print(libc.process_vm_readv(os.getpid(), 0, 0, 0, 0, 0), ctypes.get_errno())"
    done = subprocess.run([OLD, "3.4", "/usr/bin/python3", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "-1 38\n"


def chain_of(context):
    return [frame["function"] for frame in context["stack"]]


def test_counts_and_stacks(tmp_path):
    """Launched: the same report as under the kernel as it is."""
    reports = []
    for name, command in (("new", []), ("old", [OLD, "3.4"])):
        output = tmp_path / name
        done = subprocess.run([*command, memtrace.MEMTRACE, "-q", "--format=json", "-n0", "--all", f"--output={output}",
                               memtrace.TARGETS / "entries", "3"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
        assert done.returncode == 0, done.stderr
        reports.append(memtrace.Report(json_report.load(output.read_text())).consistent())
    new, old = reports
    assert old.counts() == new.counts()
    assert sorted(map(chain_of, old["contexts"])) == sorted(map(chain_of, new["contexts"]))
    assert all(context["stack_end"] == "root" for context in old["contexts"])


@pytest.mark.parametrize("engine", ["trap", "auto"])
def test_attached(target, started, tmp_path, engine):
    """(No thread can be made to make a call there, and so there is no agent.)"""
    process = target("threads", "4", "300")
    tracer = memtrace.Memtrace(process.pid, tmp_path / "report", f"--engine={engine}", command=[OLD, "3.4"])
    started.append(tracer)
    tracer.attached()
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    result = process.result()
    assert (report["summary"]["allocs"], report["summary"]["frees"]) == (result["allocs"], result["frees"])
    assert ("before Linux 4.7" in report.get("engine_reason", "")) == (engine == "auto" and report["engine"] == "trap"), tracer.story()


@pytest.mark.skipif(ctypes.CDLL(None).prctl(59, 0, 0, 0, 0) != 0, reason="this kernel has no Syscall User Dispatch")
def test_syscall_user_dispatch(target, started, tmp_path):
    """Before Linux 6.4 nobody tells whether it is on: who catches SIGSYS may have it."""
    process = target("dispatched", "libc", "before")
    tracer = memtrace.Memtrace(process.pid, tmp_path / "report", command=[OLD, "3.4"])
    started.append(tracer)
    tracer.attached()
    process.go_on()
    process.done()
    tracer.detach().consistent()
    process.go_on()
    assert process.result()["strange"] == 0
    assert "catches SIGSYS" in "\n".join(tracer.err + tracer.out)


def another_child(process):
    """Waits until one more has ended that had memory of its own: its faults are its parent's then."""
    def faults():
        return memtrace._read_proc(process.pid, "stat").rsplit(")", 1)[1].split()[8]

    before = faults()
    while faults() == before:
        assert process.alive(), process.story()


def test_children(target, started, tmp_path):
    """Which of them share the memory, and must not have its code put back, is found out without kcmp()."""
    process = target("storm", "-t", "4", "-f", "-v")
    for turn in range(3):
        tracer = memtrace.Memtrace(process.pid, tmp_path / f"report-{turn}", command=[OLD, "3.4"])
        started.append(tracer)
        tracer.attached()
        for _ in range(5):
            tracer.status()
            another_child(process)
        tracer.detach().consistent()
    process.go_on()
    assert process.result()["children"] > 10


def test_selftest():
    done = run("3.4", "--selftest")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", ["3.3", "3.0"])
def test_too_old(version, target):
    process = target("threads", "1", "10")
    for argv in (["-q", "-b", "-p", process.pid], ["-q", memtrace.TARGETS / "entries", "1"]):
        done = run(version, *argv)
        assert done.returncode != 0
        assert "is too old: memtrace needs Linux 3.4 or later" in done.stderr, done.stderr
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def test_search(tmp_path):
    """Without getrandom() a search has its random numbers all the same; here there is no network."""
    done = subprocess.run(["unshare", "-rn", OLD, "3.4", memtrace.MEMTRACE, "-a", "-b", memtrace.TARGETS / "entries", "1"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert "no network to look for memtrace-fs on" in done.stderr
    assert "random" not in done.stderr
