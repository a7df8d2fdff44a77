"""Attacks on what memtrace-fs serves over HTTP, as debuginfod's manual warns of them: a doctored program
that names other files as its sources, and whoever may write below a directory and asks meanwhile."""
import os
import subprocess
import threading

import pytest

import net
from test_net import start  # noqa: F401
from test_net_failures import connect, http, serve_at_home

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="memtrace-fs runs as root here")

SECRET = b"a secret of this machine's"


def doctored(path, *sources):
    """A program whose line table names them."""
    text = "".join(f'#line 1 "{source}"\nint f{i}(int x) {{ return x + {i}; }}\n'
                   for i, source in enumerate(sources)) + '#line 1 "/src/main.c"\nint main(void) { return f0(1); }\n'
    subprocess.run(["gcc", "-g", "-O0", "-o", path, "-x", "c", "-"], input=text, text=True, check=True)
    return net.build_id(path)


@pytest.fixture
def served(tmp_path):
    """Below it everybody may read; `outside` lies beside it, and everybody may read that, too."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(SECRET)
    (tmp_path / "served/src").mkdir(parents=True)
    (tmp_path / "served/src/main.c").write_text("int main(void)\n")
    return tmp_path / "served"


def test_a_doctored_program_names_what_it_likes(start, served):
    outside = served.parent / "outside"
    private = served / "private"
    private.write_bytes(SECRET)
    private.chmod(0o600)
    os.link(private, served / "src/hard")
    (served / "src/absolute").symlink_to(outside / "secret")
    (served / "src/upwards").symlink_to("../../outside/secret")
    (served / "out").symlink_to(outside)
    (served / "src/magic").symlink_to("/proc/self/environ")
    os.mkfifo(served / "src/fifo", 0o666)
    os.chmod(served / "src/fifo", 0o666)
    names = ["/etc/passwd", "/etc/shadow", str(outside / "secret"), "/proc/self/environ", "/private", "/src/hard",
             "/src/absolute", "/src/upwards", "/out/secret", "/src/magic", "/src/fifo", "/src/../../outside/secret",
             "../../../../../../../etc/passwd", "/dev/zero", "/src/", "/"]
    identity = doctored(served / "program", *names)
    server, port = serve_at_home(start, served)
    assert http(port, identity, "source/src/main.c") == (200, b"int main(void)\n")
    for name in names:
        for path in (name, "/" + name, name.replace("/", "%2f"), name.replace("..", "%2e%2e"), "/src/.." + name,
                     name + "%00", name + "/", name + "/.", "//src//..//" + name):
            status, body = http(port, identity, f"source{'' if path.startswith(('/', '%2f')) else '/'}{path}")
            assert status in (400, 404) and body == b"", (path, body)
    assert http(port, identity, "source/src/main.c")[0] == 200 and server.alive()


def test_a_link_that_changes_meanwhile(start, served):
    """Between any two looks: what is sent is what was looked at."""
    identity = doctored(served / "program", "/src/swapped")
    swapped, good, bad = (served / "src" / name for name in ("swapped", "good", "bad"))
    good.write_bytes(b"good")
    swapped.write_bytes(b"good")
    _, port = serve_at_home(start, served)
    ended = threading.Event()

    def swap():
        while not ended.is_set():
            bad.symlink_to(served.parent / "outside/secret")
            bad.rename(swapped)
            os.link(good, bad)
            bad.rename(swapped)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        bodies = [http(port, identity, "source/src/swapped")[1] for _ in range(300)]
    finally:
        ended.set()
        swapper.join()
    assert set(bodies) <= {b"good", b""} and b"good" in bodies


@pytest.mark.parametrize("what", ["fifo", "device", "sparse", "gone"])
def test_a_program_that_is_something_else_later(start, served, what):
    """After it was indexed; a file is sent as far as it goes."""
    program = served / "program"
    identity, other = doctored(program, "/x.c"), doctored(served / "other", "/y.c")
    server, port = serve_at_home(start, served)
    assert http(port, identity, "executable") == (200, program.read_bytes())
    if what == "sparse":  # its end is cut off while it is sent
        os.truncate(program, 1 << 40)
        with connect(port) as client:
            client.sendall(f"GET /buildid/{identity}/executable HTTP/1.1\r\n\r\n".encode())
            assert b"Content-Length: %d\r\n" % (1 << 40) in client.recv(400)
            os.truncate(program, 1 << 16)
            while client.recv(1 << 20):
                pass
    else:
        program.unlink()
        if what == "fifo":
            os.mkfifo(program)
        elif what == "device":
            os.mknod(program, 0o20666, os.makedev(1, 5))
        assert http(port, identity, "executable")[0] == 404
    assert http(port, other, "executable") == (200, (served / "other").read_bytes())
    assert server.alive()


def test_who_takes_nothing_keeps_nobody_out(start, served):
    """More of them than there are processes to send."""
    os.truncate(served / "src/main.c", 1 << 30)
    identity = doctored(served / "program", "/x.c")
    _, port = serve_at_home(start, served)
    held = [connect(port) for _ in range(40)]
    for client in held:
        client.sendall(f"GET /buildid/{identity}/source/src/main.c HTTP/1.1\r\n\r\n".encode())
        assert client.recv(12) == b"HTTP/1.1 200"
    assert http(port, identity, "executable") == (200, (served / "program").read_bytes())
    for client in held:
        client.close()
