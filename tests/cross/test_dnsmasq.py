"""A program of the distribution, as it comes: dnsmasq hands out files by TFTP to this machine
while memtrace is attached; its stacks are those that gdb sees in the same process."""
import itertools
import pathlib
import socket
import struct

import pytest

import gdb_remote
import traced
from load import Load
from packages import Packages

CONTENT = bytes(range(256)) * 5  # three blocks
STACKS = 24
# Of two transfers of one file that overlap the second opens no file, so no two in a row are of the same:
# every transfer is two allocations, its own and its file's.
FILES = itertools.cycle([b"one", b"two"])


def fetch(port):
    """The next file by TFTP (RFC 1350): each answer comes from a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(60)  # gdb stops it meanwhile
        s.sendto(b"\0\1%s\0octet\0" % next(FILES), ("127.0.0.1", port))
        got = b""
        while True:
            packet, sender = s.recvfrom(600)
            kind, block = struct.unpack(">HH", packet[:4])
            assert kind == 3, packet
            if block == len(got) // 512 + 1:
                got += packet[4:]
            s.sendto(struct.pack(">HH", 4, block), sender)
            if len(packet) < 516:
                assert got == CONTENT
                return


@pytest.fixture
def server(guest):
    command = ("/usr/sbin/dnsmasq --no-daemon --port=0 --conf-file=/dev/null --pid-file --user=root "
               "--enable-tftp --tftp-root=/root/tftp")
    guest.run("mkdir -p /root/tftp; cd /root/tftp; rm -f one two; for i in 1 2 3 4 5; do cat /root/bytes; done >one; "
              "cp one two", check=True)
    pid = int(guest.run(f"{command} >/tmp/dnsmasq 2>&1 & echo $!", check=True).output)
    guest.run("until grep -q 'TFTP root' /tmp/dnsmasq; do usleep 20000; done", timeout=60, check=True)
    yield pid
    guest.run(f"kill -9 {pid}")


def shape(context):
    return [pathlib.Path(frame["module"]).name for frame in context["stack"]]


def test_stacks(guest, server):
    with Load(lambda: fetch(guest.port)) as load:
        load.wait(3)
        with traced.Attached(guest, server) as attached:
            load.wait(10)
        report = attached.report
        load.wait(3)
        ours = {tuple(int(frame["pc"], 16) for frame in context["stack"]) for context in report["contexts"]}
        theirs = set(gdb_remote.stacks(guest, server, "/usr/sbin/dnsmasq",
                                       [Packages(guest.name).unpack("libc6-dbg") / "usr/lib/debug"],
                                       sorted({context["stack"][0]["pc"] for context in report["contexts"]}), STACKS))
        load.wait(3)
    assert report["summary"]["allocs"] >= 18  # ten transfers; of the first, memtrace may have come too late for both
    if guest.name == "riscv64":  # (Debian 13's: newer, and all of it has unwind tables)
        assert all(context["stack_end"] == "root" for context in report["contexts"])
        assert len(ours) >= 2 and theirs == ours
        return
    assert len(ours) == 2
    for context in report["contexts"]:
        # calloc, from main() and what it calls, from libc's start, from the program's
        assert shape(context) == ["libc.so.6", *4 * ["dnsmasq"], *2 * ["libc.so.6"], "dnsmasq"]
        assert context["stack_end"] == "root"
    if guest.name == "arm64":
        assert theirs == ours
    else:
        # gdb reads no prologues where no symbol says where a function begins: it ends at the caller.
        assert theirs == {stack[:2] for stack in ours}
