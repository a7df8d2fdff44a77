"""Every entry point of the allocator, counted exactly: the target keeps its own tally."""
import re

import pytest

import memtrace


def tally(result):
    return {name: result[name] for name in memtrace.Report.NAMES}


def test_libc(follow):
    result, report = follow("entries", "20")
    assert report.counts() == tally(result)
    assert report["summary"]["frees_of_unknown"] == 0
    assert report["summary"]["in_use_bytes"] == 1 + 20 + 300
    assert report["summary"]["in_use_blocks"] == 3


def test_operators_and_exceptions(follow):
    result, report = follow("operators", "20")
    assert report.counts() == tally(result)
    assert (report["summary"]["in_use_blocks"], report["summary"]["in_use_bytes"]) == (1, 1234)


def test_call_that_throws_where_it_would_be_displaced(target, attach):
    """A handler is found by where the call returns to: in a copy there would be none."""
    process = target("catching", "100")
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach()
    process.go_on()
    assert process.result()["allocs"] == 100
    assert process.wait() == 0
    assert [m["reason"] for m in report["not_followed"] if m["function"] == "malloc"] == [
        "it begins with a call, and catches what that throws"]


@pytest.mark.parametrize("behind_a_filter", [(), ("sandboxed",)], ids=["soft", "hard"])
def test_registers_that_a_function_leaves_alone(target, attach, behind_a_filter):
    """No convention makes a register or a flag free: watched, and after the detach."""
    process = target("registers", *behind_a_filter, "300")
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert report.counts() == tally(process.result())
    assert process.wait() == 0
    assert report["summary"]["in_use_blocks"] == 0


@pytest.mark.parametrize("behind_a_filter", [(), ("sandboxed",)], ids=["soft", "hard"])
def test_registers_of_a_launched_program(tmp_path, behind_a_filter):
    """From its first instruction on; the filter comes while we watch."""
    argv = [memtrace.TARGETS / "registers", *behind_a_filter, "50"]
    status, out, report = memtrace.launch(tmp_path / "report", argv)
    assert status == 0
    result = memtrace.parse_result(out)
    assert report.consistent().counts()["allocs"] == result["allocs"] + 20  # behind its result


def test_each_function_is_named(follow):
    """The outermost function of the allocator stands in the stack under its own name
    (aligned_alloc and memalign are one function in glibc)."""
    _, report = follow("entries", "1")
    leaves = {c["stack"][0]["function"].split("(")[0] for c in report["contexts"] if c["stack"][0]["function"]}
    leaves = {leaf.removeprefix("__").removeprefix("libc_") for leaf in leaves}
    for name in ("malloc", "calloc", "realloc", "posix_memalign", "memalign", "valloc", "pvalloc"):
        assert name in leaves


def test_ways_out_of_a_call(follow):
    """longjmp out of handlers and callbacks, cancelled threads."""
    result, report = follow("jumps", "40")
    assert report.counts() == tally(result)
    assert report["summary"]["in_use_blocks"] == 0


@pytest.mark.parametrize("argv", [("entries", "3"), ("operators", "3")], ids=lambda argv: argv[0])
def test_launched(tmp_path, argv):
    """From the first constructor to the last destructor: what the target did, no less."""
    status, out, report = memtrace.launch(tmp_path / "report", [memtrace.TARGETS / argv[0], *argv[1:]])
    assert status == 0
    report.consistent()
    result = memtrace.parse_result(out)
    sums, before = report.through("main"), report.through("first_throw")
    for name in ("allocs", "allocated_bytes"):
        assert sums[name] - before[name] == result[name]
    assert sums["in_use_bytes"] == result["allocated_bytes"] - result["freed_bytes"]


def test_constructors_and_destructors(tmp_path):
    status, out, report = memtrace.launch(tmp_path / "report", [memtrace.TARGETS / "constructed"])
    assert status == 0
    result = memtrace.parse_result(out)
    sums = report.consistent().through("construct_alloc")
    assert (result["allocs"], result["allocated_bytes"]) == (4, 4010)
    assert (sums["allocs"], sums["allocated_bytes"], sums["frees"]) == (4, 4010, 3)
    assert (sums["in_use_blocks"], sums["in_use_bytes"]) == (1, 1004)
    # The dynamic linker's first function, which calls constructors, has no unwind data.
    assert {context["stack_end"] for context in report["contexts"]} == {"root"}


def test_blocks_from_before(target, attach):
    """A block from before the attach, freed after it, is counted apart; `clear` alike."""
    process = target("storm", "-t", "3", "-p")
    tracer = attach(process.pid)
    tracer.send("clear")
    tracer.status()
    process.go_on()
    process.result()
    tracer.process.stdin.close()
    tracer.wait()
    report = tracer.report().consistent()
    assert report["summary"]["frees_of_unknown"] > 0
    assert all(context["in_use_blocks"] >= 0 for context in report["contexts"])


def test_free_that_is_left_alone(tmp_path):
    """An allocator without its free would be counted wrong: none of it is followed."""
    process = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", memtrace.TARGETS / "halved"])
    assert process.wait() == 0
    text = "\n".join(process.err)
    assert re.search(r"not followed: free in \S+/halved: ", text), text
    assert re.search(r"^not followed: \S+/halved: without its free the allocator would be counted wrong$", text, re.M)
    assert "No allocator was found" not in text
    assert "total heap usage: 0 allocs, 0 frees" in "\n".join(process.out + process.err)


@pytest.mark.parametrize("kind", ["homonyms", "homonyms-static"])
def test_names_that_mean_something_else(follow, kind):
    """A program's own cfree, valloc, mallocx ... are no allocator's: its malloc is followed."""
    result, report = follow(kind, "20")
    assert report.counts() == {name: result[name] for name in memtrace.Report.NAMES}
    assert report["summary"]["frees_of_unknown"] == 0
    assert report["not_followed"] == ([] if kind == "homonyms" else report["not_followed"])
