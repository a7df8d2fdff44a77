"""Programs as Debian ships them, stripped, on one host; Debian's debug packages on the other:
each call stack has the names that memtrace finds beside the files on one machine.

libc6-dbg is installed.  Others are downloaded and unpacked, and nothing of this machine is
changed: python3's are in Debian's main archive; -dbgsym packages are in another one, which
not every mirror has: without them those programs' own functions are the exported ones.
"""
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

import json_report
import net
import programs
from memtrace import MEMTRACE
from test_net import counted, network, serve, start  # noqa: F401

sys.path.append(str(pathlib.Path(__file__).parents[1] / "cross"))
from packages import Packages  # noqa: E402

pytestmark = pytest.mark.skipif(not net.allowed() or not shutil.which("apt-get"),
                                reason="needs root, ip, nsenter and apt-get")

SCRIPT = """
import json, sys
print("READY", flush=True)
kept = []
for line in sys.stdin:
    # long strings: short ones come from Python's own pools
    text = json.dumps({str(i) * 600: [list(range(i)), sorted(str(i) * 700)] for i in range(9)})
    kept.append((json.loads(text), text.split(), bytearray(text.encode()), set(text.upper())))
    print("DONE", flush=True)
"""


def unpacked(name):
    """The folder with a package's files; None: there is none to be had."""
    try:
        return Packages("amd64").unpack(name)
    except RuntimeError:
        return None


def debug_dirs(*packages):
    found = [folder / "usr/lib/debug" for folder in map(unpacked, packages) if folder]
    return found + [pathlib.Path("/usr/lib/debug")]


class Python:
    """Debian's own, whatever version this machine has."""
    knows = ("asciilib_split_whitespace",)  # static, inlined

    def __init__(self, start, network, tmp_path):
        parts = [unpacked(name) for name in ("python3.11-minimal", "libpython3.11-minimal",
                                             "libpython3.11-stdlib")]
        if not all(parts):
            pytest.skip("python3.11 can't be downloaded")
        self.debug = debug_dirs("python3.11-dbg")
        if len(self.debug) < 2:
            pytest.skip("python3.11-dbg can't be downloaded")
        path = ":".join(str(part / "usr/lib/python3.11") for part in parts[1:])
        self.process = start(network.target, parts[0] / "usr/bin/python3.11", "-S", "-c", SCRIPT,
                             env={"PYTHONHOME": str(parts[1] / "usr"), "PYTHONPATH": path,
                                  "PYTHONHASHSEED": "0"})
        self.process.wait_line("^READY")

    def work(self):
        self.process.send("go")
        self.process.wait_line("^DONE")


class Redis:
    knows = ("__libc_start_call_main",)

    def __init__(self, start, network, tmp_path):
        self.debug = debug_dirs("redis-tools-dbgsym")
        path = str(tmp_path / "redis.socket")
        self.process = start(network.target, *programs.RedisSocket.command(path))
        self.socket = programs.RedisSocket(self.process, path)

    def work(self):
        self.socket.push_lists()
        self.socket.flush()


class Dnsmasq:
    knows = ("__libc_start_call_main",)

    def __init__(self, start, network, tmp_path):
        self.debug = debug_dirs("dnsmasq-base-dbgsym")
        hosts = tmp_path / "hosts"
        hosts.write_text("".join(f"10.1.{i}.1 host{i} host{i}.example\n" for i in range(100)))
        self.process = start(network.target, "dnsmasq", "-k", "-C", "/dev/null", "-p", "5353", "-R",
                             "-h", "-H", hosts, "-u", "root", "--log-facility=/dev/stdout",
                             "--pid-file")
        self.process.wait_line("read .*hosts - 200 (addresses|names)")

    def work(self):
        self.process.process.send_signal(signal.SIGHUP)
        self.process.wait_line("read .*hosts - 200 (addresses|names)")


def report(start, host, program, output, *options):
    memtrace = start(host, MEMTRACE, *options, "--format=json", "--all", "-n", "0", "-o", output,
                     "-p", program.process.pid)
    counted(memtrace)
    for _ in range(3):
        program.work()
    memtrace.send("quit")
    assert memtrace.wait() == 0, memtrace.story()
    return json_report.load(output.read_text())


def named(report):
    """Of each stack, by where it was: what it says."""
    found = {}
    for context in report["contexts"]:
        key = tuple((f["module"], f["offset"]) for f in context["stack"] if not f["inlined"])
        found[key] = (context["stack_end"], [(f["function"], f["file"], f["line"], f["inlined"])
                                             for f in context["stack"]])
    return found


@pytest.mark.limit(180)
@pytest.mark.parametrize("kind", [Python, Redis, Dnsmasq], ids=lambda kind: kind.__name__.lower())
def test_real_program(network, start, tmp_path, kind):
    program = kind(start, network, tmp_path)
    for _ in range(20):  # what is allocated once is not of interest; Python's code adapts itself
        program.work()
    beside = [f"--debug-dir={folder}" for folder in program.debug]
    local = named(report(start, None, program, tmp_path / "local", *beside))
    serve(start, network.host, *program.debug)
    remote = named(report(start, network.target, program, tmp_path / "remote", "-c", "10.77.0.1"))
    # nobody listens there
    report(start, network.target, program, tmp_path / "bare", "-c", "10.77.0.1:1")
    done = subprocess.run([net.FS, "--report", tmp_path / "bare", *program.debug], check=True,
                          capture_output=True, text=True)
    decoded = named(json_report.load(done.stdout))

    for other in (remote, decoded):
        common = local.keys() & other.keys()
        assert 2 < 0.5 * len(local) <= len(common)
        assert {key: other[key] for key in common} == {key: local[key] for key in common}
    frames = [frame for _, stack in local.values() for frame in stack]
    assert any(function in kind.knows and file for function, file, _, _ in frames)
