"""memtrace-fs reads debug information in a process that has no rights, and that may die or take
long without harm to anybody but who asked."""
import os
import pathlib
import signal
import struct
import time

import pytest

import net
from memtrace import children
from test_net import start  # noqa: F401
from test_net_failures import HELLO, connect, message, receive, serve_at_home

HELLO_NUMBER, INFO, FRAMES, PROGRESS, ERROR = 2, 4, 6, 11, 12


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    return net.Made(tmp_path_factory.mktemp("workers"))


class Client:
    def __init__(self, port):
        self.socket = connect(port)
        self.request = 1
        self.send(1, HELLO)
        assert self.answer()[0] == HELLO_NUMBER

    def send(self, kind, payload):
        self.request += 1
        self.socket.sendall(message(kind, payload, self.request))

    def answer(self):
        """The next one that is not about progress."""
        while (got := receive(self.socket))[0] == PROGRESS:
            pass
        return got

    def introduce(self, handle, path, identity=None):
        identity = bytes.fromhex(identity or net.build_id(path))
        name = f"/usr/{path.parent.name}/{path.name}".encode()
        self.send(3, struct.pack("<IIHH", handle, 0, 0, len(name)) + name + b"\0"
                  + bytes([len(identity)]) + identity + b"\0\0\xff\xff" + b"\0" * 4)

    def look_up(self, handle, *addresses):
        self.send(5, struct.pack(f"<II{len(addresses)}Q", handle, len(addresses), *addresses))


def address(path, function):
    return next(int(line.split()[0], 16) for line in net.run("nm", path).stdout.splitlines()
                if line.split()[-1] == function) + 1


def worker_of(server):
    found = children(server.pid)
    assert len(found) == 1
    return found[0]


def stopped(pid):
    """Stops it, and waits until it stands."""
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T")


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_has_no_rights(start, device):
    server, port = serve_at_home(start, device.full)
    client = Client(port)
    client.introduce(1, device.program)
    assert client.answer()[0] == INFO
    worker = worker_of(server)
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{worker}/status").read_text().splitlines() if ":\t" in line)
    assert status["Uid"].split() == status["Gid"].split() == ["65534"] * 4
    assert status["Groups"].split() == []
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    places = {fd: os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")}
    assert {places.pop(str(i)) for i in range(3)} == {"/dev/null"}
    files = [f for f in places.values() if f.startswith("/") and f != "/dev/null"]
    assert sorted(files) == sorted([f"/proc/{worker}/statm", str(device.program)])
    assert sum(f.startswith("socket:") for f in places.values()) == 2  # to the server, to its opener


def test_dies_between_questions(start, device):
    """Nobody notices: a new one learns the modules again."""
    server, port = serve_at_home(start, device.full)
    client = Client(port)
    client.introduce(1, device.program)
    client.introduce(2, device.library)
    assert [client.answer()[0] for _ in range(2)] == [INFO, INFO]
    where = address(device.library, "deeper")
    client.look_up(2, where)
    first = client.answer()
    assert first[0] == FRAMES and b"deeper" in first[1]
    worker = worker_of(server)
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: worker not in children(server.pid))
    client.look_up(2, where)
    assert client.answer() == first
    client.look_up(1, address(device.program, "work"))
    assert b"work" in client.answer()[1]
    assert worker_of(server) != worker and server.alive()


def test_dies_of_a_question(start, device):
    """The module is marked, for whoever asks; the others are named as before."""
    server, port = serve_at_home(start, device.full)
    client, other = Client(port), Client(port)
    client.introduce(1, device.program)
    client.introduce(2, device.library)
    assert [client.answer()[0] for _ in range(2)] == [INFO, INFO]
    other.introduce(7, device.library)
    assert other.answer()[0] == INFO
    worker = worker_of(server)
    stopped(worker)
    client.look_up(1, 1)
    client.look_up(2, address(device.library, "deeper"))
    assert receive(client.socket)[0] == PROGRESS  # the question is with the worker
    os.kill(worker, signal.SIGSEGV)
    os.kill(worker, signal.SIGCONT)
    kind, payload = client.answer()
    said = b"/usr/bin/prog: its debug information made the reader crash (Segmentation fault)"
    assert kind == ERROR and payload[0] == 4 and said in payload
    assert b"deeper" in client.answer()[1]
    client.look_up(1, 1)
    assert client.answer()[0] == ERROR
    client.introduce(3, device.program)
    kind, payload = client.answer()
    assert kind == INFO and payload[4] == 0 and said in payload
    other.look_up(7, address(device.library, "deeper"))
    assert b"deeper" in other.answer()[1]
    later = Client(port)
    later.introduce(1, device.program)
    assert said in later.answer()[1]
    assert server.alive()


def test_takes_long(start, device):
    """Others do not wait for it, though they have the same worker; who asked is told that it
    goes on, and gets the answer."""
    server, port = serve_at_home(start, device.full)
    slow, quick = Client(port), Client(port)
    for client in (slow, quick):
        client.introduce(1, device.library)
        assert client.answer()[0] == INFO
    worker = worker_of(server)
    stopped(worker)
    where = address(device.library, "deeper")
    slow.look_up(1, where)
    assert receive(slow.socket)[0] == PROGRESS
    for _ in range(3):
        quick.look_up(1, where)
        assert b"deeper" in quick.answer()[1]
    late = Client(port)
    late.introduce(1, device.program)
    assert late.answer()[0] == INFO
    assert len(children(server.pid)) == 2
    os.kill(worker, signal.SIGCONT)
    assert b"deeper" in slow.answer()[1]
    slow.look_up(1, where)
    assert b"deeper" in slow.answer()[1]
    # the one that nobody has any more is ended
    for client in (slow, quick, late):
        client.socket.close()
    wait_for(lambda: len(children(server.pid)) == 1)


def test_ends_with_the_server(start, device):
    server, port = serve_at_home(start, device.full)
    client = Client(port)
    client.introduce(1, device.program)
    assert client.answer()[0] == INFO
    worker = worker_of(server)
    stopped(worker)
    client.look_up(1, 1)
    server.process.kill()
    server.wait()
    wait_for(lambda: not pathlib.Path(f"/proc/{worker}").exists()
             or pathlib.Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z")
