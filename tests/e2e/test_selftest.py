"""memtrace --selftest, and the scenarios as any other program."""
import os
import pathlib
import re
import resource
import subprocess

import pytest

import json_report

MEMTRACE = str(pathlib.Path(os.environ.get("O", "build")).resolve() / "memtrace")

# The scenarios' counts are libc's, not those of a sanitizer's allocator.
pytestmark = pytest.mark.skipif(b"__asan_init" in pathlib.Path(MEMTRACE).read_bytes(),
                                reason="memtrace is built with a sanitizer")

ASKED_FOR = ["calloc", "malloc", "strdup", "free", "realloc", "reallocarray", "multimalloc", "hugecalloc"]


def run(*argv):
    return subprocess.run([MEMTRACE, *argv], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)


def test_all_scenarios_pass():
    result = run("--selftest")
    lines = result.stdout.splitlines()
    assert [line for line in lines[:-1] if not line.endswith(": passed")] == []
    passed = [line.split(":")[0] for line in lines[:-1]]
    assert set(ASKED_FOR) <= set(passed)
    assert lines[-1] == f"{len(passed)} of {len(passed)} scenarios passed"
    assert result.returncode == 0
    assert result.stderr == ""


def test_scenarios_alone():
    """Not observed, they do their work and say nothing."""
    for action in ASKED_FOR:
        result = run("--selftest", f"--action={action}")
        assert (result.returncode, result.stdout, result.stderr) == (0, "", ""), action


def test_multimalloc_as_text():
    result = run(MEMTRACE, "--selftest", "--action=multimalloc")
    assert result.returncode == 0
    assert re.search(r"    in use: 552 bytes in 56 blocks\n"
                     r"    total heap usage: 111 allocs, 55 frees, 967 bytes allocated\n", result.stderr)
    found = re.findall(r"^\d+\. #\d+ +(\d+) bytes in (\d+) blocks? were not free", result.stderr, re.M)
    assert found == [("265", "5"), ("150", "50"), ("137", "1")]


@pytest.mark.parametrize("action, function", [
    ("malloc", "malloc"), ("calloc", "calloc"), ("strdup", "strdup"), ("reallocarray", "reallocarray"),
    ("posix_memalign", "posix_memalign"), ("aligned_alloc", "aligned_alloc")])
def test_the_allocator_is_in_the_stack(action, function, tmp_path):
    path = tmp_path / "report.json"
    run("-q", "--format=json", "-o", str(path), MEMTRACE, "--selftest", f"--action={action}")
    names = [frame["function"] for frame in json_report.load(path.read_text())["contexts"][0]["stack"]]
    assert function in " ".join(filter(None, names[:2])), names
    assert any("main" == name or name == "main()" for name in names if name), names


def test_little_memory():
    """On a device that has no 256 MB to give one scenario is left out, and said, not failed."""
    limit = 100 << 20
    result = subprocess.run([MEMTRACE, "--selftest"], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    *lines, last = result.stdout.splitlines()
    assert [line for line in lines if not line.endswith(": passed")] == ["hugecalloc: skipped, the machine has no memory for it"]
    assert last == f"{len(lines) - 1} of {len(lines) - 1} scenarios passed" and result.returncode == 0
