"""A look for leaks for which this machine has no memory (--memory): memtrace-fs looks, and finds the same."""
import json
import os
import pathlib
import select
import signal
import socket
import struct

import pytest

import memtrace
from test_leaks import EVENT_LOOP, Service, built, near
from test_net import start  # noqa: F401
from test_net_failures import HELLO, connect, receive, serve_at_home

LOOK, FETCH, FETCHED, FOUND, ERROR, WELCOME, PROGRESS = 17, 18, 19, 20, 12, 2, 11
LITTLE = "--memory=64K"


@pytest.fixture
def loop(tmp_path, started):
    started.append(Service(built(tmp_path, EVENT_LOOP)))
    return started[-1]


def look(pid, *options):
    process = memtrace.Process([memtrace.MEMTRACE, "--leaks", "--format=json", "-n", "0", *options, "-p", pid])
    assert process.wait() == 0, process.story()
    found = json.loads("\n".join(process.out))["leaks"]
    del found["time"], found["pause_ms"], found["scanned_bytes"]  # (pages without content are scanned where they were read before)
    return found, "\n".join(process.err)


def message(kind, payload=b"", request=0, flags=0):
    return struct.pack("<IHHI", len(payload), kind, flags, request) + payload


def test_finds_the_same(loop, start, tmp_path):
    """Of a look alone, and of a session: contexts, paths, contents, why, who, block and heap."""
    (tmp_path / "served").mkdir()
    server, port = serve_at_home(start, "-v", tmp_path / "served")
    there = ("-c", f"127.0.0.1:{port}", LITTLE)
    for _ in range(25):  # more is found than one message holds
        loop.serve()
    here, _ = look(loop.pid, "--no-symbols")
    same, said = look(loop.pid, *there)
    assert same == here and here["lost"]["blocks"] >= 2598
    assert "64 KB that may be used would be needed: memtrace-fs looks in place of this machine" in said
    lost = next(b for b in here["blocks"] if b["class"] == "lost")["address"]
    commands = [f"why {lost}", f"who {lost}", f"block {lost}", "leaks -n 0 --confirm 100ms", "heap"]
    answers = []
    for options in (("--no-symbols",), there):
        tracer = start(None, memtrace.MEMTRACE, "-q", "-i", "-n", "0", *options, "-o", "/dev/null", "-p", loop.pid)
        tracer.send("status")
        tracer.wait_line("^HEAP SUMMARY")
        loop.serve()
        tracer.out.clear()
        for command in (*commands, "mark"):
            tracer.send(command)
        tracer.wait_line("^Mark")
        answers.append([line for line in tracer.out if "pause_ms" not in line])
        tracer.send("quit")
        assert tracer.wait() == 0, tracer.story()
    # (in the second there is more from before the attach)
    first, second = (([line for line in text if line.startswith(("    +0x", "0x", "Nothing points"))],
                      text.count("ARENAS"), any("to be trimmed" in line for line in text)) for text in answers)
    assert first == second and len(first[0]) == 6 and first[1:] == (1, True), answers
    assert server.alive()


def test_report(loop, start, tmp_path):
    """Call stacks, and who holds what."""
    (tmp_path / "served").mkdir()
    _, port = serve_at_home(start, tmp_path / "served")
    tracer = memtrace.Memtrace(loop.pid, tmp_path / "report.json", "--leaks", "-i", "-c", f"127.0.0.1:{port}", LITTLE)
    tracer.attached()
    loop.serve()
    report = tracer.detach()
    first = report["contexts"][0]
    assert "fail" in [frame["function"] for frame in first["stack"]] and near(first["lost_blocks"], 100), first
    kept = next(c for c in report["contexts"] if "keep" in [f["function"] for f in c["stack"]])
    assert kept["held_blocks"] == 100 and kept["held_by"].startswith("cache (service .bss 0x"), kept
    assert near(report["leaks"]["before_attach"]["lost"]["blocks"], 100)


def refused(pid, *options):
    process = memtrace.Process([memtrace.MEMTRACE, "--leaks", "-q", LITTLE, *options, "-p", pid])
    assert process.wait() == 1 and process.out == [], process.story()
    return "\n".join(process.err)


def test_without_another_machine(loop):
    """Who serves names here is on the same machine: the look is refused as ever."""
    said = refused(loop.pid)
    assert "more than the 64 KB that may be used would be needed" in said and "memtrace-fs" not in said


def test_server_with_little(loop, start, tmp_path):
    """What the server may take is not enough, either: both say so, and the connection goes on."""
    (tmp_path / "served").mkdir()
    server, port = serve_at_home(start, "-v", "--memory=1M", tmp_path / "served")
    for _ in range(2):
        said = refused(loop.pid, "-c", f"127.0.0.1:{port}")
        assert ("64 KB that may be used would be needed, and memtrace-fs can't look in place of this machine: "
                "more than the 512 KB") in said
    tracer = start(None, memtrace.MEMTRACE, "-q", "-i", LITTLE, "-c", f"127.0.0.1:{port}", "-o", "/dev/null", "-p", loop.pid)
    for command in ("leaks", "leaks", "status"):
        tracer.send(command)
    tracer.wait_line("^HEAP SUMMARY")
    tracer.send("quit")
    tracer.wait()
    assert sum("can't look" in line for line in tracer.err) == 2 and not any("was lost" in line for line in tracer.err)


class Fake:
    """A memtrace-fs that greets, and then does what the test says."""

    def __init__(self, start, pid):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.tracer = start(None, memtrace.MEMTRACE, "--leaks", LITTLE, "-c", f"127.0.0.1:{self.listener.getsockname()[1]}",
                            "-o", "/dev/null", "-p", pid)
        self.peer = self.listener.accept()[0]
        self.peer.settimeout(20)
        assert receive(self.peer)[0] == 1
        self.peer.sendall(message(WELCOME, b"memtrace" + struct.pack("<HH", 1, 4) + b"fake\0" + struct.pack("<H", 0), 1))
        self.request = self.length = None

    def until_look(self):
        while self.request is None:
            head = self.peer.recv(12, socket.MSG_WAITALL)
            length, kind, _, request = struct.unpack("<IHHI", head)
            payload = self.peer.recv(length, socket.MSG_WAITALL)
            if kind == LOOK:
                self.request, self.length = request, struct.unpack("<Q", payload)[0]
            else:  # MODULE and the like: not known here
                self.peer.sendall(message(ERROR, struct.pack("<IH", 6, 2) + b"no\0", request))
        return self

    def fetch(self, what, of, at, size):
        self.peer.sendall(message(FETCH, struct.pack("<HIQQ", what, of, at, size), self.request))
        return receive(self.peer)[1]

    def end(self):
        self.peer.close()
        self.listener.close()
        status = self.tracer.wait()
        return status, "\n".join(self.tracer.err)


def test_server_that_dies_in_the_middle(loop, start):
    fake = Fake(start, loop.pid).until_look()
    assert len(fake.fetch(1, 0, 0, fake.length)) == fake.length
    status, said = fake.end()
    assert status == 1 and "can't look in place of this machine: memtrace-fs has ended" in said
    loop.serve()
    assert memtrace.children(loop.pid) == []


def mapped(pid):
    """Anonymous memory."""
    return [tuple(int(part, 16) for part in line.split()[0].split("-")) for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
            if len(line.split()) == 5]


def test_server_that_asks_for_too_much(loop, start):
    """It gets nothing, and what it then finds is refused."""
    fake = Fake(start, loop.pid).until_look()
    for what in range(9):
        for of, at, size in ((0, 0, 2**63), (2**32 - 1, 2**64 - 1, 2**64 - 1), (0, 2**64 - 8, 16), (0, 0, 8)):
            fake.fetch(what, of, at, size)
    begin, end = next((begin, end) for begin, end in mapped(loop.pid) if end - begin > 300000)
    assert len(fake.fetch(2, 0, begin, 4096)) == 4096 and fake.fetch(2, 0, begin, 300000) == b""
    assert all(fake.fetch(3, i, 0, 300000) == b"" for i in range(6))
    assert fake.fetch(2, 0, 0, 4096) == b"" and fake.fetch(3, 1, 0, 4) == b"\x7fELF"
    fake.peer.sendall(message(FOUND, b"\xff" * 1000, fake.request))
    status, said = fake.end()
    assert status == 1 and "what was found is damaged" in said


def greeted(port):
    client = connect(port)
    client.sendall(message(1, HELLO, 1))
    assert receive(client)[0] == WELCOME
    return client


def test_clients_that_lie(loop, start, tmp_path):
    """Each gets an error or is sent away; the next one is served, and no process stays."""
    (tmp_path / "served").mkdir()
    server, port = serve_at_home(start, tmp_path / "served")
    for length, answer in ((2**40, None), (0, None), (100, b"\xff" * 100), (100, b"\0" * 100), (100, b"short"), (100, b"")):
        with greeted(port) as client:
            client.sendall(message(LOOK, struct.pack("<Q", length), 5))
            kind, _ = receive(client)
            if kind == FETCH:
                client.sendall(message(FETCHED, answer, 5))
                kind, _ = receive(client)
            assert kind == ERROR, (length, answer)
    for wrong in (message(FETCHED, b"\0" * 100, 6), message(5, b"\0" * 9, 5), message(99), b"\xff" * 40):
        with greeted(port) as client:
            client.sendall(message(LOOK, struct.pack("<Q", 100), 5))
            assert receive(client)[0] == FETCH
            client.sendall(wrong)
            assert receive(client) is None
    before = set(memtrace.children(server.pid))
    clients = [greeted(port) for _ in range(5)]  # more than look at once
    for client in clients:
        client.sendall(message(LOOK, struct.pack("<Q", 100), 5))
    assert sorted(receive(client)[0] for client in clients) == [ERROR] + 4 * [FETCH]
    lookers = set(memtrace.children(server.pid)) - before
    assert len(lookers) == 4
    os.kill(lookers.pop(), signal.SIGKILL)
    gone = select.select(clients, [], [], 20)[0]
    assert len(gone) == 1 and receive(gone[0]) is None
    for client in clients:
        client.close()
    found, _ = look(loop.pid, "-c", f"127.0.0.1:{port}", LITTLE)
    assert found["lost"]["blocks"] >= 98 and server.alive()

