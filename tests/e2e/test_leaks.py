"""Which blocks of a process are lost, and who holds the others: by programs that know it."""
import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

import pytest

import json_report
import memtrace

SOURCES = pathlib.Path(__file__).parent.parent / "targets"
SERVICES = pathlib.Path(__file__).parent.parent / "services"  # the guests of tests/cross have them, too
EVENT_LOOP, CYCLE = (SERVICES / name for name in ("loop.c", "cycle.cc"))


def written(path, text):
    path.write_text(text)
    return path


def built(tmp_path, source, name="service", language="c", flags=()):
    code = source if isinstance(source, pathlib.Path) else written(tmp_path / f"{name}.{language}", source)
    program = tmp_path / name
    subprocess.run(["g++" if language == "cc" else "gcc", "-O1", "-g", "-o", program, code, *flags], check=True)
    return program


class Service(memtrace.Process):
    """Says READY, serves as often as it is told to, and says OK."""

    def __init__(self, *argv, **more):
        super().__init__(argv, **more)
        self.wait_line("^READY$")

    def serve(self):
        self.send("serve")
        self.wait_line("^OK$")


def run(*argv):
    process = memtrace.Process([memtrace.MEMTRACE, *argv])
    assert process.wait() == 0, process.story()
    return process


def look(pid, *options):
    """What a look alone finds."""
    process = run("--no-symbols", "-q", "--leaks", "--format=json", "-n", "0", *options, "-p", pid)
    return json.loads("\n".join(process.out))["leaks"]


def console(pid, *commands):
    """The answers, and the JSON of `leaks --json` if that is the last command."""
    arguments = [word for command in commands for word in ("-x", command)]
    return run("--no-symbols", "-q", "-b", *arguments, "-o", "/dev/null", "-p", pid)


@pytest.fixture
def loop(tmp_path, started):
    started.append(Service(built(tmp_path, EVENT_LOOP)))
    return started[-1]


def near(count, expected):
    """A word on a stack or in a register may still lead to the last one."""
    return expected - 2 <= count <= expected


def test_event_loop(loop, tmp_path):
    """Before the attach 100 requests were lost, with their text; while we watch 100 more."""
    found = look(loop.pid)
    assert near(found["before_attach"]["lost"]["blocks"], 100), found
    assert near(found["before_attach"]["lost_through"]["blocks"], 100), found
    assert found["copied"] and found["unread_bytes"] == 0
    kinds = {b["class"]: b["content"] for b in found["blocks"]}
    assert re.match("GET /missing/", kinds["lost_through"]["text"])
    output = tmp_path / "report.json"
    tracer = memtrace.Memtrace(loop.pid, output, "--leaks", "-i")
    tracer.attached()
    loop.serve()
    report = tracer.detach()
    first, *others = report["contexts"]
    functions = [frame["function"] for frame in first["stack"]]
    assert "fail" in functions and near(first["lost_blocks"], 100), first
    assert first["in_use_bytes"] == first["in_use_blocks"] * 16, "the requests, not their texts, which are larger"
    kept = next(c for c in others if "keep" in [f["function"] for f in c["stack"]])
    assert (kept["lost_blocks"], kept["held_blocks"]) == (0, 100)
    assert kept["held_by"].startswith("cache (service .bss 0x"), kept
    assert near(report["leaks"]["before_attach"]["lost"]["blocks"], 100)
    assert report["leaks"]["lost_through"]["blocks"] >= 196


def test_console(loop):
    answers = console(loop.pid, "leaks", "heap").out
    assert any(re.match(r"(99|100) blocks \(\d+ bytes\) are lost", line) for line in answers), answers
    assert any(re.match(r"RSS [\d.]+ MiB: .* in use", line) for line in answers), answers


def test_reports_after_a_look(loop, tmp_path, started):
    """They carry what the look found, and of when; what came later is in all other counts."""
    tracer = memtrace.Memtrace(loop.pid, tmp_path / "report.json", "-i", "--sort=bytes").attached()
    started.append(tracer)
    loop.serve()
    tracer.send("leaks")
    tracer.wait_line(r"^(199|200) blocks \(\d+ bytes\) are lost")
    loop.serve()
    tracer.send("report --all")
    tracer.wait_line(r"^As of a look for leaks \d+\.\d s ago: (199|200) blocks")
    tracer.wait_line(r"^HEAP SUMMARY")
    report = tracer.detach()
    assert report["started"] < report["leaks"]["time"], report["leaks"]["time"]
    contexts = {frame["function"]: c for c in report["contexts"] if c["allocs"] == 200 for frame in c["stack"]}
    assert near(contexts["fail"]["lost_blocks"], 100) and contexts["fail"]["verdict"] == "leaks"
    kept = contexts["keep"]
    assert (kept["in_use_blocks"], kept["held_blocks"], kept["lost_blocks"]) == (200, 100, 0)
    assert report["contexts"][0] is kept, "the order is that of a report without a look"
    new = [c for c in report["contexts"] if "held_blocks" not in c]
    assert all(c["first_time"] > kept["first_time"] for c in new)
    tracer = memtrace.Memtrace(loop.pid, tmp_path / "report.json", "-i").attached()
    started.append(tracer)
    for command in "leaks", "clear":
        tracer.send(command)
    assert "leaks" not in tracer.detach(), "it was of what was counted before"


def test_several(loop, tmp_path, started):
    """Of several processes, each look says of which one."""
    other = Service(tmp_path / "service")
    started.append(other)
    pids = [loop.pid, other.pid]
    both = ["-q", "--no-symbols", "--leaks", "-p", loop.pid, "-p", other.pid]
    text = "\n".join(run(*both).out)
    assert [int(pid) for pid in re.findall(r"^Process (\d+) \(.*\)\n\n(?:99|100) blocks", text, re.M)] == pids, text
    found = json.loads("\n".join(run(*both, "--format=json").out))
    assert [each["pid"] for each in found["processes"]] == pids


def test_why_who_block(loop):
    found = look(loop.pid)
    lost = next(b for b in found["blocks"] if b["class"] == "lost")
    through = next(b for b in found["blocks"] if b["leader"] == lost["address"])
    answers = console(loop.pid, f"who {through['address']}", f"why {through['address']}", f"block {lost['address']}").out
    text = "\n".join(answers)
    assert re.search(rf"{lost['address']} \(\d+ bytes\) \+0x0", text), text
    assert re.search(rf"lost: only a lost block leads to it, {lost['address']}", text), text
    assert re.search(rf"\+0x00 +0x0*{through['address'][2:]} .* -> {through['address']}", text), text


def test_confirmed(loop):
    """What is lost in the second look alone is perhaps lost."""
    found = look(loop.pid, "--confirm=100ms")
    assert found["confirmed"] and near(found["lost"]["blocks"], 100)
    assert found["perhaps"]["blocks"] == 0


def refused(pid, *options):
    process = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "--leaks", *options, "-p", pid])
    assert process.wait() == 1 and process.out == [], process.story()
    return "\n".join(process.err)


def test_limits(loop, started):
    run("--no-symbols", "--leaks", "--max-pause=60s", "-p", loop.pid)
    assert "that may be used" in refused(loop.pid, "--memory=4K")
    big = Service(sys.executable, "-c", "import sys; x = bytearray(b'x') * (100 << 20); print('READY', flush=True); input()")
    started.append(big)
    assert re.search(r"stand still for about [2-9]\.\d ms, and --max-pause allows 1 ms", refused(big.pid, "--max-pause=1ms"))
    assert memtrace.children(big.pid) == []


MANY = r"""
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
int main(void)
{
	void **head = NULL;
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	for (int i = 0; i < 1000000; i++) {
		void **block = malloc(16);
		*block = head;
		head = block;
	}
	puts("READY");
	fflush(stdout);
	while (getchar() != EOF) {
		puts("OK");
		fflush(stdout);
	}
	return !head;
}
"""


def test_stands_no_longer(tmp_path, started):
    """Not to be copied, and a million blocks in 32 MB: 33 ms are expected, it takes more."""
    many = Service(built(tmp_path, MANY))
    started.append(many)
    assert re.search(r"stopping the process took longer|it adopts orphans.*and has stood for the 60 ms", refused(many.pid, "--max-pause=60ms"))
    many.serve()
    assert look(many.pid, "--max-pause=60s")["held"]["blocks"] >= 1000000


def test_program_that_loses(tmp_path):
    """At its end: its memory is still there."""
    program = built(tmp_path, EVENT_LOOP)
    options = ["--no-symbols", "-q", "--leaks", "--format=json", "-o", tmp_path / "report.json"]
    for more, status in ((["--error-exitcode=9", "--fail-on=lost"], 9), ([], 0)):
        result = subprocess.run([memtrace.MEMTRACE, *options, *more, program], input=b"", timeout=60)
        assert result.returncode == status
        report = json_report.load((tmp_path / "report.json").read_text())
        assert near(report["leaks"]["lost"]["blocks"], 100) and report["leaks"]["at_end"]


RESIZED = r"""
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
	puts("READY");
	fflush(stdout);
	while (getchar() != EOF) {
		for (int i = 0; i < 500; i++) {
			volatile char *p = realloc(NULL, 40);
			p = realloc((void *)p, 2040);
		}
		puts("OK");
		fflush(stdout);
	}
	return 0;
}
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="no agent for this CPU")
def test_memory_of_the_agent(tmp_path, started):
    """It knows the address of each block, and holds none."""
    program, lost = built(tmp_path, RESIZED), []
    for engine in "trap", "agent":
        service = Service(program)
        started.append(service)
        tracer = memtrace.Memtrace(service.pid, tmp_path / engine, "--no-symbols", f"--engine={engine}").attached()
        started.append(tracer)
        service.send("")
        service.wait_line("^OK$")
        tracer.send("leaks")
        lost.append(int(tracer.wait_line(r"^(\d+) blocks \(\d+ bytes\) are lost")[1]))
        tracer.detach(check=False)
    assert lost[0] == lost[1] >= 498


HEALTHY = r"""
#include <stdlib.h>
static void *volatile kept[100];
int main(void)
{
	for (int i = 0; i < 100; i++)
		kept[i] = malloc(100 + i);
	return 0;
}
"""


def test_program_that_loses_nothing(tmp_path):
    program = built(tmp_path, HEALTHY)
    result = subprocess.run([memtrace.MEMTRACE, "--no-symbols", "-q", "--leaks", "--error-exitcode=9", "--fail-on=lost",
                             "-o", tmp_path / "report", program], timeout=60)
    assert result.returncode == 0, (tmp_path / "report").read_text()
    assert "Nothing is lost." in (tmp_path / "report").read_text()


def test_cycle_of_shared_pointers(tmp_path, started):
    """Stripped: the class is known by its vtable."""
    service = Service(built(tmp_path, CYCLE, language="cc", flags=["-s"]))
    started.append(service)
    found = look(service.pid)
    lost = found["lost"]["blocks"] + found["lost_through"]["blocks"]
    assert 4 * 50 - 8 <= lost <= 4 * 50, found["lost"]
    kinds = [b["content"] for b in found["blocks"] if b["class"] == "lost"]
    assert sum(bool(k) and "Session" in k.get("text", "") for k in kinds) >= 45, kinds
    told = run("--no-symbols", "-q", "--leaks", "-p", service.pid).out
    assert any(line.strip().startswith("objects of class std::_Sp_counted_ptr_inplace<app::Session, ") for line in told), told
    output = tmp_path / "report.json"
    tracer = memtrace.Memtrace(service.pid, output, "--leaks", "-i")
    tracer.attached()
    service.serve()
    report = tracer.detach()
    assert report["contexts"][0]["lost_blocks"] >= 48
    assert any((c["held_by"] or "").startswith("service .bss") or "service" in (c["held_by"] or "") for c in report["contexts"])


def test_extension_that_forgets_a_reference(tmp_path, started):
    subprocess.run(["gcc", "-O1", "-g", "-shared", "-fPIC", "-o", tmp_path / "leaky.so", SERVICES / "leaky.c"], check=True)
    shutil.copy(SERVICES / "service.py", tmp_path)
    service = Service(sys.executable, tmp_path / "service.py", cwd=tmp_path)
    started.append(service)
    output = tmp_path / "report.json"
    tracer = memtrace.Memtrace(service.pid, output, "--leaks", "-i")
    tracer.attached()
    service.serve()
    report = tracer.detach()
    first = report["contexts"][0]
    assert "serve" in [frame["function"] for frame in first["stack"]] and near(first["lost_blocks"], 40), first
    kept = next(c for c in report["contexts"] if c["held_blocks"] == 40 and c["in_use_bytes"] >= 40 * 3000)
    assert kept["held_by"], kept


# Loses 100 blocks of 8 bytes each time; with an argument libc's own malloc has a block, too.
EIGHT_BYTES = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
void *volatile kept;
int main(int argc, char **argv)
{
	void *libc = dlopen("libc.so.6", RTLD_LAZY);
	if (argc > 1)
		kept = ((void *(*)(size_t))dlsym(libc, "__libc_malloc"))(100000);
	for (int c = 'x'; c != EOF; c = getchar()) {
		for (int i = 0; i < 100; i++) {
			char *volatile p = calloc(1, 8);
			p = NULL;
		}
		puts(c == 'x' ? "READY" : "OK");
		fflush(stdout);
	}
	return 0;
}
"""


@pytest.mark.parametrize("libc", [False, True])
@pytest.mark.parametrize("name", ["libtcmalloc_minimal.so.4", "libmimalloc.so.2"])
def test_blocks_of_allocators_that_are_not_known(name, libc, tmp_path, started):
    """What memtrace saw of them is looked at, beside what libc has, and it is said that there is more."""
    libraries = list(pathlib.Path("/usr/lib").glob(f"*/{name}"))
    if not libraries:
        pytest.skip(f"no {name}")
    program = built(tmp_path, EIGHT_BYTES)
    service = Service(program, *["libc"] * libc, env={"LD_PRELOAD": libraries[0]})
    tracer = memtrace.Memtrace(service.pid, tmp_path / "report", "--no-symbols").attached()
    started.extend([service, tracer])
    service.send("")
    service.wait_line("^OK$")
    for command in "leaks", "heap", "status":
        tracer.send(command)
    tracer.wait_line("^HEAP SUMMARY")
    text = " ".join(" ".join(tracer.out).split())
    tracer.detach()
    assert re.search(r"(99|100) blocks \((792|800) bytes\) are lost", text), text
    assert "musl" not in text and "PINNED" not in text and "pinned" not in text, text
    own = rf"/{name}\S* has a malloc of its own: of its blocks those alone are known that were allocated while memtrace"
    none = rf"(read|nothing else is known): \S*/{name}\S* has an allocator that is not known, or that has given out no block yet\."
    assert len(re.findall(own, text)) == 2 * libc and len(re.findall(none, text)) == 2 * (not libc), text
    assert ("100 blocks (800 bytes) of an allocator that is not known were seen to be allocated." in text) == libc
    assert ("Only blocks that were allocated while memtrace watched are known." in text) == (not libc)


@pytest.mark.parametrize("name", ["libtcmalloc_minimal.so.4", "libmimalloc.so.2"])
def test_allocators_that_are_not_known(name, tmp_path, started):
    """Named by its file, not libc's; what memtrace sees allocated is looked at nevertheless."""
    libraries = list(pathlib.Path("/usr/lib").glob(f"*/{name}"))
    if not libraries:
        pytest.skip(f"no {name}")
    started.append(Service(built(tmp_path, EVENT_LOOP), env={"LD_PRELOAD": libraries[0]}))
    words = refused(started[0].pid)
    assert re.search(rf"the heap could not be read: \S*/{name}\S* has an allocator that is not known", words), words
    tracer = memtrace.Process([memtrace.MEMTRACE, "-q", "--no-symbols", "--leaks", "-i", "-p", started[0].pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("peak:")
    started[0].serve()
    tracer.send("quit")
    assert tracer.wait() == 0, tracer.story()
    text = " ".join("\n".join(tracer.out).split())
    assert re.search(r"(9[89]|100) blocks \(\d+ bytes\) are lost", text), text
    assert "Only blocks that were allocated while memtrace watched are known." in text, text


HEALTHY_PROGRAMS = {
    "redis-server": lambda tmp: ["redis-server", "--port", "0", "--unixsocket", tmp / "redis", "--save", ""],
    "nginx": lambda tmp: ["nginx", "-e", "/dev/null", "-c", written(
        tmp / "conf", f"daemon off; master_process off; pid {tmp}/pid; events {{}}\n"
                      f"http {{ access_log off; server {{ listen unix:{tmp}/nginx; }} }}\n")],
    "dnsmasq": lambda tmp: ["dnsmasq", "--no-daemon", "-p", "0", "--no-resolv", "--no-hosts", "-C", "/dev/null", f"--pid-file={tmp}/pid"],
    "sqlite3": lambda tmp: ["sqlite3", ":memory:"],
    "gdb": lambda tmp: ["gdb", "-q", "-nx", sys.executable],
    "cc1": lambda tmp: [subprocess.check_output(["gcc", "-print-prog-name=cc1"], text=True).strip(), "-quiet", "-O2", "-o", "/dev/null"],
    "python3": lambda tmp: ["/usr/bin/python3", "-i", "-c", "import json, re; kept = [str(i) * 40 for i in range(10000)]"],
}


@pytest.mark.parametrize("name", HEALTHY_PROGRAMS)
def test_healthy_programs_lose_nothing(name, tmp_path, started):
    """Whatever their allocators; and each of those can be read."""
    command = HEALTHY_PROGRAMS[name](tmp_path)
    if not shutil.which(command[0], path="/usr/bin:/usr/sbin"):
        pytest.skip(f"{name} is not installed")
    process = memtrace.Process(command, env={"PATH": "/usr/bin:/usr/sbin"})
    started.append(process)
    if name == "sqlite3":
        process.send("create table t(a); insert into t values (1); select 'ready';")
        process.wait_line("ready")
    elif name == "cc1":  # it compiles what it is given as soon as a buffer is full
        process.send("\n".join(f"int f{i}(int a, int *b) {{ int s = 0; for (int i = 0; i < a; i++) s += b[i] * {i}; return s; }}"
                               for i in range(300)))
    if name != "sqlite3":
        wait_until_it_rests(process.pid)
    found = look(process.pid)
    assert found["lost"]["blocks"] + found["lost_through"]["blocks"] == 0, found["blocks"][:5]
    assert found["held"]["blocks"] > 50 and all(a["read"] for a in found["allocators"]), found["allocators"]


def wait_until_it_rests(pid):
    """In one system call of those in which servers wait, and nowhere else twenty times in a row."""
    waits = {"0", "7", "232", "271", "281", "23", "270", "130"}  # read, poll, epoll_wait, ppoll, ...
    rested = 0
    while rested < 20:
        words = pathlib.Path(f"/proc/{pid}/syscall").read_text().split()
        rested = rested + 1 if words[0] in waits else 0
        time.sleep(0.01)
