"""Code that was generated while the program ran: what its runtime wrote down of it is what it is called,
and one function is one frame."""
import os
import pathlib
import platform
import re
import shutil

import pytest

import json_report
import memtrace

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="no code for this CPU")
CALLS = 10  # of the function, with two allocations each


class Generated:
    """The target, and the perf map that is its own."""

    def __init__(self, target, *args, name="generated", **popen):
        self.process = target(name, *args, **popen)
        line = next(line for line in self.process.out if line.startswith("CODE "))
        self.code, self.size = int(line.split()[1], 16), int(line.split()[2])
        ready = next(line for line in self.process.out if line.startswith("READY "))
        self.map = pathlib.Path(f"/tmp/perf-{ready.split()[1]}.map")

    def line(self, name, at=0, size=None):
        return f"{self.code + at:x} {size or self.size:x} {name}\n".encode()

    def round(self):
        self.process.go_on()
        self.process.done()


@pytest.fixture
def generated(target):
    made = []

    def start(*args, **more):
        made.append(Generated(target, *args, **more))
        return made[-1]

    yield start
    for program in made:
        program.map.unlink(missing_ok=True)


def through(report):
    """{(function, module) of the frame above take(): its blocks in use}, and how many call stacks have it."""
    found, count = {}, 0
    for context in report["contexts"]:
        names = [frame["function"] for frame in context["stack"]]
        if "take" in names:
            frame = context["stack"][names.index("take") + 1]
            assert names[-1] == "_start" and context["stack_end"] == "root"
            key = frame["function"], frame["module"]
            found[key] = found.get(key, 0) + context["in_use_blocks"]
            count += 1
    return found, count


def test_perf_map(generated, attach):
    """Two calls of one function are one call stack."""
    program = generated("1")
    program.map.write_bytes(program.line("js: add /srv/app.js:12"))
    tracer = attach(program.process.pid)
    program.round()
    report = tracer.detach().consistent()
    assert through(report) == ({("js: add /srv/app.js:12", "[generated code]"): 2 * CALLS}, 1)
    program.process.go_on()
    assert program.process.result()["allocs"] == report["summary"]["allocs"]


def test_map_that_comes_late(generated, attach):
    """Until then each call stands for itself; all of them have their name in the end."""
    program = generated("2")
    tracer = attach(program.process.pid)
    program.round()
    program.map.write_bytes(program.line("late"))
    assert tracer.status()["allocs"] == 2 * CALLS
    tracer.send("report")
    tracer.wait_line("HEAP SUMMARY|\"summary\"")
    program.round()
    report = tracer.detach().consistent()
    assert through(report) == ({("late", "[generated code]"): 4 * CALLS}, 3)


@pytest.mark.parametrize("launched", [False, True], ids=["attached", "launched"])
def test_map_at_the_end(launched, generated, attach, tmp_path):
    """Written when the program ends, as java's DumpPerfMapAtExit does; of a program that is known for such."""
    shutil.copy(memtrace.TARGETS / "generated", tmp_path / "node")
    output = tmp_path / "launched.json"
    command = [memtrace.MEMTRACE, "--format=json", "-n", "0", "--all", "-o", output, *memtrace.ENGINE_OPTIONS] if launched else []
    program = generated("1", name=tmp_path / "node", command=command)
    tracer = None if launched else attach(program.process.pid)
    program.round()
    program.map.write_bytes(program.line("at the end"))
    program.process.go_on()
    program.process.result()
    if tracer:
        assert tracer.wait() == 0
    report = tracer.report() if tracer else memtrace.Report(json_report.load(output.read_text()))
    assert through(report.consistent()) == ({("at the end", "[generated code]"): 2 * CALLS}, 2)


def test_other_code_at_the_same_place(generated, attach):
    """What a frame was called when it was met stays: the map has grown."""
    program = generated("2")
    program.map.write_bytes(program.line("before"))
    tracer = attach(program.process.pid)
    program.round()
    with program.map.open("ab") as file:
        file.write(program.line("after"))
    tracer.send("report")
    tracer.wait_line("HEAP SUMMARY|\"summary\"")
    program.round()
    report = tracer.detach().consistent()
    module = "[generated code]"
    assert through(report) == ({("before", module): 2 * CALLS, ("after", module): 2 * CALLS}, 2)


@pytest.mark.parametrize("what", ["nothing", "garbage", "fifo", "a link to nowhere"])
def test_no_name(generated, attach, what):
    """Whatever is there in place of a map, the stack is right and says which memory it is."""
    program = generated("1")
    if what == "garbage":
        wrong = [b"\n \0\n", b"zz 10 z\n", b"1 2\n", b"x" * 300000 + b"\n", b"%x 0 empty\n" % program.code,
                 b"%x ffffffffffffffff whole\n" % program.code, b"11111111111111111 1 far\n",
                 program.line("a" * 5000), os.urandom(20000), program.line("unfinished")[:-1]]
        program.map.write_bytes(b"\n".join(wrong))
    elif what == "fifo":
        os.mkfifo(program.map)
    elif what == "a link to nowhere":
        program.map.symlink_to("/nonexistent")
    tracer = attach(program.process.pid)
    program.round()
    report = tracer.detach().consistent()
    assert through(report) == ({(None, "[generated code]"): 2 * CALLS}, 2)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_map_of_somebody_else(generated, attach):
    """/tmp is everybody's."""
    program = generated("1")
    program.map.write_bytes(program.line("lie"))
    os.chown(program.map, 65534, 65534)
    tracer = attach(program.process.pid)
    program.round()
    assert through(tracer.detach().consistent()) == ({(None, "[generated code]"): 2 * CALLS}, 2)


def test_name_of_memory(generated, attach):
    program = generated("1", "v8")
    if "[anon:v8]" not in pathlib.Path(f"/proc/{program.process.pid}/maps").read_text():
        pytest.skip("this kernel gives memory no names")
    tracer = attach(program.process.pid)
    program.round()
    assert through(tracer.detach().consistent()) == ({(None, "[anon:v8]"): 2 * CALLS}, 2)


def test_snapshot_keeps_the_names(generated, attach, started, tmp_path):
    """memtrace-fs, later and elsewhere, has no map to read."""
    program = generated("1")
    program.map.write_bytes(program.line("kept for later"))
    tracer = attach(program.process.pid)
    program.round()
    tracer.send(f"save {tmp_path / 'kept'}")
    tracer.wait_line("/kept has ")
    tracer.detach()
    program.map.unlink()
    offline = memtrace.Process([memtrace.BUILD / "memtrace-fs", "--report", tmp_path / "kept"])
    started.append(offline)
    assert offline.wait() == 0, offline.story()
    assert any(re.fullmatch(r" +kept for later in \[generated code\]", line) for line in offline.out), \
        offline.story()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_another_pid_namespace(started, attach, tmp_path):
    """Its number and its /tmp are its own."""
    private = tmp_path / "private"
    private.mkdir()
    shutil.copy(memtrace.TARGETS / "generated", private)  # (which may lie below /tmp itself)
    script = f"mount --bind {private} /tmp && exec /tmp/generated 1"
    process = memtrace.Process(["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script])
    started.append(process)
    code, size = process.wait_line(r"^CODE (\w+) (\d+)").groups()
    pid, = memtrace.descendants(process.pid)
    (private / "perf-1.map").write_text(f"{code} {int(size):x} inside\n")
    tracer = attach(pid)
    process.send()
    process.wait_line("^DONE$")
    assert through(tracer.detach(check=False).consistent()) == ({("inside", "[generated code]"): 2 * CALLS}, 1)


@pytest.mark.parametrize("environment, said", [({}, 1), ({"PYTHONMALLOC": "malloc"}, 0)])
def test_memory_of_a_runtime(started, environment, said):
    """That Python has small objects in memory of its own is said once; not where it was told otherwise."""
    script = """
import mmap
print('READY', flush=True)
input()
kept = mmap.mmap(-1, 8 << 20)
for page in range(2048):
    kept[page << 12] = 1
print('DONE', flush=True)
input()"""
    program = memtrace.Process(["/usr/bin/python3", "-c", script], env={**os.environ, **environment})
    started.append(program)
    program.wait_line("^READY$")
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "-p", program.pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("HEAP SUMMARY")
    program.send()
    program.wait_line("^DONE$")
    tracer.process.stdin.close()
    assert tracer.wait() == 0
    assert re.search("The rest is not malloc's", " ".join(tracer.out))  # the mapping
    assert " ".join(tracer.out).count("PYTHONMALLOC=malloc") == said, tracer.story()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="no such code for this CPU")
@pytest.mark.parametrize("kind", ["object", "image"])
def test_shown_to_debuggers(target, attach, kind):
    """Code without frame pointers is walked by its own unwind data, also what has taken the place of another one."""
    process = target("registered", kind)
    tracer = attach(process.pid)
    for _ in range(2):
        process.go_on()
        process.done()
    report = tracer.detach().consistent()
    assert through(report) == ({("generated", "[generated code]"): 4 * CALLS}, 1)
    assert not any(frame.get("guess") for context in report["contexts"] for frame in context["stack"])
    process.go_on()
    process.result()
