"""memtrace-fs: every answer equals what addr2line says; files are found where people keep
them; what does not match is not used; nothing that a file holds ends the server."""
import ctypes.util
import http.server
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

import names
from names import run

HERE = pathlib.Path(__file__).parent
NO_NAMES = "none"


def has(*programs):
    return all(shutil.which(p) for p in programs)


def needs(*programs):
    return pytest.mark.skipif(not has(*programs), reason="needs " + ", ".join(programs))


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return names.build_client(tmp_path_factory.mktemp("client"))


def build(folder, *command, name="program"):
    """Compiles names_prog.c or .cc in `folder`, which becomes the compilation directory."""
    out = folder / name
    if not has(command[0]):
        pytest.skip(f"needs {command[0]}")
    run(*command, "-o", out, cwd=folder)
    return out


def wait_for(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


C = HERE / "names_prog.c"
CC = HERE / "names_prog.cc"


@pytest.fixture
def program(tmp_path):
    return build(tmp_path, "gcc", "-g", "-O2", C)


# ---- right answers ------------------------------------------------------------------------

KINDS = {
    "c": ("gcc", "-g", "-O2", C),
    "c-O0": ("gcc", "-g", "-O0", C),
    "c-dwarf4": ("gcc", "-gdwarf-4", "-O3", C),
    "c-no-pie": ("gcc", "-g", "-O2", "-no-pie", "-Wl,--build-id=none", C),
    "c-no-debug": ("gcc", "-O2", C),
    "c-clang": ("clang", "-g", "-O2", C),
    "cc": ("g++", "-g", "-O2", CC),
    "cc-O0": ("g++", "-g", "-O0", CC),
    "cc-dwarf4": ("g++", "-gdwarf-4", "-O3", CC),
    "cc-zlib": ("g++", "-g", "-gz=zlib", "-O2", CC),
    "cc-lto": ("g++", "-g", "-O2", "-flto", CC),
    "cc-clang": ("clang++", "-g", "-O2", CC),
    "cc-clang-dwarf4": ("clang++", "-gdwarf-4", "-O2", CC),
    "cc-split": ("g++", "-g", "-gsplit-dwarf", "-O2", CC),
}
# Where neither binutils nor elfutils can say what is right.
NEED_LLVM = {"cc-clang", "cc-split"}


@pytest.mark.parametrize("kind", KINDS)
def test_programs(client, tmp_path, kind):
    if kind in NEED_LLVM and not names.llvm_symbolizer():
        pytest.skip("needs llvm-symbolizer")
    path = build(tmp_path, *KINDS[kind])
    calls = names.call_sites(path)
    answer = names.ask(client, path, calls)
    assert len(answer.frames) == len(set(calls)) > 5
    assert names.differences(answer, path) == []
    assert answer.source == f"{path} (.symtab)" if kind == "c-no-debug" else str(path)
    assert answer.remark is None
    if "-O0" not in kind and "clang" not in kind and kind != "c-no-debug":
        assert sum(len(f) > 1 for f in answer.frames.values()) >= 4  # there is inlining


def test_inlined_chain(client, tmp_path):
    """The one case written out: calls of malloc, three functions inlined into outer()."""
    path = build(tmp_path, "gcc", "-g", "-O2", C)
    answer = names.ask(client, path, names.call_sites(path))
    chains = [[f[0] for f in frames] for frames in answer.frames.values()]
    assert ["deepest", "deeper", "middle", "outer"] in chains
    lines = {f: n for n, f in enumerate(C.read_text().splitlines(), 1)}
    chain = next(f for f in answer.frames.values() if len(f) == 4)
    assert chain[0][1:] == (str(C), lines["\treturn malloc(n);"])
    assert chain[2][2] == lines["\treturn n > 5 ? deeper(n) : deepest(n * 2);"]
    assert chain[3][2] in (lines["\tvoid *p = middle(n);"], lines["\treturn middle(n + 3);"])


LIBC = pathlib.Path("/lib/x86_64-linux-gnu/libc.so.6")


def libc_debug():
    if not LIBC.exists():
        return None
    identity = names.build_id(LIBC)
    path = pathlib.Path(f"/usr/lib/debug/.build-id/{identity[:2]}/{identity[2:]}.debug")
    return path if path.exists() else None


@pytest.mark.skipif(not libc_debug(), reason="needs libc6-dbg")
def test_libc(client):
    """2000 addresses anywhere in libc's code, not calls alone."""
    begin, size = next((int(f[3], 16), int(f[5], 16)) for f in (
        line.replace("[ ", "[").split() for line in run("readelf", "-SW", LIBC).splitlines())
        if len(f) > 5 and f[1] == ".text")
    chosen = random.Random(20).sample(range(begin, begin + size), 2000)
    answer = names.ask(client, LIBC, chosen)
    assert answer.source == str(libc_debug())
    assert names.differences(answer, libc_debug()) == []
    assert answer.with_lines() > 1900


@pytest.mark.skipif(not libc_debug(), reason="needs libc6-dbg")
def test_speed(client):
    """All calls of libc from a cold start, and one: seconds of the CPU's are far more than it takes."""
    calls = names.call_sites(LIBC)
    assert len(calls) > 10000
    assert 0 < names.ask(client, LIBC, calls).seconds < 5
    assert 0 < names.ask(client, LIBC, calls[:1]).seconds < 2


# ---- where debug files are found ----------------------------------------------------------

def split(program, debug, link=None):
    """Moves the debug information of a program to `debug`; link: put a debuglink in."""
    debug.parent.mkdir(parents=True, exist_ok=True)
    run("objcopy", "--only-keep-debug", program, debug)
    run("strip", "--strip-all", program)
    if link:
        run("objcopy", f"--add-gnu-debuglink={debug}", program)
    return debug


def whole(client, program, *dirs, **more):
    """The answer for every call; `calls` are those of the file before it was stripped."""
    return names.ask(client, program, names.call_sites(program), *dirs, **more)


def by_id(folder, program):
    identity = names.build_id(program)
    return folder / ".build-id" / identity[:2] / f"{identity[2:]}.debug"


PLACES = {
    "debuglink": lambda p, d: (p.parent / "program.debug", True, ()),
    "debuglink .debug": lambda p, d: (p.parent / ".debug" / "program.debug", True, ()),
    "debug-dir, build-id": lambda p, d: (by_id(d, p), False, (d,)),
    "debug-dir, debuglink": lambda p, d: (d / "program.debug", True, (d,)),
    "debug-dir, debuglink, path": lambda p, d: (d / str(p.parent)[1:] / "program.debug", True, (d,)),
    "debug-dir, path": lambda p, d: (d / str(p)[1:], False, (d,)),
    "debug-dir, path.debug": lambda p, d: (d / f"{str(p)[1:]}.debug", False, (d,)),
    "debug-dir, name": lambda p, d: (d / "program", False, (d,)),
    "debug-dir, name.debug": lambda p, d: (d / "program.debug", False, (d,)),
    "second debug-dir": lambda p, d: (d / "program.debug", False, (d / "nothing", d)),
}


@pytest.mark.parametrize("identity", ["sha1", "none"])
@pytest.mark.parametrize("place", PLACES)
def test_places(client, tmp_path, place, identity):
    (tmp_path / "bin").mkdir()
    program = build(tmp_path / "bin", "gcc", "-g", "-O2", C, f"-Wl,--build-id={identity}")
    if identity == "none" and "build-id" in place:
        pytest.skip("no build-id")
    expected = whole(client, program)
    debug, link, dirs = PLACES[place](program, tmp_path / "debug")
    split(program, debug, link)
    answer = whole(client, program, *dirs)
    assert answer.source == str(debug)
    assert answer.remark is None
    assert answer.frames == expected.frames


def test_root_of_a_process_that_has_gone(client, program, tmp_path):
    """`memtrace chroot DIR PROGRAM`: when the report is made, nothing tells its root."""
    root = tmp_path / "a" / "root"
    place = root / "usr" / "bin"
    place.mkdir(parents=True)
    whole = names.ask(client, program, names.call_sites(program))
    moved = place / "program"
    shutil.move(program, moved)
    debug = split(moved, by_id(root / "usr/lib/debug", moved))
    answer = names.ask(client, moved, list(whole.frames))
    assert answer.source == str(debug) and answer.remark is None
    assert answer.frames == whole.frames


def test_nothing_found(client, program, tmp_path):
    split(program, tmp_path / "elsewhere" / "program.debug")
    answer = whole(client, program)
    assert answer.source == f"{program} (.dynsym)" or answer.source == NO_NAMES
    assert answer.with_lines() == 0


def test_debug_file_alone(client, program, tmp_path):
    """The mapped file is gone; its debug file still answers, by build-id."""
    identity, expected, calls = names.build_id(program), whole(client, program), names.call_sites(program)
    debug = split(program, by_id(tmp_path / "debug", program))
    program.unlink()
    answer = names.ask(client, program, calls, tmp_path / "debug", identity=identity)
    assert answer.source == str(debug)
    assert answer.frames == expected.frames


@needs("xz")
def test_minidebuginfo(client, program, tmp_path):
    """.gnu_debugdata: functions of a stripped file, as Fedora has them."""
    expected = {at: f[-1][0] for at, f in whole(client, program).frames.items() if f}
    mini = tmp_path / "mini"
    run("objcopy", "-S", "--remove-section=.comment", "--keep-symbol=outer", "--keep-symbol=main",
        program, mini)
    run("xz", mini)
    run("strip", "--strip-all", program)
    run("objcopy", f"--add-section=.gnu_debugdata={mini}.xz", program)
    answer = whole(client, program)
    assert answer.source == f"{program} (.gnu_debugdata)"
    assert answer.functions() >= {"outer", "main"}
    for at, frames in answer.frames.items():
        if frames and frames[-1][0] in ("outer", "main"):
            assert expected[at] == frames[-1][0] and len(frames) == 1


@needs("xz")
def test_minidebuginfo_that_grows(client, program, tmp_path):
    """150 KB that unpack to 1 GB are left alone."""
    bomb, peak, server = tmp_path / "bomb", tmp_path / "peak", tmp_path / "server"
    with bomb.open("wb") as file:
        file.truncate(1 << 30)
    run("xz", "-1", bomb)
    run("objcopy", f"--add-section=.gnu_debugdata={bomb}.xz", "--strip-all", program)
    server.write_text(f"""#!{sys.executable}
import os, sys
pid = os.fork() or os.execv("{names.SERVER}", sys.argv)
open("{peak}", "w").write(str(os.wait4(pid, 0)[2].ru_maxrss))
""")
    server.chmod(0o755)
    assert names.ask(client, program, names.call_sites(program), server=server).source == NO_NAMES
    wait_for(peak.exists)
    wait_for(peak.read_text)
    assert int(peak.read_text()) < 400_000


@needs("dwz")
@pytest.mark.parametrize("place", ["beside", "build-id"])
def test_dwz(client, tmp_path, place):
    """What dwz moved to a common file (.gnu_debugaltlink) is found again."""
    one = build(tmp_path, "g++", "-gdwarf-4", "-O2", CC, name="one")
    two = build(tmp_path, "g++", "-gdwarf-4", "-O2", "-DTWO", CC, name="two")
    expected = whole(client, one)
    run("dwz", "-m", "common", "one", "two", cwd=tmp_path)
    debug = tmp_path / "debug"
    if place == "build-id":
        common = by_id(debug, tmp_path / "common")
        common.parent.mkdir(parents=True)
        (tmp_path / "common").rename(common)
    answer = whole(client, one, debug)
    assert answer.remark is None
    assert answer.frames == expected.frames
    assert whole(client, two, debug).with_lines() > 100
    # Without it the names that were moved are missing, and it is said why.
    shutil.rmtree(debug, ignore_errors=True)
    (tmp_path / "common").unlink(missing_ok=True)
    assert "dwz" in whole(client, one, debug).remark


@pytest.fixture
def debuginfod(tmp_path, monkeypatch):
    """A debuginfod server: {path: bytes}, and the paths it was asked for."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = files.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    files, asked = {}, []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("DEBUGINFOD_URLS", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield files, asked
    server.shutdown()
    thread.join()
    server.server_close()


needs_debuginfod = pytest.mark.skipif(not ctypes.util.find_library("debuginfod"),
                                      reason="needs libdebuginfod")


@needs_debuginfod
def test_debuginfod(client, program, tmp_path, debuginfod):
    files, asked = debuginfod
    expected, identity = whole(client, program), names.build_id(program)
    debug = split(program, tmp_path / "elsewhere" / "program.debug")
    files[f"/buildid/{identity}/debuginfo"] = debug.read_bytes()
    # Not unless it is asked for.
    assert whole(client, program).with_lines() == 0
    assert asked == []
    answer = whole(client, program, "--debuginfod")
    assert answer.frames == expected.frames
    assert answer.source.startswith(str(tmp_path / "cache"))
    assert asked == [f"/buildid/{identity}/debuginfo"]


@needs_debuginfod
@pytest.mark.parametrize("what", ["nothing", "another", "rubbish"])
def test_debuginfod_fails(client, program, tmp_path, debuginfod, what):
    files, asked = debuginfod
    identity = names.build_id(program)
    split(program, tmp_path / "elsewhere" / "program.debug")
    if what == "another":
        files[f"/buildid/{identity}/debuginfo"] = names.SERVER.read_bytes()
    elif what == "rubbish":
        files[f"/buildid/{identity}/debuginfo"] = b"rubbish" * 1000
    answer = whole(client, program, "--debuginfod")
    assert len(asked) == 1
    assert answer.with_lines() == 0
    if what == "nothing":
        assert answer.remark is None
    else:
        assert ("does not match" if what == "another" else "not an ELF file") in answer.remark


def test_debuginfod_without_servers(client, program, monkeypatch):
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)
    done = subprocess.run([client, names.SERVER, "0", program, names.build_id(program), "--debuginfod"],
                          input="", text=True, capture_output=True, check=True)
    assert done.stderr == "memtrace-fs: --debuginfod: DEBUGINFOD_URLS is not set\n"
    assert f"source\t{program}\n" in done.stdout


def test_symbols_by_name(client, program):
    wanted = ["main", "outer", "malloc", "nothing_like_this"]
    values = names.ask(client, program, (), "--symbols", *wanted).values
    table = {line.split()[-1]: int(line.split()[0], 16)
             for line in run("nm", "--defined-only", program).splitlines()}
    assert values == {"main": table["main"], "outer": table["outer"], "malloc": 0,
                      "nothing_like_this": 0}


def test_rows(client, tmp_path):
    """A program that was stripped of .debug_frame, the only unwind data it had."""
    program = build(tmp_path, "gcc", "-g", "-O2", "-fno-asynchronous-unwind-tables", "-static", C)
    calls = [at for at, frames in whole(client, program).frames.items()
             if frames and frames[0][1] == str(C)]
    assert len(calls) > 5
    rows = names.ask(client, program, calls, "--rows").rows
    assert all(row[0] in (1, 2) and row[2:4] == (1, -8) for row in rows.values())
    split(program, tmp_path / "debug" / "program.debug")
    assert all(row[0] == 0 for row in names.ask(client, program, calls, "--rows").rows.values())
    assert names.ask(client, program, calls, "--rows", tmp_path / "debug").rows == rows


# ---- what does not match -------------------------------------------------------------------

def test_replaced_file(client, program, tmp_path):
    """The file on disk is another build than the one that is mapped."""
    calls, identity = names.call_sites(program), names.build_id(program)
    run("gcc", "-g", "-O1", C, "-DOTHER", "-o", program)
    answer = names.ask(client, program, calls, identity=identity)
    assert answer.frames == {at: [] for at in calls}
    assert answer.source == NO_NAMES
    assert answer.remark == (f"{program}: does not match: its build-id is "
                             f"{names.build_id(program)}, not {identity}")


@pytest.mark.parametrize("identity", ["sha1", "none"])
def test_wrong_debug_file(client, tmp_path, identity):
    """A debug file of another build, where the right one should be."""
    folder = tmp_path / "debug"
    folder.mkdir()
    program = build(tmp_path, "gcc", "-g", "-O2", C, f"-Wl,--build-id={identity}")
    other = build(folder, "gcc", "-g", "-O1", C, f"-Wl,--build-id={identity}", name="program")
    split(program, tmp_path / "gone" / "program.debug", link=True)
    shutil.copy(other, folder / "program.debug")
    answer = whole(client, program, folder)
    assert answer.with_lines() == 0
    assert answer.remark.startswith(f"{folder}/program.debug: does not match: ")


def test_file_without_build_id(client, program):
    """One that the target says has a build-id is not taken for it."""
    run("objcopy", "--remove-section=.note.gnu.build-id", program)
    answer = names.ask(client, program, names.call_sites(program), identity="ab" * 20)
    assert answer.source == NO_NAMES
    assert answer.remark == f"{program}: does not match: it has no build-id"


def test_deleted_program(client, tmp_path, started):
    """A program that was rebuilt while it runs: the process still holds the old one."""
    source = tmp_path / "waits.c"
    source.write_text("#include <unistd.h>\nint main(void) { write(1, \"r\", 1); return pause(); }\n")
    program = build(tmp_path, "gcc", "-g", "-O2", source)
    calls, identity = names.call_sites(program), names.build_id(program)
    expected = whole(client, program)
    process = subprocess.Popen([program], stdout=subprocess.PIPE)
    try:
        assert process.stdout.read(1) == b"r"
        assert names.ask(client, program, calls, pid=process.pid).frames == expected.frames
        program.unlink()
        run("gcc", "-g", "-O1", C, "-o", program)
        answer = names.ask(client, program, calls, pid=process.pid, identity=identity)
        assert answer.frames == expected.frames
        assert answer.remark is None
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    # The process is gone: what is at its path now is another build.
    answer = names.ask(client, program, calls, pid=process.pid, identity=identity)
    assert answer.source == NO_NAMES and "does not match" in answer.remark


def test_deleted_program_without_names(client, tmp_path):
    """It is found, and has none: nothing is wrong with a file."""
    source = tmp_path / "waits.c"
    source.write_text("#include <unistd.h>\nint main(void) { write(1, \"r\", 1); return pause(); }\n")
    program = build(tmp_path, "gcc", "-s", source)
    identity = names.build_id(program)
    with subprocess.Popen([program], stdout=subprocess.PIPE) as process:
        assert process.stdout.read(1) == b"r"
        program.unlink()
        answer = names.ask(client, program, [0x1000], pid=process.pid, identity=identity)
        process.kill()
    assert answer.source == NO_NAMES and answer.remark is None


# ---- broken files ---------------------------------------------------------------------------

def test_broken_files(client, tmp_path):
    """Cut and damaged files: an answer or a refusal, and the server's end is clean."""
    program = build(tmp_path, "g++", "-gdwarf-4", "-O2", CC)
    calls = names.call_sites(program)[:40]
    good, identity = program.read_bytes(), names.build_id(program)
    chance = random.Random(4)
    for round_number in range(40):
        if round_number % 4 == 0:
            data = good[:chance.randrange(len(good))]
        else:
            data = bytearray(good)
            for _ in range(1 + round_number * 20):
                data[chance.randrange(len(good))] = chance.randrange(256)
        program.write_bytes(data)
        names.ask_raw(client, program, calls, identity=identity, errors="backslashreplace")
    program.write_text("#!/bin/sh\n")
    answer = names.ask(client, program, calls, identity=identity)
    assert answer.remark == f"{program}: not an ELF file"


@pytest.mark.parametrize("path", ["[vdso]", "/", "/dev/zero", "/nonexistent/x.so", "x.so", "/a/../b"])
def test_no_file(client, path):
    answer = names.ask(client, path, [0x1000], identity="ab" * 20)
    assert answer.frames == {0x1000: []}
    assert answer.source == NO_NAMES
    assert path in answer.remark


# ---- the program itself ------------------------------------------------------------------

def serve(*options):
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [names.SERVER, f"--fd={theirs.fileno()}", *options], pass_fds=[theirs.fileno()],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ours.settimeout(20)
    return ours, process


def message(kind, payload, request=1):
    return struct.pack("<IHHI", len(payload), kind, 0, request) + payload


HELLO = b"memtrace" + struct.pack("<HHH", 1, 1, 4) + b"test\0"


def receive(sock):
    """(kind, payload), or None at the end."""
    def exactly(count):
        data = b""
        while len(data) < count:
            more = sock.recv(count - len(data))
            if not more:
                return None
            data += more
        return data
    head = exactly(12)
    if head is None:
        return None
    length, kind = struct.unpack("<IH", head[:6])
    return kind, exactly(length)


def test_ends_with_its_connection():
    sock, process = serve()
    sock.sendall(message(1, HELLO))
    kind, payload = receive(sock)
    assert kind == 2 and payload.startswith(b"memtrace\x01\0")
    sock.close()
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("sent, said", [
    (b"PUT / HTTP/1.0\r\n\r\n", "unknown message"),
    (message(99, b""), "unknown message 99"),
    (struct.pack("<IHHI", 1 << 30, 5, 0, 1), "message LOOKUP of 1073741824 bytes"),
    (message(5, b"\0" * 8), "message LOOKUP is not expected here"),
    (message(6, b""), "message FRAMES is not for this side"),
    (message(1, b"not hello"), "the peer is no memtrace"),
    (message(1, HELLO.replace(b"\1\0\1\0", b"\7\0\7\0")), "test speaks protocol versions 7 to 7"),
    (message(1, HELLO) + message(1, HELLO), "message HELLO is not expected here"),
    (message(1, HELLO) + message(3, b"\0" * 40), "broken message MODULE"),
    (message(1, HELLO) + message(5, b"\0" * 9), "broken message LOOKUP"),
])
def test_sends_away(sent, said):
    """Who breaks the protocol is told so by name, and the connection is closed."""
    sock, process = serve()
    with sock:
        sock.sendall(sent)
        answers = []
        while (answer := receive(sock)) is not None:
            answers.append(answer)
    kind, payload = answers[-1]
    assert kind == 12
    assert said in payload.decode("latin-1")
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


def test_says_how_far_the_index_is(tmp_path):
    """Who waits for the directories to be read is told every second, or would give up."""
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    for i in range(2000):
        os.link(program, tmp_path / f"other{i}")
    sock, process = serve(*[f"--serve-dir={tmp_path}"] * 500)
    module = (struct.pack("<IIHH", 1, 0, 0, 2) + b"/x\0" + b"\2ab"
              + struct.pack("<HHI", 0, 0xffff, 0))
    with sock:
        sock.sendall(message(1, HELLO) + message(3, module))
        answers = [receive(sock) for _ in range(3)]
    assert [kind for kind, _ in answers] == [2, 11, 11], answers
    assert b"indexing the directories: " in answers[2][1]
    process.communicate(timeout=20)


def test_unknown_module():
    """A question about nothing is answered as such; the connection stays."""
    sock, process = serve()
    with sock:
        sock.sendall(message(1, HELLO) + message(5, struct.pack("<IIQ", 3, 1, 0x10), 7)
                     + message(13, struct.pack("<IQQ", 3, 0, 0x10), 8))
        assert receive(sock)[0] == 2
        for _ in range(2):
            kind, payload = receive(sock)
            assert kind == 12 and b"no module of this number" in payload
    assert process.wait(timeout=20) == 0
    process.communicate()


@pytest.mark.parametrize("options, status, said", [
    (["--version"], 0, "memtrace-fs "),
    (["--help"], 0, "--debug-dir=DIR"),
    ([], 1, "no DIR is given"),
    (["--fd=x"], 1, "--fd: 'x' is not a number"),
    (["--fd=99"], 1, "--fd=99"),
    (["--fd=1"], 1, "--fd=1"),
    (["--fd"], 1, "--fd needs its N; see 'memtrace-fs --help'"),
    (["--nonsense"], 1, "unknown or ambiguous option '--nonsense'"),
    (["--fd=0", "word"], 1, "it takes no DIR"),
])
def test_options(options, status, said):
    done = subprocess.run([names.SERVER, *options], text=True, stdin=subprocess.DEVNULL,
                          capture_output=True, check=False)
    assert done.returncode == status
    assert said in (done.stderr if status else done.stdout)
    assert (done.stdout if status else done.stderr) == ""
    if status:
        assert done.stderr.startswith("memtrace-fs: ") and done.stderr.count("\n") == 1


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x86-64")
def test_verbose(program):
    sock, process = serve("-v")
    path = str(program).encode()
    identity = bytes.fromhex(names.build_id(program))
    payload = (struct.pack("<IIHH", 1, 0, 0, len(path)) + path + b"\0"
               + bytes([len(identity)]) + identity + b"\0\0" + b"\xff\xff" + b"\0" * 4)
    with sock:
        sock.sendall(message(1, HELLO) + message(3, payload))
        assert receive(sock)[0] == 2
        assert receive(sock) == (4, struct.pack("<IBH", 1, 2, len(path)) + path + b"\0\xff\xff")
    assert process.communicate(timeout=20)[1] == f"memtrace-fs: {program}: {program}\n"
