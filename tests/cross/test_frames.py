"""Cross-debugging: a stripped program in the guest, memtrace-fs on this machine with the
unstripped one; every stack is the known one, by function, file and line."""
import pathlib
import subprocess

import pytest

import build
import json_report
import traced
from serving import free_port, serving

SOURCE = pathlib.Path(__file__).parent / "targets/chain.c"


def line_of(mark):
    lines = SOURCE.read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if f"@{mark} " in line)


def frame(function, mark=None):
    return function, "chain.c", line_of(mark or function)


def chains():
    """size -> the program's own frames, leaf first."""
    leaf, middle = frame("leaf"), frame("middle")
    return {
        501: [leaf, middle, frame("main", "main501")],
        502: [leaf, frame("with_alloca"), frame("main", "main502")],
        503: [leaf, middle, frame("busy"), frame("main", "main503")],
        504: [leaf, frame("compare"), frame("through_libc"), frame("main", "main504")],
        505: [leaf, middle, frame("deeper", "deepest")] + 20 * [frame("deeper")] + [frame("main", "main505")],
        1010: [leaf, frame("on_signal"), frame("interrupted"), frame("main", "main506")],
        507: [leaf, middle, frame("in_thread")],
    }


def own_frames(context):
    return [(f["function"], pathlib.Path(f["file"]).name, f["line"]) for f in context["stack"]
            if f["file"] and pathlib.Path(f["file"]).name == "chain.c"]


def check(report):
    contexts = {c["allocated_bytes"]: c for c in report["contexts"]}
    for size, expected in chains().items():
        assert size in contexts, f"no context of {size} bytes: {sorted(contexts)}"
        context = contexts[size]
        assert own_frames(context) == expected, f"{size}: {context['stack']}"
        assert context["stack"][0]["function"] in ("malloc", None)  # None: libc is not in the staging directory
        assert context["stack_end"] == "root", f"{size}: {context['stack_end']} {context['stack'][-1]}"


def server(guest, *options, beside=False):
    """A memtrace-fs of this machine, or of the host beside the guest."""
    return serving([build.staging(guest.name)], *options, within=guest.beside() if beside else [])


def connected(guest):
    port = free_port()
    with server(guest, "--no-announce", f"--listen=127.0.0.1:{port}"):
        _, report = traced.launch(guest, "/root/stripped/chain", options=f"--connect=10.0.2.2:{port}")
    return report


def in_program(frame):
    return frame["file"] and frame["file"].endswith("/chain.c")


def test_guest_connects(guest):
    """No frame of the program is guessed where it was called by the program: with_alloca()'s
    hangs on a register that no row can name on 32-bit ARM; memtrace-fs sends more than rows."""
    report = connected(guest)
    check(report)
    steps = [(callee, caller) for c in report["contexts"] for callee, caller in zip(c["stack"], c["stack"][1:])
             if in_program(callee) and in_program(caller)]
    assert ("with_alloca", "main") in [(callee["function"], caller["function"]) for callee, caller in steps]
    assert not [step for step in steps if step[1].get("guess")]


def test_host_connects(guest):
    with server(guest, f"--connect=127.0.0.1:{guest.port}"):
        _, report = traced.launch(guest, "/root/stripped/chain", options="--listen=0.0.0.0:3002")
    check(report)


def test_found_by_multicast(guest):
    if not guest.tap:
        pytest.skip("no network namespaces, or no tap devices, here")
    with server(guest, beside=True):
        for _ in range(20):  # until it listens
            output, report = traced.launch(guest, "/root/stripped/chain", options="")
            if any(module["symbols_from"] for module in report["modules"]):
                break
    check(report)


def without_guesses(report):
    """What must not depend on whether memtrace-fs was there."""
    other = {"id": 0, "first_time": None, "last_time": None, "evidence": None, "verdict": None}  # (a second more or less)
    return [{**context, **other,
             "stack": [{k: v for k, v in frame.items() if k != "guess"} for frame in context["stack"]]}
            for context in sorted(report["contexts"], key=lambda context: context["allocated_bytes"])]


def test_report_read_later(guest):
    """Without a server the stacks have the same frames, and memtrace-fs names them later."""
    guest.run("echo 0 >/proc/sys/kernel/randomize_va_space", check=True)
    try:
        expected = connected(guest)
        traced.launch(guest, "/root/stripped/chain", options=traced.NAMED)
    finally:
        guest.run("echo 2 >/proc/sys/kernel/randomize_va_space", check=True)
    path = build.BUILD / f"{guest.name}-bare.json"
    path.write_bytes(guest.read("/tmp/report.json"))
    done = subprocess.run([build.FS, f"--report={path}", build.staging(guest.name)],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    report = json_report.load(done.stdout)
    check(report)
    for ours, theirs in zip(without_guesses(report), without_guesses(expected), strict=True):
        assert ours == theirs
    assert report["summary"] == expected["summary"]
