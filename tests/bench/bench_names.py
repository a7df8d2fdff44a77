#!/usr/bin/env python3
"""How fast memtrace-fs answers over a network: `make bench`.

A process with 100 modules and 10 000 distinct addresses, asked about in batches, as memtrace
does; two hosts (network namespaces). Cold: the server has just been started. Warm: another
client of the same firmware. Then 50 clients, and what memory the server takes.
"""
import ctypes
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

import net  # noqa: E402

MODULES, PER_MODULE, BATCH = 100, 100, 512
CODE = """
static __attribute__((noinline)) int f%(n)d_%(i)d(int x) { volatile int y = x * %(i)d; return y + %(n)d; }
int g%(n)d_%(i)d(int x) { return f%(n)d_%(i)d(x) + f%(n)d_%(i)d(x + 1); }
"""


def message(kind, request, payload):
    return struct.pack("<IHHI", len(payload), kind, 0, request) + payload


def build(directory):
    """[(path, build-id, addresses)]"""
    modules = []
    for n in range(MODULES):
        source, library = directory / f"m{n}.c", directory / f"libm{n}.so"
        source.write_text("".join(CODE % {"n": n, "i": i} for i in range(PER_MODULE // 2)))
        net.run("gcc", "-g", "-O2", "-fPIC", "-shared", "-o", library, source)
        symbols = net.run("nm", library).stdout
        addresses = [int(m[1], 16) + 4 for m in re.finditer(r"^(\w+) [tT] [fg]\d", symbols, re.M)]
        modules.append((library, bytes.fromhex(net.build_id(library)), addresses[:PER_MODULE]))
    return modules


def questions(modules):
    out, request = message(1, 1, b"memtrace" + struct.pack("<HHH", 1, 1, 5) + b"bench\0"), 1
    for handle, (path, identity, addresses) in enumerate(modules):
        name = f"/usr/lib/{path.name}".encode()
        out += message(3, request + 1, struct.pack("<IIHH", handle, 0, 0, len(name)) + name + b"\0"
                       + bytes([len(identity)]) + identity + b"\0\0\xff\xff" + b"\0" * 4)
        out += message(13, request + 2, struct.pack("<IQQ", handle, 0, 2**64 - 1))
        request += 2
        for at in range(0, len(addresses), BATCH):
            part = addresses[at:at + BATCH]
            request += 1
            out += message(5, request, struct.pack(f"<II{len(part)}Q", handle, len(part), *part))
    return out, request


def ask(host, port, bytes_out, requests):
    """Seconds until everything is answered, and the bytes of the answers."""
    began = time.monotonic()
    client = socket.create_connection((host, port))
    threading.Thread(target=client.sendall, args=(bytes_out,), daemon=True).start()
    data, answered, total, at = bytearray(), 0, 0, 0
    while answered < requests:
        more = client.recv(1 << 20)
        if not more:
            raise EOFError
        total += len(more)
        data += more
        while len(data) - at >= 12:
            length, kind, flags, _ = struct.unpack_from("<IHHI", data, at)
            if len(data) - at < 12 + length:
                break
            assert kind != 12, data[at + 16:at + 12 + length]
            answered += not flags & 1 and kind != 11
            at += 12 + length
        del data[:at]
        at = 0
    client.close()
    return time.monotonic() - began, total


def memory(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return {k: int(re.search(rf"^{k}:\s+(\d+)", text, re.M)[1]) / 1024 for k in ("VmHWM", "VmRSS")}


def measure(network, modules, directory):
    out, requests = questions(modules)
    server = network.host.start(net.FS, "--no-announce", directory)
    server.wait_line("^Waiting")
    pid = server.pid
    with open(f"/run/netns/{network.target.name}") as inside:
        if ctypes.CDLL(None, use_errno=True).setns(inside.fileno(), 0x40000000):  # CLONE_NEWNET
            raise OSError(ctypes.get_errno(), "setns")
    cold, size = ask("10.77.0.1", 3002, out, requests)
    one = memory(pid)
    warm, _ = ask("10.77.0.1", 3002, out, requests)
    times = []
    threads = [threading.Thread(target=lambda: times.append(ask("10.77.0.1", 3002, out, requests)[0]))
               for _ in range(50)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fifty = time.monotonic() - began
    many = memory(pid)
    server.end()
    addresses = sum(len(m[2]) for m in modules)
    print(f"\n{len(modules)} modules, {addresses} addresses and all unwind rows ({size / 1e6:.1f} MB "
          "of answers), over a veth pair\n")
    print(f"    cold                {cold:8.2f} s      server's memory {one['VmRSS']:6.1f} MB")
    print(f"    warm                {warm:8.2f} s")
    print(f"    50 clients at once  {fifty:8.2f} s      server's peak   {many['VmHWM']:6.1f} MB")
    return cold, warm


def main():
    if not net.allowed():
        print("bench_names: needs root, ip and nsenter", file=sys.stderr)
        return 0
    directory = pathlib.Path(tempfile.mkdtemp())
    network = net.Network()
    try:
        measure(network, build(directory), directory)
    finally:
        network.end()
        shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
