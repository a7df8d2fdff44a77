"""The tracer thread itself is held in the kernel, by whatever: here another tracer holds it.  Told
to let go, memtrace ends itself, and its guardian puts the code back."""
import ctypes
import os
import pathlib
import signal
import threading

import pytest

import memtrace

memtrace.adopt_orphans()

PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


def ptrace(request, pid):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(request, pid, None, None) == 0, os.strerror(ctypes.get_errno())


@pytest.mark.limit(120)
@pytest.mark.parametrize("how", ["signal", "quit", "duration"])
def test_held(target, started, tmp_path, how):
    process = target("threads")
    options = ["-d", "2s"] if how == "duration" else []
    tracer = memtrace.Memtrace(process.pid, tmp_path / "report", "--no-symbols", "-v", *options)
    started.append(tracer)
    if options:
        while not any("Attached" in line for line in tracer.err):
            assert tracer.alive(), tracer.story()
            threading.Event().wait(0.01)
    else:
        tracer.attached()
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    thread = int(next(line for line in status.splitlines() if line.startswith("TracerPid")).split()[1])
    ptrace(PTRACE_SEIZE, thread)
    ptrace(PTRACE_INTERRUPT, thread)
    assert os.waitpid(thread, WALL)[0] == thread
    if how == "signal":
        os.kill(tracer.pid, signal.SIGTERM)
    elif how == "quit":
        tracer.send("quit")
    while os.waitpid(thread, WALL)[1] & 0xff == 0x7f:  # a stop
        pass
    assert tracer.wait() == -signal.SIGKILL
    assert any("the kernel holds memtrace itself" in line for line in tracer.err), tracer.story()
    memtrace.wait_for_guardians()
    memtrace.untouched(process.pid)
    process.go_on()
    process.done()
    process.go_on()
    process.result()
