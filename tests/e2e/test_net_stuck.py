"""Below a directory that memtrace-fs serves, a file system does not answer any more: who asks for what
lies there is told so, and nobody else waits for it."""
import os
import pathlib
import select
import shutil
import struct
import subprocess
import sys

import pytest

import memtrace
import net
from test_net import start  # noqa: F401
from test_net_failures import http, serve_at_home
from test_net_workers import ERROR, INFO, PROGRESS, Client, address, device, wait_for  # noqa: F401

memtrace.adopt_orphans()

SERVER = pathlib.Path(__file__).with_name("stuck_fs.py")
SILENT = b"its file system does not answer"
UNWIND = 13

pytestmark = [pytest.mark.limit(120),
              pytest.mark.skipif(os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK),
                                 reason="only root mounts, and there must be FUSE")]


def build(path, text):
    subprocess.run(["gcc", "-g", "-o", path, "-x", "c", "-"], check=True, text=True, input=text)


class Mount:
    """served/usr is as ever; served/mnt/distant lies where nobody may answer."""

    def __init__(self, start, device, tmp_path):
        self.served = tmp_path / "served"
        self.distant = tmp_path / "distant"
        self.point = self.served / "mnt"
        shutil.copytree(device.full, self.served)
        self.point.mkdir()
        build(self.distant, "int main(void) { return 3; }")
        self.process = start(None, sys.executable, SERVER, self.point, self.distant)
        self.process.wait_line("^READY$")

    def stick(self):
        self.process.send()
        self.process.wait_line("^STUCK$")

    def free(self):
        self.process.send()
        self.process.wait_line("^FREE$")


@pytest.fixture
def mount(start, device, tmp_path):
    made = Mount(start, device, tmp_path)
    yield made
    made.process.end()
    subprocess.run(["umount", "--lazy", made.point], check=False)


def introduce_distant(client, mount, handle=5):
    client.introduce(handle, mount.distant)


def is_answered(client):
    """Whether there is more than words of progress."""
    while select.select([client.socket], [], [], 0)[0]:
        head = client.socket.recv(12, 2)  # MSG_PEEK
        if len(head) < 12 or struct.unpack("<IHHI", head)[1] != PROGRESS:
            return True
        length = struct.unpack("<IHHI", head)[0]
        client.socket.recv(12 + length)
    return False


def is_served(server, port, device):
    """By everybody else: names, and files."""
    client, part = Client(port), device.files()[1]
    client.introduce(1, part)
    kind, info = client.answer()
    assert kind == INFO and b"/libpart.so.1" in info[5:]
    client.look_up(1, address(part, "deeper"))
    assert b"deeper" in client.answer()[1]
    assert http(port, net.build_id(part), "executable") == (200, part.read_bytes())
    assert server.alive()


def test_while_it_is_indexed(start, device, mount):
    """What lies there is left out, all else is there; also for a worker that was wanted before."""
    mount.stick()
    server, port = serve_at_home(start, mount.served)
    early = Client(port)
    early.look_up(1, 1)
    is_served(server, port, device)
    assert early.answer()[0] == ERROR  # nothing was introduced
    assert f"{mount.point}: its file system does not answer: it is not served" in server.out


def test_when_a_directory_is_given(start, device, mount):
    """One that can't even be opened, many times, neither keeps the start nor is served: all are
    waited for at once."""
    count = 17
    mount.stick()
    gone = mount.point / "distant"
    server, port = serve_at_home(start, *[gone] * (count - 1), device.full, gone)
    is_served(server, port, device)
    said = f"{gone}: its file system does not answer: it is not served"
    wait_for(lambda: sum(said in line for line in server.out) == count)


def test_when_a_file_is_opened(start, device, mount):
    server, port = serve_at_home(start, mount.served)
    client = Client(port)
    introduce_distant(client, mount)
    kind, info = client.answer()
    assert kind == INFO and b"/mnt/distant" in info[5:]
    mount.stick()
    later = Client(port)
    later.introduce(1, device.program)  # from now on there is a worker for it
    assert later.answer()[0] == INFO
    path = mount.distant.rename(mount.distant.with_name("distant2"))
    build(mount.distant, "int main(void) { return 7; }")
    introduce_distant(later, mount)  # another build: the module is not known, and has to be looked for
    is_served(server, port, device)
    assert not is_answered(later)
    kind, info = later.answer()
    assert kind == INFO and info[4] == 0
    assert str(mount.point / "distant").encode() + b": " + SILENT in info
    # it is remembered for as long as it lasts, and no longer
    mount.free()
    path.rename(mount.distant)
    identity = net.build_id(mount.distant)
    wait_for(lambda: http(port, identity, "executable") == (200, mount.distant.read_bytes()))


def test_when_a_file_is_read(start, device, mount):
    """The process that waits for it can't be ended; nor has anybody to wait for that."""
    server, port = serve_at_home(start, mount.served)
    client = Client(port)
    client.introduce(1, device.program)
    introduce_distant(client, mount)
    assert [client.answer()[0] for _ in range(2)] == [INFO, INFO]
    with open(mount.point / "distant", "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    mount.stick()
    client.send(UNWIND, struct.pack("<IQQ", 5, 0, 2**64 - 1))
    is_served(server, port, device)
    assert not is_answered(client)
    kind, payload = client.answer()
    assert kind == ERROR and b"the file system of its debug information does not answer" in payload
    client.look_up(1, address(device.program, "work"))
    assert b"work" in client.answer()[1]
    is_served(server, port, device)
    mount.free()


def test_when_a_file_is_sent(start, device, mount):
    server, port = serve_at_home(start, mount.served)
    identity = net.build_id(mount.distant)
    assert http(port, identity, "executable") == (200, mount.distant.read_bytes())
    mount.stick()
    assert http(port, identity, "executable")[0] == 404
    is_served(server, port, device)
    mount.free()
    wait_for(lambda: http(port, identity, "executable") == (200, mount.distant.read_bytes()))
