"""A program of the distribution, as it comes: dnsmasq hands out a file by TFTP to this machine
while memtrace is attached; its stacks are those that gdb sees in the same process."""
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading

import pytest

import build
import traced
from packages import Packages

CONTENT = bytes(range(256)) * 5  # three blocks
STACKS = 24


def fetch(port):
    """One file by TFTP (RFC 1350): each answer comes from a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(10)
        s.sendto(b"\0\1file\0octet\0", ("127.0.0.1", port))
        got = b""
        while True:
            packet, sender = s.recvfrom(600)
            kind, block = struct.unpack(">HH", packet[:4])
            assert kind == 3, packet
            if block == len(got) // 512 + 1:
                got += packet[4:]
            s.sendto(struct.pack(">HH", 4, block), sender)
            if len(packet) < 516:
                return got


@pytest.fixture
def server(guest):
    command = ("/usr/sbin/dnsmasq --no-daemon --port=0 --conf-file=/dev/null --pid-file --user=root "
               "--enable-tftp --tftp-root=/root/tftp")
    guest.run(f"mkdir -p /root/tftp; rm -f /root/tftp/file; for i in 1 2 3 4 5; do cat /root/bytes; done >/root/tftp/file",
              check=True)
    pid = int(guest.run(f"{command} >/tmp/dnsmasq 2>&1 & echo $!", check=True).output)
    guest.run("until grep -q 'TFTP root' /tmp/dnsmasq; do usleep 20000; done", timeout=60, check=True)
    yield pid
    guest.run(f"kill -9 {pid}")


class Load:
    """Files are fetched, one after the other, until the end of the block."""

    def __init__(self, port):
        self.port, self.count, self.error, self.ends = port, 0, None, False
        self.more = threading.Condition()
        self.thread = threading.Thread(target=self._work)

    def _work(self):
        try:
            while not self.ends:
                assert fetch(self.port) == CONTENT
                with self.more:
                    self.count += 1
                    self.more.notify_all()
        except Exception as error:  # told by wait()
            self.error = error
            with self.more:
                self.more.notify_all()

    def wait(self, count):
        """.. until so many more have been fetched."""
        with self.more:
            upto = self.count + count
            assert self.more.wait_for(lambda: self.error or self.count >= upto, 120), "no more files come"
        if self.error:
            raise self.error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()


def stacks_of_gdb(guest, pid, addresses):
    guest.run(f"/usr/bin/gdbserver --once --attach 10.0.2.15:3002 {pid} >/tmp/gdbserver 2>&1 & "
              "until grep -q Listening /tmp/gdbserver; do usleep 20000; done", check=True)
    root = build.sysroot(guest.name)
    settings = [f"set sysroot {root}", "set pagination off", "set confirm off", "set backtrace past-main on",
                "set backtrace past-entry on", "set debuginfod enabled off",
                f"set debug-file-directory {Packages(guest.name).unpack('libc6-dbg')}/usr/lib/debug",
                f"file {root}/usr/sbin/dnsmasq", f"target remote 127.0.0.1:{guest.port}"]
    command = ["gdb-multiarch", "-q", "-nx", "-batch"]
    for setting in settings:
        command += ["-ex", setting]
    done = subprocess.run(command + ["-x", pathlib.Path(__file__).with_name("gdb_stacks.py")], capture_output=True, text=True,
                          timeout=300, stdin=subprocess.DEVNULL,
                          env={**os.environ, "STACKS": " ".join([str(STACKS), *addresses])})
    found = [tuple(int(pc, 16) for pc in line.split()[1:]) for line in done.stdout.splitlines() if line.startswith("STACK ")]
    assert len(found) == STACKS, done.stdout[-2000:] + done.stderr[-2000:]
    return found


def shape(context):
    return [pathlib.Path(frame["module"]).name for frame in context["stack"]]


def test_stacks(guest, server):
    with Load(guest.port) as load:
        load.wait(3)
        with traced.Attached(guest, server) as attached:
            load.wait(10)
        report = attached.report
        load.wait(3)
        ours = {tuple(int(frame["pc"], 16) for frame in context["stack"]) for context in report["contexts"]}
        theirs = set(stacks_of_gdb(guest, server, sorted({context["stack"][0]["pc"] for context in report["contexts"]})))
        load.wait(3)
    assert report["summary"]["allocs"] >= 10  # a transfer and its file each, and two may be under way
    assert 1 <= len(ours) <= 2  # (a file that two transfers read is opened once)
    for context in report["contexts"]:
        # calloc, from main() and what it calls, from libc's start, from the program's
        assert shape(context) == ["libc.so.6", *4 * ["dnsmasq"], *2 * ["libc.so.6"], "dnsmasq"]
        assert context["stack_end"] == "root"
    if guest.name == "arm64":
        assert theirs <= ours
    else:
        # gdb reads no prologues where no symbol says where a function begins: it ends at the caller.
        assert theirs <= {stack[:2] for stack in ours}
