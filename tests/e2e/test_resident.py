"""The agent in the process: how it gets there, and that nothing of it stays, whatever happens to us."""
import os
import pathlib
import re
import resource
import subprocess

import pytest

import memtrace
from test_kills import QUIET, must_live, random_kills, steps_of

SOURCES = pathlib.Path(__file__).parent.parent / "targets"
AGENT = "--engine=agent"
NAME = "/memfd:memtrace-agent"


def mappings(pid):
    """Without what may grow by itself."""
    return [(*m[:3], m[5]) for m in memtrace._mappings(pid) if m[5] not in ("[stack]", "[heap]")]


def descriptors(pid):
    return sorted((int(fd), os.readlink(f"/proc/{pid}/fd/{fd}")) for fd in os.listdir(f"/proc/{pid}/fd"))


def whole(pid):
    return mappings(pid), descriptors(pid), memtrace.fingerprint(pid)


def memory_of(pid):
    return [m for m in mappings(pid) if m[3].startswith(NAME)]


def end(process):
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def test_nothing_stays(target, attach):
    process = target("threads", "8", "20000")
    before = whole(process.pid)
    for _ in range(25):
        tracer = attach(process.pid, "--no-symbols", AGENT)
        tracer.status()
        assert len(mappings(process.pid)) == len(before[0]) + 4
        assert [m[2] for m in memory_of(process.pid)] == ["r--s", "rw-s"]
        assert descriptors(process.pid) == before[1]
        tracer.detach()
        assert whole(process.pid) == before
    end(process)


@pytest.mark.parametrize("engine", ["auto", "trap"])
def test_who_has_such_memory_and_no_agent(target, attach, engine):
    """A memtrace that is watched, and a process whose agent's code is gone: nothing of theirs is touched."""
    process = target("watching")
    tracer = attach(process.pid, "--no-symbols", f"--engine={engine}")
    process.go_on()
    process.done()
    tracer.detach()
    process.go_on()
    process.result()


@pytest.mark.limit(120)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_killed_at_each_step(target, attach, guardian):
    process = target("threads", "2", "100")
    before = whole(process.pid)
    made, how = steps_of(process, "all", options=[AGENT])
    assert how == "ended"
    left = 0
    for step in range(guardian, made, 2):
        steps_of(process, str(step), *(["-g"] if guardian else []), options=[AGENT])
        must_live(process)
        if guardian:
            left += bool(memory_of(process.pid))
        else:
            assert whole(process.pid) == before, step
    assert not guardian or left > made // 16
    attach(process.pid, "--no-symbols", AGENT).detach()  # which says if it can't
    assert whole(process.pid) == before
    end(process)


def refused(process, *options):
    """Nobody may be made to have it: the reason, and that nothing was changed."""
    before = whole(process.pid)
    run = memtrace.Process([memtrace.MEMTRACE, *QUIET, "-b", "-x", "status", *options, AGENT, "-p", process.pid])
    assert run.wait() == 1, run.story()
    assert whole(process.pid) == before
    reason, = [line for line in run.err if "no agent in pid" in line]
    return reason


def test_a_limited_address_space(target, attach):
    process = target("threads", "2", "100")
    resource.prlimit(process.pid, resource.RLIMIT_AS, (200 << 20, resource.RLIM_INFINITY))
    assert "RLIMIT_AS" in refused(process)
    said = subprocess.run([memtrace.MEMTRACE, "--doctor", "-p", str(process.pid)], capture_output=True, text=True, check=True)
    assert "trap, every call stops: no agent, as the address space of the process has a limit (RLIMIT_AS)" in said.stdout
    tracer = attach(process.pid, "--no-symbols")
    tracer.status()
    report = tracer.detach()
    assert any("every call stops" in line and "RLIMIT_AS" in line for line in tracer.err), tracer.story()
    assert any("engine trap" in line and "RLIMIT_AS" in line for line in tracer.out), tracer.story()
    assert report["engine"] == "trap" and "RLIMIT_AS" in report["engine_reason"]
    end(process)


def test_no_descriptor_is_free(target):
    process = target("threads", "2", "100")
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, 1024))
    assert "Too many open files" in refused(process)
    end(process)


def built(tmp_path, code):
    program = tmp_path / "program"
    subprocess.run(["cc", "-O2", "-g", "-D_GNU_SOURCE", "-pthread", "-I", SOURCES, "-o", program, "-xc", "-"],
                   check=True, text=True, input=code)
    return program


def test_memory_that_is_locked(tmp_path, target):
    """mlockall(MCL_FUTURE): all of ours would be brought at once."""
    process = target(built(tmp_path, r"""
#include <sys/mman.h>
#include "target.h"
int main(void)
{
	if (mlockall(MCL_FUTURE))
		return 1;
	target_ready();
	return target_result(NULL);
}
"""))
    assert "mlockall" in refused(process)
    process.go_on()
    process.result()


@pytest.mark.parametrize("engine", ["agent", "trap"])
def test_said_in_text(target, attach, engine):
    """By whom was counted; a peak between two sums nobody has seen."""
    process = target("threads", "2", "100")
    tracer = attach(process.pid, "--no-symbols", f"--engine={engine}")
    process.go_on()
    process.done()
    tracer.status()
    report = tracer.detach()
    said = "\n".join(tracer.out)
    assert report["engine"] == engine and report["summary"]["peak_bytes"] > 0
    if engine == "agent":
        assert "    peak: at least " in said
        assert f"    counted in the process, by an agent; stopped: {report['stopped_calls']} call" in said
    else:
        assert "    peak: at least" not in said and "by an agent" not in said and "    peak: " in said
    process.go_on()
    process.result()


def resident(pid, name=None):
    """KiB; of the mappings of that name alone."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    return sum(int(size) for path, size in re.findall(r"^[0-9a-f]+-\S+ \S+ \S+ \S+ \S+ *(.*)\n(?:\w+: .*\n)*?Rss: +(\d+) kB", text, re.M)
               if name is None or path.startswith(name))


def test_its_memory_is_not_the_programs(tmp_path, target, attach):
    process = target(built(tmp_path, r"""
#include "target.h"
int main(void)
{
	target_ready();
	for (int i = 0; i < 300000; i++)
		target_kept[0] = memset(got(malloc(40), 40), 1, 40);
	target_done();
	return target_result(NULL);
}
"""))
    tracer = attach(process.pid, "--no-symbols")
    process.go_on()
    process.done()
    tracer.status()
    tracer.send("report -n 1")
    found = tracer.wait_line(r"RSS ([\d.]+) MiB at the start, ([\d.]+) MiB now")
    agents, all_of_it = resident(process.pid, NAME), resident(process.pid)
    tracer.detach()
    assert agents > 4 << 10 and abs(all_of_it - agents - resident(process.pid)) < 1 << 10
    assert abs(float(found[2]) - resident(process.pid) / 1024) < 1
    process.go_on()
    process.result()


def test_threads_that_are_there_have_not_to_stop_first(tmp_path, target, attach):
    """At an attach all are known at once: reading 600 mappings for each of them took seconds of 2000."""
    process = target(built(tmp_path, r"""
#include <pthread.h>
#include "target.h"
static pthread_barrier_t begin, end;
static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER;
static void *run(void *arg)
{
	pthread_barrier_wait(&begin);
	pthread_mutex_lock(&one_by_one);
	for (int i = 0; i < 20; i++)
		drop(got(malloc(40), 40), 40);
	pthread_mutex_unlock(&one_by_one);
	pthread_barrier_wait(&end);
	return arg;
}
int main(void)
{
	pthread_t thread;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	pthread_barrier_init(&begin, NULL, 301);
	pthread_barrier_init(&end, NULL, 301);
	for (int i = 0; i < 300; i++)
		if (pthread_create(&thread, &small, run, NULL))
			return 1;
	target_ready();
	pthread_barrier_wait(&begin);
	pthread_barrier_wait(&end);
	target_done();
	return target_result(NULL);
}
"""))
    tracer = attach(process.pid, "--no-symbols", AGENT)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    assert report["summary"]["allocs"] == report["summary"]["frees"] == 6000
    assert report["stopped_calls"] < 450  # one each; two without that
    process.go_on()
    process.result()


def test_its_size_is_nobodys_to_change(target, attach):
    """Who maps a file that somebody cuts off dies: the program can't do that to us."""
    process = target("threads", "2", "100")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    begin, *_ = memory_of(process.pid)[0]
    path = next(f"/proc/{process.pid}/map_files/{name}" for name in os.listdir(f"/proc/{process.pid}/map_files")
                if name.startswith(f"{begin:x}-"))
    with open(path, "r+b") as file:
        for size in 0, 1 << 40:
            with pytest.raises(PermissionError):
                os.ftruncate(file.fileno(), size)
    tracer.status()
    tracer.detach().consistent()
    end(process)


@pytest.mark.parametrize("call", ["mmap", "madvise", "memfd_create", "close", "munmap"])
def test_a_filter_that_forbids_one_of_the_calls(tmp_path, target, call):
    """The last, too, is looked at before the first is made."""
    process = target(built(tmp_path, r"""
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "filter.h"
int main(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_CALL, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {4, code};
	free(malloc(100));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 1;
	target_ready();
	return target_result(NULL);
}
""".replace("SYS_CALL", f"SYS_{call}")))
    assert "filter" in refused(process)
    process.go_on()
    process.result()


def test_a_fork_child_has_it_off(target, attach):
    """It lives on; a memtrace that comes to it later takes what is there away."""
    process = target("children", "stay")
    before = mappings(process.pid)
    tracer = attach(process.pid, "--no-symbols", AGENT)
    process.go_on()
    child = int(process.wait_line(r"^CHILD (\d+)$")[1])
    memtrace.wait_until_untraced(child)
    code, control, *_ = [m for m in mappings(child) if m not in before]
    with open(f"/proc/{child}/mem", "rb", buffering=0) as mem:
        assert os.pread(mem.fileno(), 8, code[0]) == b"memagnt\x01"
        assert not any(os.pread(mem.fileno(), 4096, control[0]))
    tracer.detach()
    assert mappings(process.pid) == before
    attach(child, "--no-symbols", AGENT).detach()
    assert mappings(child) == before
    process.go_on()
    process.done()
    process.go_on()
    process.result()


@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_killed_in_a_storm(target, attach, guardian):
    """8 threads that allocate, and one that forks."""
    process = target("storm", "-t", "8", "-f", "-b")
    before = mappings(process.pid)
    random_kills(process, 10, os.getpid(), guardian, AGENT)
    for _ in range(10):
        tracer = attach(process.pid, "--no-symbols", "--engine=auto")
        tracer.detach().consistent()
        if not memory_of(process.pid):
            break
        # (a thread sleeps in a call, on a busy machine)
        assert re.search("stays? .*until a later memtrace takes", " ".join(tracer.err)), tracer.story()
    assert not memory_of(process.pid)
    assert {m for m in mappings(process.pid) if "x" in m[2]} == {m for m in before if "x" in m[2]}
    must_live(process)
    process.go_on()
    process.result()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="made for x86-64")
def test_a_thread_that_loses_its_thread_pointer(target, attach):
    """The agent reads where it points to: there the thread faults, sees nothing of that, and is counted."""
    process = target("pointerless", "200", env={**os.environ, "LD_PRELOAD": str(memtrace.TARGETS / "alloc_plain.so")})
    tracer = attach(process.pid, AGENT)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    assert report["engine"] == "agent"
    summary = report["summary"]
    assert (summary["allocs"], summary["frees"]) == (600, 600)
    assert 400 <= report["stopped_calls"] < 800  # those without one, and what was new
    process.go_on()
    assert process.result()["verdict"] == "ok"
