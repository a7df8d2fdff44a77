"""memtrace-fs --report EARLIER LATER: what a later capture has more in use, of the same process or another run."""
import json
import subprocess

import pytest

import memtrace
from memtrace import BUILD, MEMTRACE

FS = BUILD / "memtrace-fs"

# A function more, and the others elsewhere, in each later build.
SOURCE = """
#include <stdlib.h>
#ifdef LATER
__attribute__((noipa)) void *fresh(void) { return malloc(70); }
#endif
__attribute__((noipa)) void *same(void) { return malloc(100); }
__attribute__((noipa)) void *grows(int n) { void *p = 0; for (int i = 0; i < n; i++) p = malloc(10); return p; }
__attribute__((noipa)) void *gone(int n) { return n ? malloc(1000) : 0; }
int main(int argc, char **argv)
{
	same();
	grows(atoi(argv[1]));
	gone(atoi(argv[2]));
#ifdef LATER
	fresh();
#endif
	return 0;
}
"""


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    place = tmp_path_factory.mktemp("compare")
    (place / "p.c").write_text(SOURCE)
    for name, flags in (("earlier", ["-g"]), ("later", ["-g", "-DLATER"])):
        (place / name).mkdir()
        subprocess.run(["gcc", "-O1", "-fno-builtin", *flags, "-o", place / name / "p", place / "p.c"], check=True)
    return place


def capture(path, format_, *argv):
    subprocess.run([MEMTRACE, "-q", f"--format={format_}", "-n", "0", "-o", path, *argv], check=True,
                   stdin=subprocess.DEVNULL)
    return path


def compared(*argv):
    return subprocess.run([FS, "--report", *argv], capture_output=True, text=True)


def head(text):
    """Its first paragraph, which is broken to fit a terminal."""
    return " ".join(text.split("\n\n")[0].splitlines())


@pytest.mark.parametrize("format_", ["snapshot", "json"])
def test_the_same_build(build, tmp_path, format_):
    """By addresses; what is no more is in the sum alone."""
    before = capture(tmp_path / "before", format_, build / "earlier" / "p", "3", "1")
    after = capture(tmp_path / "after", format_, build / "earlier" / "p", "5", "0")
    done = compared(before, after)
    lines = done.stdout.splitlines()
    assert head(done.stdout) == f"From {before} to {after}, another capture. 1 call stack has more in use: +20 bytes in +2 blocks."
    first = lines.index("") + 1
    assert lines[first].startswith("1. #") and lines[first].endswith("  +20 bytes in +2 blocks")
    assert lines[first + 1].startswith("    grows() in ")
    assert all(len(line) <= 80 or " " not in line for line in lines[:first])
    assert lines[-1] == "In all -980 bytes in +1 block"
    assert head(compared(after, after).stdout) == f"From {after} to {after}: 0.0 s. No call stack has more in use than before."


@pytest.mark.parametrize("format_", ["snapshot", "json"])
def test_another_build(build, tmp_path, format_):
    """By functions: no address is what it was."""
    before = capture(tmp_path / "before", format_, build / "earlier" / "p", "3", "1")
    after = capture(tmp_path / "after", format_, build / "later" / "p", "5", "1")
    text = compared(before, after).stdout
    assert head(text).endswith("2 call stacks have more in use: +90 bytes in +3 blocks.")
    assert text.index("    fresh() in ") < text.index("    grows() in ")
    assert "same() in" not in text and "gone() in" not in text
    assert text.endswith("\nIn all +90 bytes in +3 blocks\n")


PYTHON = """
import sys
kept = []
print("READY", flush=True)
for line in sys.stdin:
    kept.append(bytearray(5000))
    print("DONE", flush=True)
"""


def test_one_capture(started, tmp_path):
    """Two moments of it: born and died are said."""
    program = memtrace.Process(["/usr/bin/python3", "-S", "-c", PYTHON], env={"PYTHONMALLOC": "malloc"})
    started.append(program)
    program.wait_line("^READY")
    tracer = memtrace.Process([MEMTRACE, "-q", "-o", "/dev/null", "-p", program.pid])
    started.append(tracer)
    for name in "ab":
        tracer.send(f"save {tmp_path}/{name}")
        tracer.wait_line(f"^{tmp_path}/{name} has ")
        program.send("go")
        program.wait_line("^DONE")
    tracer.send("quit")
    assert tracer.wait() == 0, tracer.story()
    said = " ".join(compared(tmp_path / "a", tmp_path / "b").stdout.split())
    assert " born, " in said and "another capture" not in said and "more in use: +" in said


def test_what_is_refused(build, tmp_path):
    one = capture(tmp_path / "one", "snapshot", build / "earlier" / "p", "1", "1")
    assert compared(one, one, one, "--format=json").stderr == \
        "memtrace-fs: more than two files are a history as text, not json\n"
    done = compared(one, one, "--format=json")
    assert done.stderr == "memtrace-fs: two files are compared as text or html, not json\n"
    (tmp_path / "bad").write_bytes(one.read_bytes()[:100])
    assert f"{tmp_path}/bad: " in compared(tmp_path / "bad", one).stderr


def test_several_are_a_history(build, tmp_path):
    """Points by time, whatever order they are given in; and what changed from the first file to the last."""
    program = build / "earlier" / "p"
    for name, count in (("a", "1"), ("b", "3"), ("c", "5")):
        capture(tmp_path / name, "snapshot", program, count, "0")
    done = compared(tmp_path / "a", tmp_path / "c", tmp_path / "b")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "              taken    in use    blocks  allocs/s   frees/s       RSS  file"
    rows = [line.split() for line in lines[1:4]]
    used = [json.loads(compared(tmp_path / name, "--format=json").stdout)["summary"] for name in "abc"]
    assert [(row[2], row[3], row[-1]) for row in rows] == [
        (str(s["in_use_bytes"]), str(s["in_use_blocks"]), str(tmp_path / name)) for s, name in zip(used, "abc")]
    assert [row[4:6] for row in rows] == [["-", "-"]] * 3  # of three processes
    assert lines[5] == "too early: too few samples to tell" or lines[5].startswith("too early: ")
    assert " ".join(lines[7:]).startswith(f"From {tmp_path / 'a'} to {tmp_path / 'b'}, another capture. ")
