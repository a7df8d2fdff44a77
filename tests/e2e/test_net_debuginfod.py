"""memtrace-fs as the debuginfod of other tools: they know its address, stripped files, and
nothing else."""
import ctypes.util
import os
import re
import shutil
import subprocess

import pytest

import json_report
import net
from test_net import network, report_of, serve, start  # noqa: F401

pytestmark = pytest.mark.skipif(not net.allowed(), reason="needs root, ip and nsenter")


@pytest.fixture
def device(network, start, tmp_path):
    """Its sources are not where they were compiled, but below a directory that is served."""
    made = net.Made(tmp_path / "made")
    (tmp_path / "served").mkdir()
    made.source.rename(tmp_path / "served/src")
    serve(start, network.host, made.full, tmp_path / "served")
    return made


def on_target(network, tmp_path, *argv, given=None):
    done = subprocess.run([str(a) for a in network.target.argv(*argv)], capture_output=True,
                          text=True, check=False, input=given, timeout=50,
                          env={**os.environ, "DEBUGINFOD_URLS": "http://10.77.0.1:3002",
                               "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")})
    assert done.returncode == 0, done
    return done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("gdb"), reason="gdb is not installed")
def test_gdb(network, device, tmp_path):
    said = on_target(network, tmp_path, "gdb", "-nx", "-batch", "-iex", "set debuginfod enabled on",
                     "-ex", "info line deeper", "-ex", "list deeper,+1",
                     device.on_device(device.library))
    assert re.search(r'Line \d+ of ".*/src/part.c" starts at address 0x\w+ <deeper', said), said
    assert "\tchar room[64 + (n & 1)];\n" in said


@pytest.mark.skipif(not shutil.which("valgrind") or not shutil.which("debuginfod-find"),
                    reason="valgrind or debuginfod-find is not installed")
def test_valgrind(network, device, tmp_path):
    said = on_target(network, tmp_path, "valgrind", "--leak-check=full",
                     device.on_device(device.program), given="go\n")
    assert re.search(r"by 0x\w+: deeper \(part.c:10\)", said), said
    assert re.search(r"by 0x\w+: inner \(prog.c:8\)", said), said


@pytest.mark.skipif(not ctypes.util.find_library("debuginfod"), reason="needs libdebuginfod")
def test_from_another_server(network, device, start, tmp_path):
    """--debuginfod: what a memtrace-fs does not have itself it asks for."""
    (tmp_path / "empty").mkdir()
    server = start(network.host, net.FS, "--no-announce", "-l", "10.77.0.1:3003", "--debuginfod",
                   tmp_path / "empty", env={**os.environ,
                                            "DEBUGINFOD_URLS": "http://10.77.0.1:3002",
                                            "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache")})
    server.wait_line("^Waiting")
    _, text = report_of(start, network.target, device.on_device(device.program), tmp_path / "r",
                        "-c", "10.77.0.1:3003")
    found = [f for c in json_report.load(text)["contexts"] for f in c["stack"]]
    assert any(f["function"] == "deeper" and f["line"] == 10 for f in found)


@pytest.mark.skipif(not shutil.which("debuginfod-find"), reason="debuginfod-find is not installed")
def test_debuginfod_find(network, device, tmp_path):
    program = device.on_device(device.program)

    def find(what, *more):
        path = on_target(network, tmp_path, "debuginfod-find", what, program, *more).strip()
        with open(path, "rb") as file:
            return file.read()

    assert find("debuginfo") == find("executable") == device.program.read_bytes()
    assert b"GCC" in find("section", ".comment")
    assert find("source", device.source / "prog.c").decode() == net.PROGRAM
