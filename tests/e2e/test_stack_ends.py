"""Where a call stack goes on although it is hard to see, and where it ends: pieces of stacks,
code that is no file's any more, words that are no return addresses, code without a name."""
import os
import pathlib
import shutil
import subprocess

import pytest

import memtrace
from test_entries import tally
from test_kinds import built


def stacks(report, function):
    """(blocks in use, functions from the one that is named on, stack_end) of the contexts through it."""
    found = []
    for context in report["contexts"]:
        functions = [frame["function"] for frame in context["stack"]]
        if function in functions:
            found.append((context["in_use_blocks"], functions[functions.index(function):], context["stack_end"]))
    return found


def test_stack_in_pieces(follow):
    """__morestack goes on on another piece of stack, above or below."""
    result, report = follow(built("splitstack"), "10", "30", options=["-s", "200"])
    assert report["summary"]["in_use_blocks"] >= 10
    (blocks, functions, end), = stacks(report, "down")
    assert (blocks, end) == (10, "root")
    assert functions.count("down") == 31 and functions.count("__morestack") >= 30
    assert functions[functions.index("run"):] == ["run", "start_thread", "clone3"]
    assert not any(frame.get("guess") for context in report["contexts"] for frame in context["stack"])
    assert result["verdict"] == "ok"


def test_word_that_is_no_return_address(follow):
    """It is no frame: 100 allocations that differ in it alone are one call stack."""
    result, report = follow("nocode", "20")
    assert report.counts() == tally(result)
    (blocks, functions, end), = stacks(report, "stray")
    assert (blocks, functions, end) == (100, ["stray"], "no-code")


@pytest.mark.parametrize("which, name", enumerate(["asmcgocall.abi0", "systemstack", "mcall", "morestack.abi0"]))
def test_untrue_unwind_data(follow, which, name):
    """Go's way into C, and others of its runtime, change stacks without saying so: what is left on the
    other is no frame."""
    result, report = follow(built("stackswitch"), "20", which)
    assert report.counts() == tally(result)
    (blocks, functions, end), = stacks(report, "leak")
    assert (blocks, functions, end) == (20, ["leak", f"runtime.{name}"], "no-unwind-data")


@pytest.mark.limit(180)
@pytest.mark.skipif(not shutil.which("go"), reason="there is no Go compiler")
def test_go_leaks_in_c(target, attach, tmp_path):
    """Whatever stack a goroutine has, and how deep it is: one line of C is one call stack."""
    source = pathlib.Path(__file__).parent.parent / "targets/leaks.go"
    built = subprocess.run(["go", "build", "-o", tmp_path / "leaks", source], capture_output=True, text=True, check=False,
                           env={**os.environ, "GOCACHE": str(tmp_path / "cache"), "GO111MODULE": "off", "CC": "gcc"})
    if "cgo" in built.stderr or "gcc" in built.stderr:
        pytest.skip("this Go does not call C here")
    assert built.returncode == 0, built.stderr
    process = target(tmp_path / "leaks", "200")
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    (blocks, functions, end), = stacks(tracer.detach().consistent(), "leak_one_line")
    assert (blocks, functions, end) == (200, ["leak_one_line", "runtime.asmcgocall"], "no-unwind-data")


@pytest.mark.parametrize("name", ["hugify", "hugify-static"])
@pytest.mark.parametrize("when", [[], ["watched"]])
def test_text_copied_to_memory(follow, name, when):
    """The module is known by its neighbours and its content, before and while it is watched."""
    result, report = follow(name, "20", *when)
    assert report.counts() == tally(result)
    (blocks, functions, end), = stacks(report, "level3")
    assert (blocks, end) == (20, "root")
    assert functions[:4] == ["level3", "level2", "level1", "main"] and functions[-1] == "_start"


def test_code_without_a_name(follow):
    """musl's threads begin in assembler code that its dynamic symbols do not name: behind the
    last one that they do, of which they do not say how far it goes."""
    _, report = follow(built("threads-musl"), "2", "100")
    ends = {(stack[-1], end) for _, stack, end in stacks(report, "work")}
    assert ends == {(None, "no-unwind-data")}
