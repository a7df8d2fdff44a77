"""memtrace and memtrace-fs on two hosts: whoever calls whom, the report is the one that
the unstripped program gives on one machine."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import json_report
import net
from memtrace import MEMTRACE, Process

pytestmark = pytest.mark.skipif(not net.allowed(), reason="needs root, ip and nsenter")

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOT_FOR_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "O", "CC", "CFLAGS")
VARIANTS = {
    "stripped": {},
    "no-unwind-data": {"cflags": net.NO_UNWIND},
    "all-registers": {"cflags": [*net.NO_UNWIND, "-DALL_REGISTERS"], "headers": False},
    "no-section-headers": {"headers": False},
    "one-segment": {"ldflags": ["-Wl,-z,noseparate-code"]},
    "no-build-id": {"ldflags": ["-Wl,--build-id=none"]},
    "nothing-left": {"cflags": net.NO_UNWIND, "ldflags": ["-Wl,--build-id=none"], "headers": False},
    "static": {"static": True},
    "static-nothing-left": {"static": True, "cflags": net.NO_UNWIND,
                            "ldflags": ["-Wl,--build-id=none"], "headers": False},
}


@pytest.fixture(scope="module")
def network():
    made = net.Network()
    yield made
    made.end()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """made(variant): built once."""
    known = {}

    def make(variant):
        if variant not in known:
            known[variant] = net.Made(tmp_path_factory.mktemp(variant), **VARIANTS[variant])
        return known[variant]

    return make


@pytest.fixture
def start(started):
    """start(host, *argv): on a host (None: here); ended with the test."""

    def begin(host, *argv, **popen):
        process = host.start(*argv, **popen) if host else Process(argv, **popen)
        started.append(process)
        return process

    return begin


def counted(process):
    """Waits until the console answers: it counts."""
    process.send("status")
    process.wait_line("^HEAP SUMMARY")


def report_of(start, host, program, output, *options, form="json"):
    """The report of three rounds of work.  (memtrace, text)"""
    target = start(host, program)
    target.wait_line("^READY")
    memtrace = start(host, MEMTRACE, *options, f"--format={form}", "-n", "0", "-o", output, "-p",
                     target.pid)
    counted(memtrace)
    for _ in range(3):
        target.send("go")
        target.wait_line("^DONE")
    memtrace.send("quit")
    assert memtrace.wait() == 0, memtrace.story()
    target.end()
    return memtrace, None if form == "snapshot" else output.read_text()


def stacks(text):
    """What a report says of each context, whatever its address and number."""
    report = json_report.load(text)
    return sorted(
        (c["in_use_bytes"], c["in_use_blocks"], c["allocs"], c["frees"], c["stack_end"],
         [(f["function"], f["file"], f["line"], f["inlined"], f.get("guess", False))
          for f in c["stack"]])
        for c in report["contexts"])


def serve(start, host, *dirs, options=("--no-announce",)):
    if host and not any("listen" in option for option in options):
        host.wait_free(3002)
    server = start(host, net.FS, *options, *dirs)
    server.wait_line("^Waiting for client to connect$")
    return server


@pytest.fixture(scope="module")
def reference(made, tmp_path_factory):
    """reference(variant): the unstripped program, on one machine."""
    known = {}

    def make(start, variant):
        if variant not in known:
            output = tmp_path_factory.mktemp("reference") / "report.json"
            known[variant] = stacks(report_of(start, None, made(variant).program, output)[1])
            assert known[variant]
        return known[variant]

    return make


@pytest.mark.parametrize("variant", VARIANTS)
def test_stripped_any_way(network, made, reference, start, tmp_path, variant):
    device = made(variant)
    serve(start, network.host, device.full, "/usr/lib/debug")
    _, text = report_of(start, network.target, device.on_device(device.program),
                        tmp_path / "r.json", "-c", "10.77.0.1")
    assert stacks(text) == reference(start, variant)


def test_words_of_both_sides(network, made, start, tmp_path):
    device = made("stripped")
    server = start(network.host, net.FS, f"{device.full}/")
    server.wait_line("^Waiting")
    assert server.out[:4] == [f"Adding directory {device.full}/ to search path",
                              "Listening on [::]:3002",
                              "HTTP serves programs, debug files and the sources they name, as "
                              "far as everybody may read them", "Waiting for client to connect"]
    memtrace, _ = report_of(start, network.target, device.on_device(device.program),
                            tmp_path / "r.json", "-a")
    assert memtrace.err[:4] == ["Query memtrace-fs service on [224.0.0.251]:3002",
                                "memtrace-fs announced on 10.77.0.1:3002",
                                "Connecting to [10.77.0.1]:3002", "Connected"]


@pytest.mark.parametrize("address", ["10.77.0.1:3002", "[fd77::1]:3002", "fd77::1", "10.77.0.1"])
def test_memtrace_calls(network, made, reference, start, tmp_path, address):
    device = made("stripped")
    serve(start, network.host, device.full, "/usr/lib/debug")
    _, text = report_of(start, network.target, device.on_device(device.program),
                        tmp_path / "r.json", "-c", address)
    assert stacks(text) == reference(start, "stripped")


@pytest.mark.parametrize("at, address", [("0.0.0.0", "10.77.0.2"), ("[::]:4003", "[fd77::2]:4003")])
def test_memtrace_fs_calls(network, made, reference, start, tmp_path, at, address):
    device = made("stripped")
    server = start(network.host, net.FS, "-c", address, device.full, "/usr/lib/debug")
    server.wait_line("trying again$")
    tracer, text = report_of(start, network.target, device.on_device(device.program),
                             tmp_path / "r.json", "-l", at)
    assert stacks(text) == reference(start, "stripped"), f"{tracer.story()}\n{server.story()}"
    server.wait_line("^Connected$")
    assert server.alive()


@pytest.mark.parametrize("way", ["connect", "listen", "autoconnect"])
def test_a_program_is_started(network, made, start, tmp_path, way):
    device = made("nothing-left")
    ours, theirs = {"connect": (["-c", "10.77.0.1"], ["--no-announce"]),
                    "listen": (["-l", "10.77.0.2"], ["-c", "10.77.0.2"]),
                    "autoconnect": (["-a"], [])}[way]
    server = start(network.host, net.FS, *theirs, device.full, "/usr/lib/debug")
    server.wait_line("^Waiting" if way != "listen" else "trying again$")
    output = tmp_path / "r.json"
    memtrace = start(network.target, MEMTRACE, *ours, "--format=json", "-n", "0", "-o", output,
                     device.on_device(device.program))
    memtrace.wait_line("^READY")
    memtrace.send("go")
    memtrace.wait_line("^DONE")
    memtrace.process.stdin.close()
    assert memtrace.wait() == 0, memtrace.story()
    found = [c for c in json_report.load(output.read_text())["contexts"]
             if any(f["function"] in ("work", "deeper", "part_make") for f in c["stack"])]
    assert len(found) == 9
    assert all(c["stack"][-1]["function"] == "_start" for c in found)


@pytest.mark.limit(200)
def test_a_static_memtrace_searches(network, made, start, tmp_path):
    """STATIC=1: what is carried to a device looks for names on the network, for a second."""
    subprocess.run(["make", "-s", "-C", ROOT, f"O={tmp_path}/out", "STATIC=1", "CFLAGS=-O0",
                    tmp_path / "out/memtrace"], check=True, stdout=subprocess.DEVNULL,
                   env={k: v for k, v in os.environ.items() if k not in NOT_FOR_MAKE})
    device = made("stripped")

    def words():
        memtrace = start(network.target, tmp_path / "out/memtrace", "-o", tmp_path / "r",
                         device.on_device(device.program))
        memtrace.process.stdin.close()
        assert memtrace.wait() == 0, memtrace.story()
        return memtrace.err

    assert words()[:3] == [
        "Query memtrace-fs service on [224.0.0.251]:3002",
        "memtrace: no memtrace-fs has answered; names are those of dynamic symbols only",
        "To find names later: save FILE, or --format=snapshot -o FILE; then memtrace-fs --report FILE DIR..."]
    server = start(network.host, net.FS, device.full)
    server.wait_line("^Waiting")
    assert words()[:4] == ["Query memtrace-fs service on [224.0.0.251]:3002",
                           "memtrace-fs announced on 10.77.0.1:3002",
                           "Connecting to [10.77.0.1]:3002", "Connected"]


@pytest.mark.parametrize("variant", ["stripped", "no-build-id", "no-section-headers"])
@pytest.mark.parametrize("kept, form", [("snapshot", "text"), ("snapshot", "json"), ("json", "json"),
                                        ("json", "text")])
def test_decoded_later(network, made, start, tmp_path, variant, kept, form):
    """Three ways to one report: connected, and decoded later (the third, on one machine, is
    the reference of test_stripped_any_way).  A stripped static program is not among them:
    without a server its allocator isn't found."""
    device = made(variant)
    program = device.on_device(device.program)
    alone = start(network.target, program)
    alone.wait_line("^READY")
    server = serve(start, network.host, device.full, "/usr/lib/debug")
    reports = {}
    for name, options in (("offline", ("--no-symbols",)), ("dynamic", ("-c", "10.77.0.9")),
                          ("connected", ("-c", "10.77.0.1"))):
        _, reports[name] = report_of(start, network.target, program, tmp_path / name, *options,
                                     form=form if name == "connected" else kept)
    server.end()
    for name in ("offline", "dynamic"):
        done = subprocess.run([net.FS, "--report", tmp_path / name, f"--format={form}", "-n", "0", device.full,
                               "/usr/lib/debug"], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        if form == "json":
            assert stacks(done.stdout) == stacks(reports["connected"])
            assert [m["symbols_from"] for m in json.loads(done.stdout)["modules"]] == \
                [m["symbols_from"] for m in json.loads(reports["connected"])["modules"]]
        else:
            assert same_text(done.stdout) == same_text(reports["connected"])


def test_decoded_however_it_is_laid_out(network, start, tmp_path):
    """A report that went through jq or another program is read like the one it was."""
    device = net.Made(tmp_path / "made", name="pr\u00f6g\U0001f600 \"1\"")
    _, text = report_of(start, network.target, device.on_device(device.program), tmp_path / "r",
                        "--no-symbols")
    report = json.loads(text)
    layouts = {
        "as-written": text,
        "indented": json.dumps(report, indent=4),
        "one-line": json.dumps(report, separators=(",", ":"), ensure_ascii=False),
        "sorted": json.dumps(report, sort_keys=True),
        "more": json.dumps({"by": "somebody", **report, "notes": [{"modules": [1.5e3, True, {}]}]}),
    }
    if shutil.which("jq"):
        layouts["jq"] = subprocess.run(["jq", "."], input=text, capture_output=True, text=True,
                                       check=True).stdout
    decoded = {}
    for name, layout in layouts.items():
        (tmp_path / name).write_text(layout)
        done = subprocess.run([net.FS, "--report", tmp_path / name, device.full, "/usr/lib/debug"],
                              capture_output=True, text=True, check=True)
        decoded[name] = json_report.load(done.stdout)
    assert any(f["function"] == "deeper" for c in decoded["as-written"]["contexts"]
               for f in c["stack"])
    more = decoded.pop("more")
    assert more.pop("by") == "somebody" and more.pop("notes") == [{"modules": [1500, True, {}]}]
    assert all(found == more for found in decoded.values())


@pytest.mark.parametrize("form", ["snapshot", "json"])
def test_report_of_a_later_version(tmp_path, form):
    subprocess.run([MEMTRACE, "-q", "--no-symbols", f"--format={form}", "-o", tmp_path / "r",
                    "/usr/bin/true"], check=True, stdin=subprocess.DEVNULL)
    written = (tmp_path / "r").read_bytes()
    version, later = {"snapshot": (b"\x1a\n\1\0\0\0", b"\x1a\n\3\0\0\0"),
                      "json": (b'"version": 2,', b'"version": 3,')}[form]
    assert written.count(version) == 1
    (tmp_path / "r").write_bytes(written.replace(version, later))
    done = subprocess.run([net.FS, "--report", tmp_path / "r", tmp_path], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    what, known = {"snapshot": (f"{tmp_path}/r: the snapshot", 1), "json": ("the report", 2)}[form]
    assert done.stderr == f"memtrace-fs: {what} is of version 3, from a later memtrace; {known} is known here\n"


@pytest.mark.parametrize("form", ["snapshot", "json"])
def test_names_of_the_device_are_made_readable(tmp_path, form):
    """Without memtrace-fs the names are those of dynamic symbols, as the linker knows them; a report that is decoded
    later has them as people do, also of files that are not here."""
    source, program = tmp_path / "leaky.cc", tmp_path / "leaky"
    source.write_text("#include <cstdlib>\nvoid *volatile kept;\n"
                      "namespace sensor { __attribute__((noinline)) void poll(int n) { kept = malloc(n); asm(\"\"); } }\n"
                      "int main() { sensor::poll(1000); return 0; }\n")
    subprocess.run(["g++", "-O1", "-fno-builtin", "-rdynamic", "-s", "-o", program, source], check=True)
    (tmp_path / "alone").mkdir()
    (tmp_path / "nothing").mkdir()
    memtrace_alone = shutil.copy(MEMTRACE, tmp_path / "alone")
    subprocess.run([memtrace_alone, "-q", f"--format={form}", "-o", tmp_path / "r", program], check=True,
                   env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert b"_ZN6sensor4pollEi" in (tmp_path / "r").read_bytes()
    done = subprocess.run([net.FS, "--report", tmp_path / "r", tmp_path / "nothing"], capture_output=True, text=True,
                          check=True)
    assert "sensor::poll(int)" in done.stdout and "_ZN6sensor4pollEi" not in done.stdout


@pytest.mark.parametrize("name, why", [
    ("gone", "No such file or directory"),
    ("r", "neither a snapshot nor a JSON report of memtrace; names are not put into text (memtrace --format=snapshot)")])
def test_report_with_a_wrong_directory(tmp_path, name, why):
    """(A file in a directory's place is a second report.)"""
    subprocess.run([MEMTRACE, "-q", "--no-symbols", "-o", tmp_path / "r", "/usr/bin/true"], check=True,
                   stdin=subprocess.DEVNULL)
    done = subprocess.run([net.FS, "--report", tmp_path / "r", tmp_path, tmp_path / name],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr == f"memtrace-fs: {tmp_path / name}: {why}\n"


@pytest.mark.parametrize("text", ["{", '{"modules": [}', '{"modules": []} x', "{" * 100, '{"a": "',
                                  '{"contexts": [{"stack": [{]}]}'])
def test_no_json(tmp_path, text):
    (tmp_path / "r").write_text(text)
    done = subprocess.run([net.FS, "--report", tmp_path / "r", tmp_path], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("memtrace-fs: this is no report of memtrace: no JSON at byte ")


def same_text(report):
    """Without what differs from run to run: numbers of the process, times, ids."""
    lines = report.splitlines()
    lines = [line for line in lines if not line.startswith(("Process ", "HEAP SUMMARY", "RSS "))]
    return "\n".join(re.sub(r"^\d+\. #\d+  ", "", line) for line in lines)
