"""Cross-debugging: a stripped program in the guest, memtrace-fs on this machine with the
unstripped one; every stack is the known one, by function, file and line."""
import contextlib
import json
import pathlib
import signal
import socket
import subprocess

import build
import traced

SOURCE = pathlib.Path(__file__).parent / "targets/chain.c"


def line_of(mark):
    lines = SOURCE.read_text().splitlines()
    return next(i for i, line in enumerate(lines, 1) if f"@{mark} " in line)


def frame(function, mark=None):
    return function, "chain.c", line_of(mark or function)


def chains(sigusr1):
    """size -> the program's own frames, leaf first."""
    leaf, middle = frame("leaf"), frame("middle")
    return {
        501: [leaf, middle, frame("main", "main501")],
        502: [leaf, frame("with_alloca"), frame("main", "main502")],
        503: [leaf, middle, frame("busy"), frame("main", "main503")],
        504: [leaf, frame("compare"), frame("through_libc"), frame("main", "main504")],
        505: [leaf, middle, frame("deeper", "deepest")] + 20 * [frame("deeper")] + [frame("main", "main505")],
        1000 + sigusr1: [leaf, frame("on_signal"), frame("interrupted"), frame("main", "main506")],
        507: [leaf, middle, frame("in_thread")],
    }


def own_frames(context):
    return [(f["function"], pathlib.Path(f["file"]).name, f["line"]) for f in context["stack"]
            if f["file"] and pathlib.Path(f["file"]).name == "chain.c"]


def check(report):
    contexts = {c["allocated_bytes"]: c for c in report["contexts"]}
    for size, expected in chains(signal.SIGUSR1).items():
        assert size in contexts, f"no context of {size} bytes: {sorted(contexts)}"
        context = contexts[size]
        assert own_frames(context) == expected, f"{size}: {context['stack']}"
        assert context["stack"][0]["function"] in ("malloc", None)  # None: libc is not in the staging directory
        assert context["stack_end"] == "root", f"{size}: {context['stack_end']} {context['stack'][-1]}"


@contextlib.contextmanager
def server(guest, *options):
    """A memtrace-fs of this machine."""
    process = subprocess.Popen([build.BUILD / guest.name / "memtrace-fs", *options,
                                build.staging(guest.name)], stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def test_guest_connects(guest):
    port = free_port()
    with server(guest, "--no-announce", f"--listen=127.0.0.1:{port}"):
        _, report = traced.launch(guest, "/root/stripped/chain", options=f"--connect=10.0.2.2:{port}")
    check(report)


def test_host_connects(guest):
    with server(guest, f"--connect=127.0.0.1:{guest.port}"):
        _, report = traced.launch(guest, "/root/stripped/chain", options="--listen=0.0.0.0:3002")
    check(report)


def test_report_read_later(guest):
    """Without a server the stacks have the same frames, and memtrace-fs names them later."""
    traced.launch(guest, "/root/stripped/chain", options="--no-symbols")
    path = build.BUILD / f"{guest.name}-bare.json"
    path.write_bytes(guest.read("/tmp/report.json"))
    done = subprocess.run([build.BUILD / guest.name / "memtrace-fs", f"--report={path}", build.staging(guest.name)],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout))
