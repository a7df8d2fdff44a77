"""What goes wrong between two hosts: nothing is lost but names, and those come back."""
import json
import os
import pathlib
import queue
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

import json_report
import net
from memtrace import MEMTRACE, children
from ports import free_port
from test_net import (counted, made, network, reference, report_of, serve,  # noqa: F401
                      stacks, start)

pytestmark = pytest.mark.skipif(not net.allowed(), reason="needs root, ip and nsenter")

HELLO = b"memtrace" + struct.pack("<HHH", 1, 1, 4) + b"test\0"


ANSWER_LIMIT = 10  # seconds that memtrace waits for an answer
GREETING_LIMIT = 10  # .. and memtrace-fs for a greeting


def message(kind, payload, request=1):
    return struct.pack("<IHHI", len(payload), kind, 0, request) + payload


def work(target, times=1):
    for _ in range(times):
        target.send("go")
        target.wait_line("^DONE")


def said(memtrace, text, seconds=40):
    """Waits until its stderr has said it."""
    end = time.monotonic() + seconds
    while not any(text in line for line in memtrace.err):
        assert time.monotonic() < end, memtrace.story()
        time.sleep(0.02)


class Session:
    """A console of memtrace on the target's host, connected."""

    def __init__(self, start, network, device, output, *options):
        self.target = start(network.target, device.on_device(device.program))
        self.target.wait_line("^READY")
        self.output = output
        self.memtrace = start(network.target, MEMTRACE, *options, "--format=json", "-n", "0", "-o",
                              output, "-p", self.target.pid)
        counted(self.memtrace)

    def said(self, text):
        said(self.memtrace, text)

    def report(self):
        self.memtrace.send("quit")
        assert self.memtrace.wait() == 0, self.memtrace.story()
        return self.output.read_text()


def test_server_is_killed_and_comes_back(network, made, reference, start, tmp_path):
    device = made("stripped")
    server = serve(start, network.host, device.full, "/usr/lib/debug")
    session = Session(start, network, device, tmp_path / "r", "-c", "10.77.0.1")
    work(session.target)
    server.end()
    session.said("memtrace-fs is lost: memtrace-fs has ended")
    work(session.target)
    serve(start, network.host, device.full, "/usr/lib/debug")
    session.said("Connected again")
    work(session.target)
    assert stacks(session.report()) == reference(start, "stripped")


def test_server_is_gone_for_good(network, made, start, tmp_path):
    """Every event is there, and the report can be decoded."""
    device = made("stripped")
    server = serve(start, network.host, device.full, "/usr/lib/debug")
    session = Session(start, network, device, tmp_path / "r", "-c", "10.77.0.1")
    server.end()
    session.said("memtrace-fs is lost")
    work(session.target, 3)
    report = json.loads(session.report())
    assert report["summary"]["allocs"] == 27
    done = subprocess.run([net.FS, "--report", tmp_path / "r", device.full], capture_output=True,
                          text=True, check=True)
    assert any(f["function"] == "deeper" for c in json_report.load(done.stdout)["contexts"]
               for f in c["stack"])


def test_server_hangs(network, made, start, tmp_path):
    """A stopped server holds up the report for its time limit and no longer; the process
    never."""
    device = made("stripped")
    server = serve(start, network.host, device.full)
    session = Session(start, network, device, tmp_path / "r", "-c", "10.77.0.1")
    server.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    work(session.target, 3)
    assert time.monotonic() - began < ANSWER_LIMIT
    began = time.monotonic()
    assert json.loads(session.report())["summary"]["allocs"] == 27
    assert ANSWER_LIMIT <= time.monotonic() - began < 2 * ANSWER_LIMIT
    server.process.send_signal(signal.SIGCONT)


def test_network_is_cut(network, made, reference, start, tmp_path):
    device = made("stripped")
    serve(start, network.host, device.full, "/usr/lib/debug")
    session = Session(start, network, device, tmp_path / "r", "-c", "10.77.0.1")
    network.cut()
    try:
        work(session.target, 3)
    finally:
        network.cut(up=True)
        network.host.ip("addr", "replace", "fd77::1/64", "dev", "veth0", "nodad")
    assert stacks(session.report()) == reference(start, "stripped")


def test_client_is_killed(network, made, start, tmp_path):
    device = made("stripped")
    server = serve(start, network.host, device.full)
    session = Session(start, network, device, tmp_path / "r", "-c", "10.77.0.1")
    session.memtrace.process.kill()
    server.wait_line("^Client .* has left$")
    work(session.target)
    report_of(start, network.target, device.on_device(device.program), tmp_path / "s", "-c",
              "10.77.0.1")
    assert server.alive()


@pytest.fixture
def local(start, made):
    """A server on the loopback of this machine, for rude clients.  (server, port)"""
    return on_loopback(start, made)


def on_loopback(start, made, *before):
    return serve_at_home(start, made("stripped").full, made("nothing-left").full, before=before)


def serve_at_home(start, *dirs, before=()):
    port = free_port()
    server = start(None, *before, net.FS, "--no-announce", "-l", f"127.0.0.1:{port}", *dirs)
    server.wait_line("^Waiting")
    return server, port


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    return client


def receive(client):
    """One message: (type, payload)"""
    head = b""
    while len(head) < 12:
        more = client.recv(12 - len(head))
        if not more:
            return None
        head += more
    length, kind = struct.unpack_from("<IH", head)
    payload = b""
    while len(payload) < length:
        payload += client.recv(length - len(payload))
    return kind, payload


def test_rude_clients_stop_nobody(local):
    """Half a greeting, silence, a flood that is never read, rubbish, and a hundred more."""
    server, port = local
    rude = []
    for words in (b"", b"\x10", message(1, HELLO)[:9], message(1, HELLO) + b"\xff\xff\xff",
                  b"GET /build", b"\xff" * 64):
        client = connect(port)
        client.sendall(words)
        rude.append(client)
    flood = connect(port)
    flood.sendall(message(1, HELLO))
    flood.setblocking(False)
    module = message(3, struct.pack("<IIHH", 1, 0, 0, 2) + b"/p\0" + b"\0" + b"\0\0" + b"\xff\xff"
                     + b"\0" * 4, 2)
    try:
        for _ in range(200000):
            flood.send(module)
    except BlockingIOError:
        pass
    rude += [connect(port) for _ in range(100)]
    began = time.monotonic()
    for _ in range(20):
        with connect(port) as polite:
            polite.sendall(message(1, HELLO))
            assert receive(polite)[0] == 2
    assert time.monotonic() - began < GREETING_LIMIT  # nobody waited for a rude one
    # who has not greeted after ten seconds is sent away
    rude[0].settimeout(40)
    assert rude[0].recv(1) == b""
    flood.close()
    for client in rude:
        client.close()
    assert server.alive()


@pytest.mark.limit(120)
@pytest.mark.parametrize("before, count", [((), 600), (("prlimit", "--nofile=40"), 60)], ids=["", "few-files"])
def test_silent_clients_keep_nobody_out(start, made, before, count):
    """More than there is room for, all of them polite; who was silent longest is let go."""
    server, port = on_loopback(start, made, *before)
    silent = []
    for _ in range(count):
        silent.append(connect(port))
        silent[-1].sendall(message(1, HELLO))
        assert receive(silent[-1])[0] == 2
    assert silent[0].recv(1) == b""
    silent[-1].sendall(message(15, struct.pack("<IQQ", 1, 0, 1), 2))
    assert receive(silent[-1])[0] == 12  # no such module: but an answer
    for client in silent:
        client.close()
    assert server.alive()


def test_modules_without_end(start, made):
    """One client gets so many and no more, a further one none of its handles' former modules; the
    others get what they ask for, and as many descriptors are open as before."""
    server, port = on_loopback(start, made, "prlimit", "--nofile=64")
    device = made("stripped")
    identity = bytes.fromhex(net.build_id(device.program))

    def module(handle, path, identity=b""):
        return message(3, struct.pack("<IIHH", handle, 0, 0, len(path)) + path + b"\0" + bytes(
            [len(identity)]) + identity + b"\0\0\xff\xff" + b"\0" * 4, 2 + handle)

    with connect(port) as rude, connect(port) as polite:
        rude.sendall(message(1, HELLO))
        assert receive(rude)[0] == 2
        for handle in range(4096):
            rude.sendall(module(handle, b"/p%d" % handle))
            assert receive(rude)[0] == 4
        rude.sendall(module(7, b"/another") + message(15, struct.pack("<IQQ", 7, 0, 1), 9))
        kind, payload = receive(rude)
        assert kind == 12 and payload[0] == 5 and b"no more than 4096 different modules" in payload
        assert receive(rude)[0] == 12  # no module of this number
        rude.sendall(module(7, b"/another") + module(8, b"/p5") + module(9, b"/more"))
        assert [receive(rude)[0] for _ in range(3)] == [4, 4, 4]
        polite.sendall(message(1, HELLO) + module(1, b"/p", identity))
        assert receive(polite)[0] == 2
        kind, payload = receive(polite)
        assert kind == 4 and payload[4] == 2
    assert server.alive()


def test_no_path_leads_out(local, made):
    """Of what is not below the directories nothing is told, whatever it is called."""
    _, port = local
    device = made("stripped")
    identity = net.build_id(device.program)
    for path in ("/etc/passwd", "/../../../../../../etc/passwd", "//etc//passwd", "/proc/self/maps",
                 "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"):
        with connect(port) as client:
            client.sendall(f"GET /buildid/{identity}/source{path} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 404 ")
    with connect(port) as client:
        client.sendall(message(1, HELLO))
        receive(client)
        path = b"/proc/self/exe"
        client.sendall(message(3, struct.pack("<IIHH", 1, 1, 0, len(path)) + path + b"\0" + b"\0"
                               + b"\0\0" + b"\xff\xff" + b"\0" * 4, 2))
        kind, payload = receive(client)
        assert kind == 4 and payload[4] == 0  # MODULE_INFO: no names


def test_debuginfod(local, made):
    server, port = local
    device = made("stripped")
    identity = net.build_id(device.program)

    def get(what, method="GET"):
        with connect(port) as client:
            client.sendall(f"{method} /buildid/{identity}/{what} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            text = b""
            while more := client.recv(65536):
                text += more
        head, body = text.split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert length == len(body) or method == "HEAD"
        return int(head.split()[1]), body

    assert get("debuginfo") == (200, device.program.read_bytes())
    assert get("executable") == (200, device.program.read_bytes())
    assert get("debuginfo", "HEAD") == (200, b"")
    status, comment = get("section/.comment")
    assert status == 200 and b"GCC" in comment
    assert get("section/.nothing")[0] == 404
    assert get("nonsense")[0] == 400
    assert get("source/usr/src/x.c")[0] == 404
    assert server.alive()


def http(port, identity, what):
    """(status, body)"""
    with connect(port) as client:
        client.sendall(f"GET /buildid/{identity}/{what} HTTP/1.1\r\n\r\n".encode())
        head, body = client.makefile("rb").read().split(b"\r\n\r\n", 1)
    return int(head.split()[1]), body


def test_sources_are_those_of_the_program(start, tmp_path):
    """Of what lies below the directories: what its own line tables name, and everybody may read."""
    device = net.Made(tmp_path / "made", cflags=["-I."])
    ours, theirs = net.build_id(device.program), net.build_id(device.library)
    served = tmp_path / "served"
    shutil.copytree(device.source, f"{served}{device.source}")
    (served / "etc").mkdir()
    (served / "etc/shadow").write_text("secret")
    (served / "etc/shadow").chmod(0o600)
    (served / "etc/hosts").write_text("public")
    _, port = serve_at_home(start, device.full, served)

    def status(path, identity=ours):
        return http(port, identity, f"source{path}")[0]

    source, copy = device.source, pathlib.Path(f"{served}{device.source}")
    assert http(port, ours, f"source{source}/prog.c") == (200, net.PROGRAM.encode())
    assert http(port, ours, f"source{source}/./x/../prog.c") == (200, net.PROGRAM.encode())
    assert http(port, theirs, f"source{source}/part.c") == (200, net.PART.encode())
    assert status(f"{source}/part.c") == status(f"{source}/prog.c", theirs) == 404
    for path in ("/etc/shadow", "/etc/hosts", f"{served}/etc/hosts", f"{source}/../../served/etc/hosts"):
        assert status(path) == 404
    assert status(f"{source}/prog.c", "00" * 20) == 404
    # named, and not for everybody
    (copy / "prog.c").chmod(0o640)
    assert status(f"{source}/prog.c") == 404
    (copy / "prog.c").chmod(0o604)
    assert status(f"{source}/prog.c") == 200
    copy.parent.chmod(0o700)
    assert status(f"{source}/prog.c") == 404
    copy.parent.chmod(0o701)
    assert status(f"{source}/prog.c") == 200
    # a link leads to what is there inside; no device is opened
    (copy / "prog.c").unlink()
    (copy / "prog.c").symlink_to("/etc/hosts")
    assert http(port, ours, f"source{source}/prog.c") == (200, b"public")
    (served / "etc/hosts").unlink()
    os.mknod(served / "etc/hosts", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    assert status(f"{source}/prog.c") == 404


@pytest.mark.parametrize("hidden", ["file", "directory", "link"])
def test_what_not_everybody_may_read_is_not_served(start, tmp_path, hidden):
    """Whichever way it is asked for; memtrace-fs runs as root here."""
    device = net.Made(tmp_path / "made")
    identity = net.build_id(device.program)
    links = device.full / ".build-id" / identity[:2]
    links.mkdir(parents=True)
    if hidden == "link":
        private = device.full / "private"
        private.mkdir(mode=0o700)
        device.program.rename(private / "prog")
        device.program.symlink_to("/private/prog")
    (links / f"{identity[2:]}.debug").symlink_to("/usr/bin/prog")
    server, port = serve_at_home(start, device.full)
    assert http(port, identity, "executable")[0] == (404 if hidden == "link" else 200)
    if hidden == "file":
        device.program.chmod(0o750)
    elif hidden == "directory":
        device.program.parent.chmod(0o710)
    for what in ("executable", "debuginfo", "section/.comment", f"source{device.source}/prog.c"):
        assert http(port, identity, what)[0] == 404
    with connect(port) as client:
        client.sendall(message(1, HELLO))
        receive(client)
        for path in (b"/usr/bin/prog", b"/private/prog", b"/nowhere/prog"):
            client.sendall(message(3, struct.pack("<IIHH", 1, 0, 0, len(path)) + path + b"\0\x14"
                                   + bytes.fromhex(identity) + b"\0\0\xff\xff" + b"\0" * 4, 2))
            kind, payload = receive(client)
            assert kind == 4 and payload[4] == 0  # MODULE_INFO: no names
            assert b"is not served: not everybody may read it" in payload
    assert server.alive()


def test_another_build_is_named(network, made, start, tmp_path):
    """On both sides, with the reason; and not used."""
    old = made("no-build-id")
    new = net.Made(tmp_path / "new", ldflags=["-Wl,--build-id=none"], cflags=["-O1"])
    server = serve(start, network.host, new.full)
    program = old.on_device(old.program)
    _, text = report_of(start, network.target, program, tmp_path / "r", "-c", "10.77.0.1",
                        form="text")
    assert f"Names are missing: {new.program}: does not match: other " in text
    assert any("prog: does not match: other " in line for line in server.err)
    assert "prog.c" not in text


def test_another_build_id_is_named(network, made, start, tmp_path):
    old = made("stripped")
    new = net.Made(tmp_path / "new", cflags=["-O1"])
    serve(start, network.host, new.full)
    _, text = report_of(start, network.target, old.on_device(old.program), tmp_path / "r", "-c",
                        "10.77.0.1", form="text")
    assert (f"Names are missing: {new.program}: does not match: its build-id is "
            f"{net.build_id(new.program)}, not {net.build_id(old.program)}") in text


def test_several_servers(network, made, reference, start, tmp_path):
    """All are listed; the one that has the program is taken."""
    device = made("stripped")
    (tmp_path / "empty").mkdir()
    for port, what in ((3005, [tmp_path / "empty"]), (3006, [device.full, "/usr/lib/debug"]),
                       (3007, [tmp_path / "empty"])):
        server = start(network.host, net.FS, "-l", f"[::]:{port}", *what)
        server.wait_line("^Waiting")
    memtrace, text = report_of(start, network.target, device.on_device(device.program),
                               tmp_path / "r", "-a")
    assert stacks(text) == reference(start, "stripped")
    assert sorted(line for line in memtrace.err if "announced" in line) == [
        f"memtrace-fs announced on 10.77.0.1:{port}" for port in (3005, 3006, 3007)]


def test_search_without_ipv4(start, made, tmp_path):
    """ff02::fb: found by a link-local address, which says on which link."""
    device = made("stripped")
    both = net.Network()
    try:
        for host, address in ((both.host, "fe80::1/64"), (both.target, "fe80::2/64")):
            host.ip("-4", "addr", "flush", "dev", "veth0")
            host.ip("addr", "replace", address, "dev", "veth0", "nodad")
        server = start(both.host, net.FS, device.full)
        server.wait_line("^Waiting")
        memtrace, text = report_of(start, both.target, device.on_device(device.program),
                                   tmp_path / "r", "-a")
        announced = [line for line in memtrace.err if "announced" in line]
        assert len(announced) == 1, memtrace.story()
        assert announced[0].startswith("memtrace-fs announced on [fe80::")
        assert announced[0].endswith("%veth0]:3002")
        assert any(f["function"] == "deeper" for c in json_report.load(text)["contexts"] for f in c["stack"])
    finally:
        both.end()


def test_nobody_answers(network, made, start, tmp_path):
    device = made("stripped")
    memtrace, text = report_of(start, network.target, device.on_device(device.program),
                               tmp_path / "r", "-a")
    assert "memtrace: no memtrace-fs has answered; names are those of dynamic symbols only" in memtrace.err
    assert any("memtrace-fs --report FILE" in line for line in memtrace.err)
    assert json.loads(text)["summary"]["allocs"] == 27


def test_name_servers_are_silent(network, made, start, tmp_path):
    """Their answers are not waited for longer than the server's; the console answers."""
    device = made("stripped")
    silent = start(network.host, "python3", "-u", "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.77.0.1", 53))
print("READY")
while True:
    print("ASKED", s.recvfrom(2000)[1][0])
""")
    silent.wait_line("^READY")
    servers = tmp_path / "resolv.conf"
    servers.write_text("nameserver 10.77.0.1\noptions timeout:30 attempts:5\n")
    target = start(network.target, device.on_device(device.program))
    target.wait_line("^READY")
    memtrace = start(network.target, "unshare", "--mount", "sh", "-c",
                     f'mount --bind {servers} /etc/resolv.conf && exec "$@"', "sh", MEMTRACE, "-c", "host.test",
                     "-p", target.pid)
    silent.wait_line("^ASKED 10.77.0.2")
    counted(memtrace)
    assert "memtrace: host.test: no answer from the name servers; names are those of dynamic symbols only" in memtrace.err
    work(target)
    for _ in range(3):
        memtrace.send("status")
        memtrace.wait_line("^HEAP SUMMARY")
    memtrace.send("quit")
    assert memtrace.wait() == 0, memtrace.story()


def test_a_stray_answer_is_dropped(network, made, start, tmp_path):
    """Somebody who answers without having read the query."""
    device = made("stripped")
    liar = start(network.host, "python3", "-u", "-c", """
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", 3002))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
             socket.inet_aton("224.0.0.251") + socket.inet_aton("10.77.0.1"))
print("READY")
while True:
    query, who = s.recvfrom(100)
    s.sendto(b"mtreply\\0" + struct.pack("<H", 1) + b"x" * 16 + struct.pack("<HQI", 666, 1, 0), who)
""")
    liar.wait_line("^READY")
    memtrace, _ = report_of(start, network.target, device.on_device(device.program), tmp_path / "r",
                            "-a")
    assert not any("announced" in line for line in memtrace.err)


def test_another_version(local):
    server, port = local
    with connect(port) as client:
        client.sendall(message(1, HELLO.replace(b"\1\0\1\0", b"\7\0\7\0", 1)))
        kind, payload = receive(client)
        assert kind == 12 and b"test speaks protocol versions 7 to 7" in payload
        assert client.recv(1) == b""


def test_words_of_a_peer_command_no_terminal(start, made):
    """What the other side calls itself is printed on both."""
    evil = b"\x1b[2J"
    fake = socket.create_server(("127.0.0.1", 0))
    memtrace = start(None, MEMTRACE, "-c", f"127.0.0.1:{fake.getsockname()[1]}", "true")
    with fake, fake.accept()[0] as peer:
        assert receive(peer)[0] == 1
        peer.sendall(message(12, struct.pack("<IH", 1, len(evil)) + evil + b"\0"))
        assert memtrace.wait() == 0
    assert any(r"memtrace-fs: \x1b[2J" in line for line in memtrace.err), memtrace.story()

    server, port = serve_at_home(start, made("stripped").full)
    with connect(port) as client:
        client.sendall(message(1, b"memtrace" + struct.pack("<HHH", 7, 7, 4) + evil + b"\0"))
        assert receive(client)[0] == 12
        assert client.recv(1) == b""
    server.process.send_signal(signal.SIGTERM)
    server.wait()
    assert any(r"\x1b[2J speaks protocol versions 7 to 7" in line for line in server.err), server.story()


@pytest.mark.parametrize("options, said", [
    (["-c", "10.77.0.1:99999"], "--connect: '10.77.0.1:99999': the port is not a number from 1 to 65535"),
    (["-c", "127.0.0.1:1"], "cannot connect to [127.0.0.1]:1: Connection refused"),
    (["-l", "192.0.2.1"], "cannot listen on [192.0.2.1]:3002: Cannot assign requested address"),
])
def test_errors_of_the_command_line(start, options, said):
    memtrace = start(None, MEMTRACE, *options, "-q", "-o", "/dev/null", "true")
    memtrace.process.stdin.close()
    assert memtrace.wait() == 0
    assert memtrace.err[0].startswith(f"memtrace: {said}")


DELAY = 0.05


class Trips:
    """How many round trips a connection takes: what a client sends belongs to the trip behind the
    last one that it has an answer of."""

    def __init__(self):
        self.answered = self.asked = self.count = 0

    def sent(self, by_client):
        if not by_client:
            return self.asked
        self.count = max(self.count, self.answered + 1)
        return self.answered + 1

    def arrived(self, trip, at_client):
        if at_client:
            self.answered = max(self.answered, trip)
        else:
            self.asked = max(self.asked, trip)


def delaying_proxy(port):
    """A link with DELAY to the server on this machine's `port`.  Returns its own port, and the
    Trips of each connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections = []

    def carry(source, sink, trips, by_client):
        line = queue.SimpleQueue()

        def deliver():
            while True:
                due, trip, data = line.get()
                time.sleep(max(0.0, due - time.monotonic()))
                trips.arrived(trip, not by_client)
                try:
                    sink.sendall(data)
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                except OSError:
                    return

        threading.Thread(target=deliver, daemon=True).start()
        while True:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            line.put((time.monotonic() + DELAY, trips.sent(by_client) if data else 0, data))
            if not data:
                return

    def accept():
        while True:
            near, _ = listener.accept()
            far = socket.create_connection(("127.0.0.1", port))
            connections.append(Trips())
            for way in ((near, far, connections[-1], True), (far, near, connections[-1], False)):
                threading.Thread(target=carry, args=way, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1], connections


def test_what_the_server_lacks_is_here(made, start, tmp_path):
    """The debug files of this machine are used, too; without a memtrace-fs beside memtrace, there
    are the names of its dynamic symbols."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "alone").mkdir()
    shutil.copy(MEMTRACE, tmp_path / "alone")
    _, port = serve_at_home(start, tmp_path / "empty")
    device = made("stripped")
    found = {}
    for memtrace in (MEMTRACE, tmp_path / "alone/memtrace"):
        target = start(None, device.program)  # not stripped
        target.wait_line("^READY")
        session = start(None, memtrace, "--format=json", "-n", "0", "-o", tmp_path / "r", "-c", f"127.0.0.1:{port}",
                        "-p", target.pid, env={"PATH": "/no"})
        counted(session)
        target.send("go")
        target.wait_line("^DONE")
        session.send("quit")
        assert session.wait() == 0, session.story()
        report = json_report.load((tmp_path / "r").read_text())
        found[memtrace] = {(f["function"], f["file"] and f["file"].rsplit("/", 1)[1])
                           for c in report["contexts"] for f in c["stack"]}
    assert ("deeper", "part.c") in found[MEMTRACE]
    assert not any(file for _, file in found[tmp_path / "alone/memtrace"])


def test_a_slow_link_costs_few_round_trips(local, made, start, tmp_path):
    """50 ms each way: greeting, what is lacking, and the report are one round trip each."""
    _, port = local
    device = made("nothing-left")
    proxy, connections = delaying_proxy(port)
    memtrace, text = report_of(start, None, device.on_device(device.program), tmp_path / "r", "-c",
                               f"127.0.0.1:{proxy}")
    assert any(f["function"] == "deeper" for c in json_report.load(text)["contexts"] for f in c["stack"])
    trips, = [connection.count for connection in connections]
    assert 3 <= trips < 10, trips


def test_no_stop_waits_for_the_network(local, made, start, tmp_path):
    """The work of the process takes no longer with a slow server, nor with a silent one."""
    server, port = local
    device = made("nothing-left")
    proxy, _ = delaying_proxy(port)
    target = start(None, device.on_device(device.program))
    target.wait_line("^READY")
    memtrace = start(None, MEMTRACE, "-c", f"127.0.0.1:{proxy}", "-o", tmp_path / "r", "-p", target.pid)
    counted(memtrace)
    server.process.send_signal(signal.SIGSTOP)
    work(target)
    memtrace.send("report")  # waits for the server, for the names in what there is
    work(target, 50)
    assert sum("HEAP SUMMARY" in line for line in memtrace.out) == 1  # it still waits
    server.process.send_signal(signal.SIGCONT)
    memtrace.wait_line("^HEAP SUMMARY")
    memtrace.send("quit")
    assert memtrace.wait() == 0


def test_a_hundred_clients(local, made):
    """All are served at once, from one copy of each module."""
    server, port = local
    device = made("stripped")
    identity = bytes.fromhex(net.build_id(device.program))
    ask = message(1, HELLO) + message(3, struct.pack("<IIHH", 1, 0, 0, 2) + b"/p\0" + bytes(
        [len(identity)]) + identity + b"\0\0\xff\xff" + b"\0" * 4, 2)
    clients = [connect(port) for _ in range(100)]
    for client in clients:
        client.sendall(ask)
    for client in clients:
        assert receive(client)[0] == 2
        kind, payload = receive(client)
        assert kind == 4 and payload[4] == 2
    counts = []
    for worker in children(server.pid):
        files = [os.readlink(f"/proc/{worker}/fd/{fd}") for fd in os.listdir(f"/proc/{worker}/fd")]
        counts.append(files.count(str(device.program)))
    assert set(counts) == {1}
    for client in clients:
        client.close()


@pytest.mark.skipif(not os.path.exists("/usr/sbin/sshd"), reason="openssh-server is not installed")
def test_through_ssh(network, made, reference, start, tmp_path):
    """The commands of doc/protocol.md."""
    device = made("stripped")
    for name in ("host_key", "user_key"):
        net.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name)
    keys = tmp_path / "authorized_keys"
    shutil.copy(tmp_path / "user_key.pub", keys)
    os.makedirs("/run/sshd", exist_ok=True)
    sshd = start(network.target, "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-p", "2222", "-h",
                 tmp_path / "host_key", "-o", f"AuthorizedKeysFile={keys}", "-o", "StrictModes=no",
                 "-o", "PidFile=none", "-o", "UsePAM=no", "-o", "PermitRootLogin=yes")
    server = start(network.host, net.FS, "-l", "127.0.0.1", "--no-announce", device.full, "/usr/lib/debug")
    server.wait_line("^Waiting")
    target = start(network.target, device.on_device(device.program))
    target.wait_line("^READY")
    output = tmp_path / "r"
    memtrace = start(network.host, "ssh", "-p", "2222", "-i", tmp_path / "user_key", "-o",
                     "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
                     "ConnectionAttempts=20", "-R", "3002:localhost:3002", "root@10.77.0.2", MEMTRACE,
                     "-c", "localhost", "--format=json", "-n", "0", "-o", output, "-p", target.pid)
    counted(memtrace)
    work(target, 3)
    memtrace.send("quit")
    assert memtrace.wait() == 0, memtrace.story() + sshd.story()
    assert stacks(output.read_text()) == reference(start, "stripped")


def test_memtrace_fs_calls_again(network, made, reference, start, tmp_path):
    """memtrace listens; the memtrace-fs that called it dies, and another one calls."""
    device = made("stripped")
    dirs = [device.full, "/usr/lib/debug"]
    server = start(network.host, net.FS, "-c", "10.77.0.2", *dirs)
    session = Session(start, network, device, tmp_path / "r", "-l", "10.77.0.2")
    session.said("Connected")
    work(session.target)
    server.end()
    session.said("memtrace-fs is lost")
    work(session.target)
    start(network.host, net.FS, "-c", "10.77.0.2", *dirs)
    session.said("Connected again")
    work(session.target)
    assert stacks(session.report()) == reference(start, "stripped")


@pytest.mark.parametrize("variant", ["stripped", "one-segment"])
def test_listens_and_attaches_at_once(network, made, reference, start, tmp_path, variant):
    """Nothing but names is lacking: nobody waits for a server that is to call.  Code in one
    segment with all that is not code is not taken for code without unwind data."""
    device = made(variant)
    session = Session(start, network, device, tmp_path / "r", "-l", "10.77.0.2")
    assert session.memtrace.err[0] == "Listening on [10.77.0.2]:3002"
    assert not any("Waiting" in line for line in session.memtrace.err)
    work(session.target, 3)
    session.memtrace.send("quit")
    session.said("Waiting for memtrace-fs to connect (14 s at most)")
    server = start(network.host, net.FS, "-c", "10.77.0.2", device.full, "/usr/lib/debug")
    assert session.memtrace.wait() == 0, session.memtrace.story() + server.story()
    assert stacks(session.output.read_text()) == reference(start, variant)


def test_listens_and_waits_for_rows(network, made, reference, start, tmp_path):
    """The program's stacks need a server: it is not touched before that has called.  Whoever else
    calls, and goes or talks of other things, changes nothing."""
    device = made("nothing-left")
    target = start(network.target, device.on_device(device.program))
    target.wait_line("^READY")
    memtrace = start(network.target, MEMTRACE, "-l", "10.77.0.2", "--format=json", "-n", "0", "-o",
                     tmp_path / "r", "-p", target.pid)
    said(memtrace, "Waiting for memtrace-fs to connect (60 s at most): the process's files don't "
         "say all that is needed")
    assert "TracerPid:\t0\n" in open(f"/proc/{target.pid}/status").read()
    for words in ("", "GET / HTTP/1.0\\r\\n\\r\\n"):
        start(network.host, "python3", "-c", f"""
import socket
with socket.create_connection(("10.77.0.2", 3002)) as s:
    s.sendall(b"{words}")
    s.shutdown(socket.SHUT_WR)
    while s.recv(100):
        pass
""").wait()
    assert memtrace.alive(), memtrace.story()
    start(network.host, net.FS, "-c", "10.77.0.2", device.full, "/usr/lib/debug")
    counted(memtrace)
    work(target, 3)
    memtrace.send("quit")
    assert memtrace.wait() == 0, memtrace.story()
    assert stacks((tmp_path / "r").read_text()) == reference(start, "nothing-left")


def test_rows_come_with_the_server(network, made, reference, start, tmp_path):
    """Attached without a server: stacks are cut. They are whole once it is there."""
    device = made("nothing-left")
    session = Session(start, network, device, tmp_path / "r", "-c", "10.77.0.1:3002")
    session.said("cannot connect to [10.77.0.1]:3002")
    serve(start, network.host, device.full, "/usr/lib/debug")
    session.said("Connected")
    session.memtrace.send("clear")
    counted(session.memtrace)
    work(session.target, 3)
    assert stacks(session.report()) == reference(start, "nothing-left")


def test_announces_on_one_interface_only(network, made, start, tmp_path):
    device = made("stripped")
    program = device.on_device(device.program)
    server = start(network.host, net.FS, "--interface=lo", device.full)
    server.wait_line("^Waiting")
    memtrace, _ = report_of(start, network.target, program, tmp_path / "r", "-a")
    assert not any("announced" in line for line in memtrace.err)
    server.end()
    server = start(network.host, net.FS, "--interface=veth0", device.full)
    server.wait_line("^Waiting")
    memtrace, _ = report_of(start, network.target, program, tmp_path / "r", "-a")
    assert any("announced" in line for line in memtrace.err)
    server.end()
    server = start(network.host, net.FS, "--interface=nothing", device.full)
    assert server.wait() == 1
    assert server.err == ["memtrace-fs: --interface: nothing: No such device"]
