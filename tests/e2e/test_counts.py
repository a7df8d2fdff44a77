"""Exact counts of real programs: a preloaded interposer counts on its own.

Two runs of a program that allocates the same in every run, without address
randomisation, with hash seeds fixed, with the same environment but for one value of
equal length: one with the oracle (count_preload.c), one under memtrace.  Allocations,
frees and bytes must be equal, to the last one.

What was seen while making both equal: the loader allocates for every library, so the
run under memtrace loads one too (plain_preload.c); perl copies the environment, so
it must have the same length, and perl's hash of it grows by the names in it; python's
-E also throws away PYTHONHASHSEED; python allocates otherwise for a pipe than for
/dev/null; cc1 takes a page of 32768 bytes more or less by where its memory lies (13546 to
13548 allocations of the same file, without memtrace too); bash keeps the text of its
parent's pid.

So that this is not needed: both in one and the same run.  The oracle is then an allocator
that calls another one, of which only the outermost call counts.
"""
import ctypes
import struct
import subprocess

import pytest

import memtrace
import programs

ADDR_NO_RANDOMIZE = 0x0040000
NAMES = memtrace.Report.NAMES


def fixed_addresses():
    ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)


def oracle_numbers(path):
    """(numbers, what it could not follow) of the oracle's file."""
    _, *numbers, lost = struct.unpack("<6Q", path.read_bytes()[:48])
    return dict(zip(NAMES, numbers)), lost


def argv_of(name, directory):
    return {
        "python3": lambda: programs.python_argv(30),
        "sqlite3": lambda: programs.sqlite_argv(200),
        "cc1": lambda: programs.cc1_argv(directory),
        "perl": lambda: programs.perl_argv(300),
        "git": lambda: ["git", "-C", str(programs.git_repository(directory)), "--no-pager", "log", "--stat", "-p"],
        "bash": lambda: ["bash", "-c", programs.BASH_TEXT],
        "gcc": lambda: ["gcc", "-fpreprocessed", "-c", "-o", "/dev/null",
                        programs.cc1_argv(directory)[4]],
    }[name]()


PROGRAMS = ["python3", "sqlite3", "perl", "git", "gcc"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_equal_to_the_oracle(tmp_path, name):
    argv = argv_of(name, tmp_path)
    counts = tmp_path / "counts"
    first = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
                           preexec_fn=fixed_addresses, timeout=60,
                           env=programs.steady_env(LD_PRELOAD=str(memtrace.TARGETS / "count_preload.so"),
                                                   COUNT_FILE=str(counts)))
    numbers, lost = oracle_numbers(counts)
    assert lost == 0 and numbers["allocs"] > 100
    plain = programs.steady_env(LD_PRELOAD=str(memtrace.TARGETS / "plain_preload.so"), COUNT_FILE=str(counts))
    status, out, report = memtrace.launch(tmp_path / "report", argv, "--no-symbols", env=plain,
                                          preexec_fn=fixed_addresses)
    assert status == 0
    assert out == first.stdout.decode(errors="replace").splitlines()
    report.consistent()
    assert report["summary"]["frees_of_unknown"] == 0
    assert report.counts() == numbers


def test_frees_of_blocks_from_before(target, attach):
    """Also those that libc makes, from anywhere in its text: they are the program's."""
    process = target("unknown")
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    summary = report["summary"]
    assert (summary["frees_of_unknown"], summary["frees"], summary["allocs"]) == (process.result()["frees"], 0, 0)


def both(tmp_path, argv):
    """The oracle inside, memtrace outside."""
    counts = tmp_path / "counts"
    # the oracle counts whoever makes its file: that must be the program, not memtrace
    wrapped = ["env", f"LD_PRELOAD={memtrace.TARGETS / 'count_preload.so'}", f"COUNT_FILE={counts}", *argv]
    status, out, report = memtrace.launch(tmp_path / "report", wrapped, "--no-symbols",
                                          env=programs.steady_env())
    assert status == 0
    numbers, lost = oracle_numbers(counts)
    assert lost == 0
    assert report.consistent().counts() == numbers
    return out


@pytest.mark.parametrize("argv", [("entries", "5"), ("operators", "5"), ("children", "1"), ("jumps", "5"),
                                  ("signals", "plain", "1"), ("churn", "6", "8"), ("constructed",),
                                  ("threads", "6", "500"), ("plugins", str(memtrace.TARGETS), "5")],
                         ids=lambda argv: argv[0])
def test_targets_in_one_run(tmp_path, argv):
    memtrace.parse_result(both(tmp_path, [memtrace.TARGETS / argv[0], *argv[1:]]))


@pytest.mark.parametrize("name", ["cc1", "python3", "git", "bash"])
def test_programs_in_one_run(tmp_path, name):
    both(tmp_path, argv_of(name, tmp_path))
