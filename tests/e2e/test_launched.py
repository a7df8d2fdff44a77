"""Real programs started by memtrace: servers that answer right and end when they are told
to, and what a Go program shows."""
import os
import shutil
import signal
import subprocess

import pytest

import json_report
import memtrace
import test_programs
from test_programs import needs

SERVERS = {"redis-server": test_programs.redis_server, "dnsmasq": test_programs.dnsmasq_server,
           "nginx": test_programs.nginx_server, "python3": test_programs.python_server,
           "node": test_programs.node_server}


def started_program(tracer, argv):
    """The pid of what memtrace has started; its guardian and memtrace-fs are others."""
    name = os.path.realpath(shutil.which(argv[0]))
    found = [pid for pid in memtrace.children(tracer.pid) if os.path.realpath(f"/proc/{pid}/exe") == name]
    assert len(found) == 1, tracer.story()
    return found[0]


@pytest.mark.parametrize("name", [pytest.param(name, marks=needs(name)) for name in SERVERS])
@pytest.mark.limit(240)
def test_server(started, tmp_path, name):
    """node makes 450 000 allocations until it answers."""
    argv, request = SERVERS[name](tmp_path)
    output = tmp_path / "report.json"
    tracer = memtrace.Process([memtrace.MEMTRACE, "--format=json", "-n", "0", "--all", "-o", output, *argv])
    started.append(tracer)
    test_programs.until_it_answers(request, tracer)
    load = test_programs.Load(request)
    load.answered(10)
    load.stop()
    os.kill(started_program(tracer, argv), signal.SIGTERM)
    assert tracer.wait() in (0, 128 + signal.SIGTERM), tracer.story()
    report = memtrace.Report(json_report.load(output.read_text())).consistent()
    assert report["summary"]["allocs"] > report["summary"]["frees"] > 0
    if name in ("dnsmasq", "nginx"):  # their own functions, by the symbols that every program has
        assert report.through("main")["allocs"] or any(
            module["path"].endswith(name) for module in report["modules"])


@test_programs.needs_postgres
@pytest.mark.limit(120)
def test_postgres(started, tmp_path):
    """The server's first process, which starts the others; as root, setpriv becomes it."""
    postgres = test_programs.Postgres()
    output = tmp_path / "report.json"
    try:
        tracer = memtrace.Process([memtrace.MEMTRACE, "--format=json", "-n", "0", "--all", "-o", output,
                                   *postgres.argv])
        started.append(tracer)
        postgres.until_it_answers(tracer)
        assert postgres.sql("select sum(n) from generate_series(1, 1000) n").stdout == "500500\n"
        pid, = [pid for pid in memtrace.children(tracer.pid)
                if os.path.realpath(f"/proc/{pid}/exe") == test_programs.POSTGRES[0]]
        os.kill(pid, signal.SIGINT)
        assert tracer.wait() == 0, tracer.story()
        report = memtrace.Report(json_report.load(output.read_text())).consistent()
        assert report["summary"]["allocs"] > report["summary"]["frees"] > 0
        assert any(module["path"] == test_programs.POSTGRES[0] for module in report["modules"])
    finally:
        postgres.remove()


# ---- Go -------------------------------------------------------------------------

NUMBERS = "".join(f"{number}\n" for number in range(100000))


def check_go(report):
    """Of megabytes of its own heap nothing is seen: only what its C code allocates, which
    is what libc needs for the threads of the Go runtime."""
    summary = report.consistent()["summary"]
    assert 0 < summary["allocs"] < 1000
    assert summary["allocated_bytes"] < 1 << 20
    threads = report.through("_cgo_sys_thread_start", "x_cgo_sys_thread_create")
    assert threads["allocs"] > 0


@needs("fzf")
def test_go_program(tmp_path):
    """It catches every signal that there is, and sends itself SIGURG all the time."""
    plain = subprocess.run(["fzf", "--filter=777"], input=NUMBERS, capture_output=True, text=True, check=True)
    file = tmp_path / "numbers"
    file.write_text(NUMBERS)
    with file.open() as numbers:
        status, lines, report = memtrace.launch(tmp_path / "report.json", ["fzf", "--filter=777"], stdin=numbers)
    assert (status, lines) == (0, plain.stdout.splitlines())
    check_go(report)


@needs("fzf")
def test_attached_to_a_go_program(started, attach):
    plain = subprocess.run(["fzf", "--filter=777"], input=NUMBERS, capture_output=True, text=True, check=True)
    process = memtrace.Process(["fzf", "--filter=777"])
    started.append(process)
    half = len(NUMBERS) // 2
    process.process.stdin.write(NUMBERS[:half].encode())
    tracer = attach(process.pid)
    process.process.stdin.write(NUMBERS[half:].encode())
    tracer.detach().consistent()
    process.process.stdin.close()
    assert process.wait() == 0
    assert process.out == plain.stdout.splitlines()
