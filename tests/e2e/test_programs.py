"""Servers and shells that people run, attached to under load.

Each answers every request right: before, while memtrace is attached, and after it has
gone; and what it reports is consistent, with nothing lost.
"""
import glob
import gzip
import http.client
import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

import pytest

import memtrace
import programs
from ports import free_port


def needs(program):
    return pytest.mark.skipif(not shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin"),
                              reason=f"{program} is not installed")


class Load:
    """Requests from a thread, over and over; a wrong answer is an error at the end."""

    def __init__(self, request):
        self.request, self.count, self.error = request, 0, None
        self._stop = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            while not self._stop:
                self.request()
                with self._news:
                    self.count += 1
                    self._news.notify_all()
        except BaseException as error:  # told to whoever waits
            with self._news:
                self.error = error
                self._news.notify_all()

    def answered(self, more, timeout=50):
        """Waits for so many more right answers."""
        with self._news:
            goal = self.count + more
            done = self._news.wait_for(lambda: self.error or self.count >= goal, timeout)
        if self.error:
            raise self.error
        assert done, f"only {self.count} answers"

    def stop(self):
        self._stop = True
        self._thread.join(20)
        if self.error:
            raise self.error


def until_it_answers(request, process):
    """A server that has just been started: asked until it answers."""
    while True:
        try:
            return request()
        except (ConnectionError, socket.timeout):
            assert process.alive(), process.story()
            time.sleep(0.01)  # a refusal comes at once, and the server needs the CPU


def attached_under_load(pid, attach, request, answers=60):
    load = Load(request)
    load.answered(5)
    tracer = attach(pid)
    load.answered(answers)
    first = tracer.status()
    tracer.send("report -n 2")
    load.answered(answers)
    report = tracer.detach().consistent()
    load.answered(5)
    load.stop()
    assert report["summary"]["allocs"] >= first["allocs"] > 0
    assert report["summary"]["frees"] > 0
    return report


# ---- redis ----------------------------------------------------------------------

class Redis:
    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 20)
        self.file = self.sock.makefile("rb")

    def __call__(self, *args):
        parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
        self.sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        return self._reply()

    def _reply(self):
        line = self.file.readline()[:-2]
        if not line:
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        assert kind != b"-", line
        return int(rest) if kind == b":" else rest


def redis_server(directory):
    """(what to start, a request) as of every server here; a wrong answer is an exception."""
    port = free_port()
    dice = random.Random(1)
    connection = []

    def request():
        if not connection:
            connection.append(Redis(port))
        redis = connection[0]
        key, value = f"key{dice.randrange(500)}", dice.randbytes(dice.randrange(2000))
        assert redis("SET", key, value) == b"OK"
        assert redis("GET", key) == value
        redis("DEL", "list")
        assert redis("RPUSH", "list", *range(20)) == 20
        assert redis("LRANGE", "list", 5, 7) == [b"5", b"6", b"7"]

    return ["redis-server", "--port", port, "--save", "", "--dir", directory, "--bind", "127.0.0.1"], request


@needs("redis-server")
@pytest.mark.limit(90)
def test_redis(started, attach, tmp_path):
    argv, request = redis_server(tmp_path)
    server = memtrace.Process(argv)
    started.append(server)
    until_it_answers(request, server)
    benchmark = memtrace.Process(["redis-benchmark", "-p", argv[2], "-q", "-c", "10", "-n", "1000000",
                                  "-t", "set,get,lpush,hset"])
    started.append(benchmark)
    report = attached_under_load(server.pid, attach, request)
    benchmark.end()
    request()
    assert any("jemalloc" in module["path"] or "libc" in module["path"] for module in report["modules"])


# ---- dnsmasq --------------------------------------------------------------------

def dns_query(name, number):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def dns_answers(reply, number, address):
    assert struct.unpack_from(">H", reply)[0] == number
    assert struct.unpack_from(">H", reply, 6)[0] == 1
    assert reply.endswith(struct.pack(">H", 4) + socket.inet_aton(address))


def dnsmasq_server(_):
    port = free_port()
    argv = [shutil.which("dnsmasq", path="/usr/sbin:/usr/bin"), "--no-daemon", f"--port={port}", "--no-resolv",
            "--no-hosts", "--conf-file=/dev/null", "--listen-address=127.0.0.1", "--bind-interfaces",
            "--address=/memtrace.test/10.1.2.3", "--log-queries", "--pid-file"]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    sock.settimeout(20)
    numbers = iter(range(1, 60000))

    def request():
        number = next(numbers)
        sock.send(dns_query(f"host{number}.memtrace.test", number))
        dns_answers(sock.recv(512), number, "10.1.2.3")
        if number % 10 == 0:  # over TCP: dnsmasq forks for each
            with socket.create_connection(("127.0.0.1", port), 20) as stream:
                query = dns_query("tcp.memtrace.test", number)
                stream.sendall(struct.pack(">H", len(query)) + query)
                with stream.makefile("rb") as answer:
                    length, = struct.unpack(">H", answer.read(2))
                    dns_answers(answer.read(length), number, "10.1.2.3")

    return argv, request


@needs("dnsmasq")
def test_dnsmasq(started, attach):
    argv, request = dnsmasq_server(None)
    server = memtrace.Process(argv)
    started.append(server)
    until_it_answers(request, server)
    load = Load(request)
    load.answered(20)
    tracer = attach(server.pid)
    load.answered(100)
    tracer.status()
    report = tracer.detach().consistent()
    load.answered(20)
    load.stop()
    # an address of the configuration is answered from memory it has: only TCP allocates
    assert any(module["path"].endswith("dnsmasq") for module in report["modules"])


# ---- nginx ----------------------------------------------------------------------

NGINX = """
daemon off;
{user}
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    gzip on; gzip_min_length 10; gzip_types text/plain; default_type text/plain;
    server {{ listen 127.0.0.1:{port}; root {dir}/www; }}
}}
"""


def nginx_server(directory):
    port = free_port()
    (directory / "www").mkdir()
    text = "".join(f"line {i * 7919}\n" for i in range(500))
    (directory / "www" / "file").write_text(text)
    user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
    (directory / "conf").write_text(NGINX.format(dir=directory, port=port, user=user))
    argv = [shutil.which("nginx", path="/usr/sbin:/usr/bin"), "-c", directory / "conf",
            "-e", directory / "error.log", "-p", directory]

    def request():
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for headers in ({}, {"Accept-Encoding": "gzip"}):
            client.request("GET", "/file", headers=headers)
            answer = client.getresponse()
            body = answer.read()
            assert answer.status == 200
            assert (gzip.decompress(body) if headers else body).decode() == text
        client.request("GET", "/nothing")
        answer = client.getresponse()
        assert (answer.status, bool(answer.read())) == (404, True)
        client.close()

    return argv, request


@needs("nginx")
def test_nginx(started, attach, tmp_path):
    argv, request = nginx_server(tmp_path)
    server = memtrace.Process(argv)
    started.append(server)
    until_it_answers(request, server)
    worker = memtrace.descendants(server.pid)[0]
    report = attached_under_load(worker, attach, request)
    assert any(module["path"].endswith("nginx") for module in report["modules"])


# ---- python3 --------------------------------------------------------------------

HTTP_SERVER = """
import http.server, json, sys, urllib.parse
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
        body = json.dumps({"sum": sum(map(int, query["n"])), "text": query["n"][0] * 100}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def python_server(_):
    port = free_port()
    dice = random.Random(2)

    def request():
        numbers = [dice.randrange(10**6) for _ in range(10)]
        with socket.create_connection(("127.0.0.1", port), 20) as sock:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            client.sock = sock
            client.request("GET", "/?" + urllib.parse.urlencode({"n": numbers}, doseq=True))
            answer = json.loads(client.getresponse().read())
        assert answer == {"sum": sum(numbers), "text": str(numbers[0]) * 100}

    return [programs.PYTHON, "-c", HTTP_SERVER, port], request


@pytest.mark.parametrize("allocator", ["malloc", "pymalloc"])
def test_python_http_server(started, attach, allocator):
    argv, request = python_server(None)
    server = memtrace.Process(argv, env=programs.steady_env(PYTHONMALLOC=allocator))
    started.append(server)
    until_it_answers(request, server)
    loads = [Load(request) for _ in range(3)]
    report = attached_under_load(server.pid, attach, request, answers=10)
    for load in loads:
        load.stop()
    assert any("python3" in module["path"] for module in report["modules"])


# ---- node -----------------------------------------------------------------------

NODE_SERVER = """
const http = require('http'), zlib = require('zlib');
http.createServer((request, response) => {
    const n = Number(new URL(request.url, 'http://x').searchParams.get('n'));
    const text = JSON.stringify({n: n * 2, list: Array.from({length: 200}, (_, i) => i * n)});
    zlib.gzip(text, (error, packed) => response.end(zlib.gunzipSync(packed)));
}).listen(Number(process.argv[1]), '127.0.0.1');
"""


def node_server(_):
    port = free_port()
    numbers = iter(range(10**6))

    def request():
        n = next(numbers)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("GET", f"/?n={n}")
        answer = json.loads(client.getresponse().read())
        client.close()
        assert answer == {"n": n * 2, "list": [i * n for i in range(200)]}

    return ["node", "-e", NODE_SERVER, port], request


@needs("node")
@pytest.mark.limit(90)
def test_node(started, attach, tmp_path):
    """Code that is made while it runs has its names, and the stacks go through it to their end."""
    argv, request = node_server(None)
    server = memtrace.Process([argv[0], "--perf-basic-prof", "--interpreted-frames-native-stack", *argv[1:]],
                              cwd=tmp_path)  # (it writes a log there)
    started.append(server)
    until_it_answers(request, server)
    report = attached_under_load(server.pid, attach, request, answers=20)
    pathlib.Path(f"/tmp/perf-{server.pid}.map").unlink()
    named = [context for context in report["contexts"]
             if any(re.match("JS:|LazyCompile:", frame["function"] or "") for frame in context["stack"])]
    assert named and all(context["stack_end"] == "root" for context in named)


# ---- postgres -------------------------------------------------------------------

POSTGRES = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))[-1:]


def needs_postgres(test):
    can = POSTGRES and shutil.which("pgbench") and (os.getuid() or shutil.which("setpriv"))
    return pytest.mark.skipif(not can, reason="postgres is not installed, or setpriv, as it does not run as root")(test)


class Postgres:
    """A database in a directory of its own, and how to start its server."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="memtrace-pg"))
        person = []
        if os.getuid() == 0:
            os.chown(self.directory, 65534, 65534)
            person = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        subprocess.run([*person, pathlib.Path(POSTGRES[0]).parent / "initdb", "-D", self.directory / "data",
                        "-U", "tester", "--no-sync", "-A", "trust"], check=True, capture_output=True)
        self.argv = [*person, POSTGRES[0], "-D", self.directory / "data", "-k", self.directory, "-h", "",
                     "-c", "fsync=off"]
        self.connect = ["-h", self.directory, "-U", "tester", "postgres"]

    def sql(self, text):
        return subprocess.run(["psql", "-tA", *self.connect, "-c", text], capture_output=True, text=True)

    def until_it_answers(self, server):
        while self.sql("select 1").returncode:
            assert server.alive(), server.story()

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


@needs_postgres
@pytest.mark.limit(120)
def test_postgres(started, attach):
    """A backend under pgbench; every balance is right in the end."""
    postgres = Postgres()
    try:
        server = memtrace.Process(postgres.argv)
        started.append(server)
        postgres.until_it_answers(server)
        subprocess.run(["pgbench", "-i", "-q", *postgres.connect], check=True, capture_output=True)
        bench = memtrace.Process(["pgbench", "-c", "2", "-T", "60", *postgres.connect])
        started.append(bench)
        # Not the connection that pgbench opens first, asks for its scale, and closes.
        find = ("select pid from pg_stat_activity where application_name = 'pgbench'"
                " and query ~ '^(UPDATE|INSERT)' limit 1")
        while not (pid := postgres.sql(find).stdout.strip()):
            assert bench.alive(), bench.story()
        tracer = attach(int(pid))
        while tracer.status()["allocs"] < 100:
            assert bench.alive(), bench.story()
        tracer.detach().consistent()
        bench.process.terminate()
        bench.wait()
        sums = postgres.sql(
            "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)"
            " and (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)")
        assert sums.stdout.strip() == "t", sums
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0
    finally:
        postgres.remove()


@needs_postgres
@pytest.mark.limit(120)
@pytest.mark.skipif(not glob.glob("/usr/lib/postgresql/*/lib/llvmjit.so"), reason="without LLVM")
def test_postgres_jit(started, attach):
    """What LLVM made of a query's expressions is walked by what it shows to debuggers: exactly, to the end."""
    postgres = Postgres()
    try:
        server = memtrace.Process([*postgres.argv, "-c", "jit_debugging_support=on", "-c", "jit_above_cost=0"])
        started.append(server)
        postgres.until_it_answers(server)
        shell = memtrace.Process(["psql", "-tA", *postgres.connect])
        started.append(shell)
        shell.send("select 'PID ' || pg_backend_pid();")
        tracer = attach(int(shell.wait_line(r"^PID (\d+)$")[1]))
        # (what is larger than 8 KB is malloc's at once)
        query = "select 'SUM ' || sum(length(repeat('x', 9000 + i % 10))) from generate_series(1, 200) i;"
        for _ in range(3):
            shell.send(query)
            shell.wait_line(f"^SUM {200 * 9000 + 20 * 45}$")
        report = tracer.detach().consistent()
        through = [context for context in report["contexts"]
                   if any(re.match("evalexpr_", frame["function"] or "") for frame in context["stack"])]
        assert sum(context["allocs"] for context in through) >= 600
        assert {context["stack_end"] for context in through} == {"root"}
        assert not any(frame.get("guess") for context in through for frame in context["stack"])
        shell.process.stdin.close()
        assert shell.wait() == 0
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0
    finally:
        postgres.remove()


# ---- sqlite3 --------------------------------------------------------------------

@needs("sqlite3")
def test_sqlite_shell(started, attach, tmp_path):
    shell = memtrace.Process(["sqlite3", "-batch", tmp_path / "db"])
    started.append(shell)

    def ask(sql, answer):
        shell.send(f"{sql}; select 'end of answer';")
        assert shell.wait_line(".*").group(0) == str(answer)
        assert shell.wait_line(".*").group(0) == "end of answer"

    shell.send("create table t(a integer primary key, b text); create index i on t(b);")
    ask("select 6 * 7", 42)
    numbers = iter(range(0, 10**6, 20))

    def request():
        first = next(numbers)
        shell.send("begin; with recursive c(x) as (select %d union all select x + 1 from c where x < %d) "
                   "insert into t select x, hex(x * 7919) from c; commit;" % (first, first + 19))
        ask("select count(*) || ' ' || sum(a) from t", f"{first + 20} {(first + 20) * (first + 19) // 2}")
        ask(f"select b from t where a = {first + 3}", str((first + 3) * 7919).encode().hex().upper())

    report = attached_under_load(shell.pid, attach, request)
    ask("pragma integrity_check", "ok")
    shell.send(".quit")
    assert shell.wait() == 0
    assert any("sqlite" in module["path"] for module in report["modules"])
