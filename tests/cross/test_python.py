"""A large program of the distribution, as it comes: python3 answers questions while memtrace is attached.  Its debug
files, which memtrace-fs serves, let gdb unwind every frame of it, on 32-bit ARM too."""
import socket

import pytest

import build
import gdb_remote
import traced
from load import Load
from packages import Packages
from serving import free_port, serving

STACKS = 24
QUESTION = b"a bb ccc dddd eeeee"


def ask(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(120)  # gdb stops it meanwhile
        s.sendto(QUESTION, ("127.0.0.1", port))
        assert len(s.recv(100)) == 32


@pytest.fixture
def server(guest):
    pid = int(guest.run(f"PYTHONHASHSEED=1 PYTHONMALLOC=malloc /usr/bin/{build.python_of(guest.name)} -B -S /root/serve.py >/tmp/python 2>&1 & "
                        "echo $!", check=True).output)
    guest.run("until grep -q READY /tmp/python; do usleep 20000; done", timeout=120, check=True)
    yield pid
    guest.run(f"kill -9 {pid}")


def debug_of(cpu):
    return [Packages(cpu).unpack(name) / "usr/lib/debug" for name in (f"{build.python_of(cpu)}-dbg", "libc6-dbg")]


def frames_of(context):
    return [frame for frame in context["stack"] if not frame["inlined"]]


def stack_of(context):
    return tuple(int(frame["pc"], 16) for frame in frames_of(context))


def guessed(context):
    return [bool(frame.get("guess")) for frame in frames_of(context)]


@pytest.mark.of_cpu(lambda cpu: ["python"] if cpu != "arm64" else [])
def test_stacks(guest, name, server):
    port, debug = free_port(), debug_of(guest.name)
    with Load(lambda: ask(guest.port)) as load:
        load.wait(12)  # the interpreter adapts code that runs often
        with serving(debug, "--no-announce", f"--listen=127.0.0.1:{port}"):
            with traced.Attached(guest, server, options=f"-s 512 --connect=10.0.2.2:{port}") as attached:
                load.wait(4)
        with traced.Attached(guest, server, options="-s 512 --no-symbols") as alone:
            load.wait(2)
        told, read = attached.report["contexts"], alone.report["contexts"]
        theirs = gdb_remote.stacks(guest, server, f"/usr/bin/{build.python_of(guest.name)}", debug,
                                   sorted({context["stack"][0]["pc"] for context in told}), STACKS)
    assert {context["stack_end"] for context in told + read} == {"root"}
    # (realloc(NULL, n) goes on in malloc(), where gdb stops: the same callers)
    assert {stack[1:] for stack in theirs} <= {stack_of(context)[1:] for context in told}
    assert not any(map(any, map(guessed, told)))
    # What the stripped files alone give are the same stacks, called guesses from the caller's caller on; but not
    # by .pdr, nor by .eh_frame, which Debian's programs of riscv64 have.
    assert len(read) > 40
    assert {stack_of(context) for context in read} <= {stack_of(context) for context in told}
    if guest.name == "riscv64":
        assert not any(map(any, map(guessed, read)))
    elif guest.name != "mipsel":
        assert all(guessed(context)[:3] == [False, False, True] for context in read)
