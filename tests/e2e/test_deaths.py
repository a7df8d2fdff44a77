"""A target that dies of its own accord dies as without us: the same signal, the same core
dump; and the report reaches to its last allocation."""
import os
import pathlib
import re
import resource
import signal
import struct
import subprocess

import pytest

import memtrace

DIES = memtrace.TARGETS / "dies"
DEATHS = ["segv", "thread", "overflow", "bus", "trap", "abort", "heap", "malloc", "handler", "exit",
          *(str(int(n)) for n in (signal.SIGTERM, signal.SIGKILL, signal.SIGQUIT, signal.SIGALRM,
                                  signal.SIGSYS, signal.SIGTRAP, signal.SIGXCPU))]


def allow_cores():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.fixture
def dies(started, tmp_path):
    """dies(*args): stands at READY, in a directory of its own."""
    def start(*args, command=()):
        directory = tmp_path / f"{len(started)}"
        directory.mkdir()
        process = memtrace.Target("dies", *args, command=command, cwd=directory, preexec_fn=allow_cores)
        process.directory = directory
        started.append(process)
        return process.ready()

    return start


def end_of(process):
    """(CLD_EXITED, CLD_KILLED or CLD_DUMPED; status or signal)"""
    process.go_on()
    info = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    process.wait()
    return info.si_code, info.si_status


def test_an_exec_overtakes_a_fault(target, attach):
    """The thread that was to end the process is gone, and another program has begun."""
    for _ in range(12):
        process = target("execs", "fault")
        tracer = attach(process.pid, "--no-symbols")
        process.send("\n")  # one line to go on, and one for the second program, if there is one
        status = process.wait()
        assert status in (0, 1, -signal.SIGSEGV)
        assert tracer.wait() == 0


@pytest.mark.parametrize("how", DEATHS)
def test_as_without_us(dies, attach, how):
    before = end_of(dies(how))
    process = dies(how)
    tracer = attach(process.pid, "--no-symbols")
    assert end_of(process) == before
    assert before == (os.CLD_EXITED, 7) or before[0] in (os.CLD_KILLED, os.CLD_DUMPED)
    assert tracer.wait() == 0
    tally = memtrace.parse_result(process.out)
    summary = tracer.report().consistent()["summary"]
    # The last moment's own: the heap that is damaged, a handler's block, a thread's DTV.
    allocs, size = {"malloc": (1, 2000), "handler": (1, 77)}.get(how, (0, 0))
    assert summary["allocs"] == tally["allocs"] + allocs + (how == "thread")
    if how != "thread":
        assert summary["allocated_bytes"] == tally["allocated_bytes"] + size


def test_to_the_last_allocation(dies, attach, tmp_path):
    """Threads allocate until they are killed: every call that returned is in the report."""
    file = tmp_path / "counts"
    file.write_bytes(bytes(16))
    process = dies("busy", file, "segv")
    tracer = attach(process.pid)
    assert end_of(process)[1] == signal.SIGSEGV
    tracer.wait()
    begun, ended = struct.unpack("<QQ", file.read_bytes())
    assert ended <= tracer.report().consistent().through("busy")["allocs"] <= begun


# ---- core dumps ------------------------------------------------------------------

@pytest.fixture
def dies_there(dies):
    """The same, at the same addresses every time."""
    fixed = ["setarch", "-R"]
    if subprocess.run([*fixed, "true"], capture_output=True).returncode:
        pytest.skip("addresses can't be fixed here: setarch -R is not permitted")
    return lambda *args: dies(*args, command=fixed)


LOOK = ["info threads", "thread apply all backtrace", "info registers", "x/12i malloc", "x/12i free",
        "print $_siginfo.si_signo", "print $_siginfo._sifields._sigfault.si_addr"]


def look(process):
    """What a debugger says of the core dump, but for numbers that are new with each process."""
    cores = list(process.directory.glob("core*"))
    if not cores:
        pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
        pytest.skip(f"this system puts core dumps elsewhere: {pattern}")
    run = subprocess.run(["gdb", "-nx", "-batch", *(f"-ex={command}" for command in LOOK), DIES, cores[0]],
                         capture_output=True, text=True, timeout=60, env={**os.environ, "DEBUGINFOD_URLS": ""})
    text = re.sub(r"LWP \d+", "LWP", run.stdout)
    for tid in set(re.findall(r"LWP (\d+)", run.stdout)):
        text = re.sub(rf" *\b(0x{int(tid):x}|{tid})\b", " TID", text)  # (gdb pads what is short)
    return text


@pytest.mark.parametrize("how", ["segv", "thread", "bus", "abort", "heap", "handler", "3"])
def test_core_dump(dies_there, attach, how):
    process = dies_there(how)
    end_of(process)
    before = look(process)
    assert "main (" in before
    process = dies_there(how)
    tracer = attach(process.pid, "--no-symbols")
    end_of(process)
    tracer.wait()
    assert look(process) == before


def test_core_dump_within_malloc(dies_there, attach):
    """Words of ours lie on the stack there, which a debugger shows as unknown frames."""
    def functions(text):
        frames = re.findall(r"^#\d+ .*$", text, re.M)
        return [re.search(r"(?:in )?(\S+) \(", frame)[1] for frame in frames if " ?? " not in frame]

    process = dies_there("malloc")
    end_of(process)
    before = functions(look(process))
    assert before[-3:] == ["__GI___libc_malloc", "die", "main"]
    process = dies_there("malloc")
    tracer = attach(process.pid, "--no-symbols")
    end_of(process)
    tracer.wait()
    assert functions(look(process)) == before


# ---- the first process of a pid namespace -------------------------------------------

@pytest.mark.parametrize("how", ["segv", "abort"])
def test_the_first_process_of_a_namespace(started, attach, how):
    """Traced, the kernel would not let it die of its own fault."""
    user = ["--user", "--map-root-user"] if os.geteuid() else []
    process = memtrace.Target("dies", how, command=["unshare", *user, "--pid", "--fork", "--kill-child"])
    started.append(process)
    process.ready()
    pid, = memtrace.descendants(process.pid)
    tracer = attach(pid, "--no-symbols")
    process.go_on()
    assert process.wait() == -signal.SIGSEGV
    tracer.wait()
    assert any("let go" in line for line in tracer.err), tracer.story()
    assert tracer.report().consistent()["summary"]["allocs"] == memtrace.parse_result(process.out)["allocs"]


@pytest.mark.limit(180)
def test_exec_of_one_of_a_crowd(target, started, tmp_path):
    """The exec waits for threads that memtrace has seized already, and PTRACE_SEIZE of the
    others for the exec: neither may wait for ever."""
    process = target("execs", "crowd", "150")
    process.go_on()
    while "DONE" not in process.out:
        tracer = memtrace.Process([memtrace.MEMTRACE, "-q", "--no-symbols", "-b", "-d", "10ms",
                                   "-p", process.pid])
        started.append(tracer)
        tracer.wait(20 * memtrace.SLOWNESS)
    memtrace.untouched(process.pid)
    process.go_on()
    process.result()


@pytest.mark.limit(120)
def test_exec_while_something_is_pending(follow):
    """What was to be done for the program that was is not done to the one that is."""
    result, report = follow("execs", "pending", "60")
    assert report.through("second_alloc")["allocs"] == result["allocs"] == 50
    assert report["summary"]["lost_events"] == 0


@pytest.mark.parametrize("read", [20, 21, 22, 23])
def test_killed_at_a_trap(target, started, tmp_path, read):
    """Its memory is gone when the trap is looked at: nothing is lost, the program is dead."""
    process = target("storm", "-t", "2")
    env = dict(os.environ, LD_PRELOAD=str(memtrace.TARGETS / "dying_preload.so"), DIES=str(process.pid),
               DIES_AT=str(read))
    tracer = memtrace.Memtrace(process.pid, tmp_path / "report", "--no-symbols", env=env)
    started.append(tracer)
    assert process.wait() == -signal.SIGKILL
    assert tracer.wait() == 0
    assert tracer.report().consistent()["summary"]["allocs"] > 0
