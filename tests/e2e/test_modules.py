"""Libraries that come and go: stacks in what is gone keep their module."""
import errno
import os
import pathlib

import memtrace


def test_dlopen_and_dlclose(follow):
    result, report = follow("plugins", memtrace.TARGETS, "10")
    assert result["reused"] > 0  # else the test shows nothing
    sums = report.through("plugin_alloc")
    assert (sums["allocs"], sums["allocated_bytes"]) == (result["allocs"], result["allocated_bytes"])
    assert sums["in_use_blocks"] == 10
    for context in report["contexts"]:
        plugin = [f["module"] for f in context["stack"] if "plugin_" in (f["module"] or "")]
        if plugin and context["allocs"]:
            size = context["allocated_bytes"] / context["allocs"]
            letter = "a" if size < 150 else "b"
            assert all(path.endswith(f"plugin_{letter}.so") for path in plugin), context
    paths = [module["path"] for module in report["modules"]]
    assert sum("plugin_a.so" in path for path in paths) >= 1
    assert sum("plugin_b.so" in path for path in paths) >= 1


def test_many_loads_few_files(target, attach):
    """A library that is loaded again and again, each time elsewhere, takes no file of ours each."""
    process = target("plugins", memtrace.TARGETS, "200", "apart")
    tracer = attach(process.pid, "--no-symbols", command=["prlimit", "--nofile=64"])
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    result = process.result()
    assert report["summary"]["allocs"] >= result["allocs"] == 800
    assert sum("plugin_a.so" in module["path"] for module in report["modules"]) > 64
    assert {frame["module"] for context in report["contexts"] for frame in context["stack"]} >= {
        str(memtrace.TARGETS / f"plugin_{letter}.so") for letter in "ab"}


def test_every_frame_lies_in_its_module(follow):
    _, report = follow("entries", "2")
    where = {module["path"]: module for module in report["modules"]}
    frames = [frame for context in report["contexts"] for frame in context["stack"]]
    assert frames
    for frame in frames:
        module = where[frame["module"]]
        assert int(module["begin"], 16) <= int(frame["pc"], 16) <= int(module["end"], 16)
        assert frame["build_id"] == module["build_id"]


def test_attach_before_the_libraries_are_there(started, attach, tmp_path):
    """ld.so waits for a library that is a pipe; libc is still to come."""
    pipe = tmp_path / "slow.so"
    os.mkfifo(pipe)
    process = memtrace.Target("entries", "3", env={**os.environ, "LD_PRELOAD": str(pipe)})
    started.append(process)
    writer = None
    while writer is None:
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO and process.alive(), process.story()
    assert "libc.so" not in pathlib.Path(f"/proc/{process.pid}/maps").read_text()
    tracer = attach(process.pid)
    os.close(writer)
    process.ready()
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    sums, result = report.through("main"), process.result()
    assert (sums["allocs"], sums["allocated_bytes"]) == (result["allocs"], result["allocated_bytes"])
