"""--mmap: what a process maps, by call stack, apart from its blocks."""
import os
import re
import subprocess

import pytest

import json_report
import memtrace

PAGE = os.sysconf("SC_PAGE_SIZE")


def said(process):
    """{name: (pieces, bytes)}: what the target says it has mapped."""
    told = {}
    for line in process.out:
        match = re.match(r"MAPPED (\w+) (\d+) (\d+)$", line)
        if match:
            told[match[1]] = (int(match[2]), int(match[3]) * PAGE)
    return told


def found(report):
    """The same of a report; what no function of ours made is "other"."""
    sums = {}
    for context in report["mapping_contexts"]:
        names = [(frame["function"] or "").split("(")[0] for frame in context["stack"]]
        assert re.match("_*(mmap|mmap64|mremap|brk|brk_call)$", names[0]), names
        name = next((n for n in names if n.startswith("by_")), "other")
        if "by_thread" in names:
            name = next(n for n in names if n in ("by_whole", "by_odd"))
        pieces, size = sums.get(name, (0, 0))
        sums[name] = (pieces + context["in_use_mappings"], size + context["in_use_bytes"])
    return sums


def check(report, told):
    sums = found(report)
    other = sums.pop("other", (0, 0))
    assert sums == told
    assert other[0] <= 8  # stacks of threads, and no more
    assert report["mappings"]["in_use_bytes"] == sum(size for _, size in sums.values()) + other[1]
    assert report["mappings"]["in_use_mappings"] == sum(n for n, _ in sums.values()) + other[0]


@pytest.mark.parametrize("kind", ["", "-static", "-musl"])
def test_all_ways(target, attach, kind):
    if not (memtrace.TARGETS / ("mapper" + kind)).exists():
        pytest.skip("no musl-gcc")
    process = target("mapper" + kind)
    tracer = attach(process.pid, "--mmap")
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    result = process.result()
    assert not report["not_followed"]
    for name in ("allocs", "frees", "allocated_bytes", "freed_bytes"):
        assert report["summary"][name] >= result[name]  # (those of the threads' descriptors)
    assert report.through("main")["in_use_bytes"] >= 5 << 20  # large blocks are blocks
    check(report, said(process))


def test_launched(tmp_path):
    output = tmp_path / "report.json"
    process = memtrace.Process([memtrace.MEMTRACE, "--mmap", "--format=json", "-n", "0", "-o", output,
                                memtrace.TARGETS / "mapper"], stdin=subprocess.DEVNULL)
    try:
        assert process.wait() == 0, process.story()
        report = json_report.load(output.read_text())
        told = said(process)
        told["by_break"] = (2, 6 * PAGE)  # those before READY, too
        check(report, told)
    finally:
        process.end()


def test_without_it(follow):
    _, report = follow("mapper")
    assert "mappings" not in report and "mapping_contexts" not in report
