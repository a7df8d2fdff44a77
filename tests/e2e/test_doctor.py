"""--doctor: whether attaching would work, line by line; and that a refused attach gives
the reason that --doctor finds first."""
import ctypes
import mmap
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

import memtrace

NOBODY = 65534
LINE = re.compile(r"(ok|warn|FAIL)\s+(\S+)\s+(\S.*)")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


class Diagnosis:
    """What --doctor printed: lines[id] = [(verdict, text, remedy)]."""

    def __init__(self, result):
        self.status = result.returncode
        self.lines, last = {}, None
        assert result.stderr == "", result.stderr
        *body, self.summary = result.stdout.splitlines()
        for line in body:
            if line.startswith(" "):
                assert line.strip().startswith("-> ") and last
                last[2] = line.strip()[3:]
                continue
            match = LINE.fullmatch(line)
            assert match, line
            last = [match[1], match[3], ""]
            self.lines.setdefault(match[2], []).append(last)
        failed = [line for found in self.lines.values() for line in found if line[0] == "FAIL"]
        assert (self.status == 1) == bool(failed)
        self.reason = ": ".join(filter(None, failed[0][1:])) if failed else None

    def one(self, name):
        (line,) = self.lines[name]
        return tuple(line)


def run(*argv, program=memtrace.MEMTRACE, user=None, **popen):
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    return subprocess.run([*as_user, str(program), *map(str, argv)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, **popen)


def diagnose(*argv, **more):
    return Diagnosis(run("--doctor", *argv, **more))


def refused_alike(diagnosis, pid, **more):
    """An attach says the same, and no more."""
    result = run("-q", "-b", "-p", pid, **more)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"memtrace: {diagnosis.reason}\n"


def loaded(process):
    """Its pid, once it waits for its input: before, libc may not be mapped yet."""
    while not pathlib.Path(f"/proc/{process.pid}/syscall").read_text().startswith("0 0x0 "):
        assert process.alive()
    return process.pid


@pytest.fixture
def sleeper(started):
    started.append(memtrace.Process(["cat"]))
    return loaded(started[-1])


@pytest.fixture
def installed():
    """The programs, where every user may run them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name in ("memtrace", "memtrace-fs"):
            shutil.copy(memtrace.BUILD / name, folder)
        yield pathlib.Path(folder) / "memtrace"


@pytest.fixture
def forked():
    """forked(prepare): a child of this process that waits, after prepare()."""
    pids = []

    def start(prepare):
        ready, say = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                prepare()
                os.write(say, b"!")
                while True:
                    signal.pause()
            finally:
                os._exit(1)
        pids.append(pid)
        os.close(say)
        assert os.read(ready, 1) == b"!"
        os.close(ready)
        return pid

    yield start
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def compiled(tmp_path, source, *flags):
    program = tmp_path / "program"
    result = subprocess.run(["cc", "-O1", "-o", program, "-x", "c", "-", *flags], input=source,
                            text=True, capture_output=True)
    if result.returncode:
        pytest.skip(f"this compiler can't: {result.stderr[-200:]}")
    return program


# ---- where attaching works -----------------------------------------------------------


def test_in_general():
    found = diagnose()
    if os.geteuid() == 0:
        assert found.summary == "memtrace can attach to running processes"
    assert found.one("user")[1] == f"you are uid {os.getuid()}"
    assert found.one("ptrace")[:2] == ("ok", "memtrace may call ptrace()")
    assert found.one("memtrace-fs")[0] == "ok"
    assert "process" not in found.lines and "allocator" not in found.lines


def test_ones_own_process(sleeper):
    before = memtrace.fingerprint(sleeper)
    found = diagnose("-p", sleeper)
    assert found.status == 0
    assert found.summary == f"memtrace can attach to pid {sleeper}"
    assert found.one("process")[1] == f"pid {sleeper} (cat) is sleeping, 1 thread"
    verdict, text, _ = found.one("allocator")
    assert verdict == "ok" and re.fullmatch(r"malloc and \d+ other functions in \S+", text)
    assert found.one("unwind")[:2] == ("ok", found.one("unwind")[1])
    assert found.one("engine")[1] == "agent, in the process: calls that are known don't stop"
    assert {line[0] for lines in found.lines.values() for line in lines} == {"ok"}
    assert memtrace.fingerprint(sleeper) == before
    assert memtrace.traces(sleeper) == []


def test_names_command_no_terminal(tmp_path, started):
    """Of a program and of a file that it has mapped."""
    title = "\x1b]0;title\x07"
    source = """
        #include <fcntl.h>
        #include <sys/mman.h>
        #include <unistd.h>
        int main(int argc, char **argv)
        {
            char c;

            mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, open(argv[argc - 1], O_RDONLY), 0);
            return (int)read(0, &c, 1);
        }
        """
    program = compiled(tmp_path, source).rename(tmp_path / title)
    broken = tmp_path / (title + ".so")
    head = bytearray(program.read_bytes()[:4096])
    head[32:40] = (1 << 60).to_bytes(8, "little")  # e_phoff
    broken.write_bytes(head)
    started.append(memtrace.Process([program, broken]))
    pid = loaded(started[-1])
    found = diagnose("-p", pid)
    assert found.status == 0
    shown = r"\x1b]0;title\x07"
    assert found.one("process")[1] == f"pid {pid} ({shown}) is sleeping, 1 thread"
    verdict, text, _ = found.one("module")
    assert verdict == "warn" and text.startswith(f"{tmp_path}/{shown}.so: ")
    for line in sum(found.lines.values(), []):
        assert title[0] not in "".join(line)


def test_several_threads_and_no_symbols(target):
    process = target("threads", 4, 100)
    found = diagnose("--no-symbols", "-p", process.pid)
    count = len(os.listdir(f"/proc/{process.pid}/task"))
    assert count > 1 and f"{count} threads" in found.one("process")[1]
    assert "memtrace-fs" not in found.lines


def test_contradictions():
    for argv, why in ((["--doctor", "ls"], "--doctor and a PROGRAM"),
                      (["--doctor", "--selftest"], "--doctor and --selftest")):
        result = run(*argv)
        assert result.returncode == 1 and result.stdout == ""
        assert result.stderr.startswith(f"memtrace: {why} contradict each other")


# ---- what is no process to attach to -----------------------------------------------------


def test_no_such_process():
    found = diagnose("-p", 4194304)
    assert found.one("process") == ("FAIL", "no process with pid 4194304", "see ps -e")
    refused_alike(found, 4194304)


def test_zombie():
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    found = diagnose("-p", child.pid)
    assert found.one("process") == ("FAIL", f"pid {child.pid} (true) is a zombie",
                                    "it has ended, only its parent has not noticed")
    assert found.summary == f"memtrace cannot attach to pid {child.pid}"
    refused_alike(found, child.pid)
    child.wait()


def test_kernel_thread():
    name = pathlib.Path("/proc/2/comm")
    if not name.exists() or name.read_text() != "kthreadd\n":
        pytest.skip("no kernel thread to be seen in this container")
    found = diagnose("-p", 2)
    assert found.one("process")[:2] == (
        "FAIL", "pid 2 (kthreadd) is a kernel thread: it has no heap of its own")
    refused_alike(found, 2)


def test_thread(target):
    process = target("threads", 4, 100)
    tid = max(map(int, os.listdir(f"/proc/{process.pid}/task")))
    found = diagnose("-p", tid)
    assert found.one("process") == ("FAIL", f"{tid} is a thread of process {process.pid}",
                                    f"use -p {process.pid}")
    refused_alike(found, tid)


def test_another_tracer(sleeper, attach):
    tracer = attach(sleeper)
    found = diagnose("-p", sleeper)
    assert found.one("tracer") == (
        "FAIL", f"pid {sleeper} is being traced by pid {tracer.pid} (memtrace)",
        f"end that first (kill {tracer.pid})")
    refused_alike(found, sleeper)
    tracer.detach()
    assert diagnose("-p", sleeper).status == 0


def test_word_size(tmp_path, started):
    program = compiled(tmp_path, """
        void _start(void) { for (;;) __asm__ volatile("int $0x80" : : "a"(29) : "memory"); }
        """, "-m32", "-static", "-nostdlib")
    try:
        started.append(memtrace.Process([program]))
    except OSError:
        pytest.skip("this kernel runs no 32-bit programs")
    pid = started[-1].pid
    found = diagnose("-p", pid)
    assert found.one("word_size") == (
        "FAIL", f"pid {pid} is a 32-bit process; this memtrace traces 64-bit ones (x86_64)",
        "use a memtrace built for it")
    refused_alike(found, pid)


# ---- what we may not -----------------------------------------------------------------------


@root_only
def test_another_user(installed, sleeper):
    found = diagnose("-p", sleeper, program=installed, user=NOBODY)
    assert found.one("user") == (
        "FAIL", f"pid {sleeper} belongs to another user (uid 0, you are {NOBODY})",
        f"run memtrace as that user, or sudo memtrace -p {sleeper}")
    assert found.one("kernel")[0] == "FAIL" and "see above" in found.one("kernel")[1]
    assert "allocator" not in found.lines
    refused_alike(found, sleeper, program=installed, user=NOBODY)


@root_only
def test_a_user_of_no_privilege(installed, started):
    started.append(memtrace.Process(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "cat"]))
    pid = loaded(started[-1])
    found = diagnose("-p", pid, program=installed, user=NOBODY)
    scope = pathlib.Path("/proc/sys/kernel/yama/ptrace_scope")
    if not scope.exists() or scope.read_text() == "0\n":
        assert found.status == 0 and found.one("kernel")[0] == "ok"
    else:
        assert found.one("ptrace_scope")[0] == "FAIL"
        refused_alike(found, pid, program=installed, user=NOBODY)
    assert found.one("user")[1] == f"it belongs to you (uid {NOBODY})"
    # root may in any case, and says whose it is
    found = diagnose("-p", pid)
    assert found.status == 0
    assert found.one("user")[:2] == ("ok", f"pid {pid} belongs to another user (uid {NOBODY}, you are 0)")


@root_only
def test_undumpable(installed, forked):
    def prepare():
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setgroups([])
        os.setresuid(NOBODY, NOBODY, NOBODY)
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE

    pid = forked(prepare)
    found = diagnose("-p", pid, program=installed, user=NOBODY)
    assert found.one("dumpable") == (
        "FAIL", f"pid {pid} does not let itself be inspected (PR_SET_DUMPABLE 0, or a program "
        "that you may run and not read)", f"sudo memtrace -p {pid}")
    refused_alike(found, pid, program=installed, user=NOBODY)
    assert diagnose("-p", pid).status == 0


@root_only
def test_capabilities(installed, started):
    """Its ids are ours, but it may do more than we."""
    if not shutil.which("setpriv"):
        pytest.skip("no setpriv")
    started.append(memtrace.Process(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
         "--inh-caps=+net_raw", "--ambient-caps=+net_raw", "cat"]))
    pid = loaded(started[-1])
    found = diagnose("-p", pid, program=installed, user=NOBODY)
    assert found.one("capabilities") == (
        "FAIL", f"pid {pid} has capabilities that you lack (0x2000)", f"sudo memtrace -p {pid}")
    refused_alike(found, pid, program=installed, user=NOBODY)


# ---- what it would see ------------------------------------------------------------------


def test_seccomp_filter(forked):
    class Filter(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("program", ctypes.c_void_p)]

    allow_all = ctypes.create_string_buffer(
        (0x06).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little"), 8)
    fprog = Filter(1, ctypes.cast(allow_all, ctypes.c_void_p))

    def prepare():
        libc = ctypes.CDLL(None)
        assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
        assert libc.prctl(22, 2, ctypes.byref(fprog), 0, 0) == 0  # PR_SET_SECCOMP

    found = diagnose("-p", forked(prepare))
    assert found.status == 0
    assert "1 of its threads have a seccomp filter" in found.one("seccomp")[1]


def test_no_allocator(tmp_path, started):
    program = compiled(tmp_path, """
        void _start(void) { for (;;) __asm__ volatile("syscall" : : "a"(34) : "rcx", "r11"); }
        """, "-static", "-nostdlib", "-s")
    started.append(memtrace.Process([program]))
    pid = started[-1].pid
    found = diagnose("-p", pid)
    assert found.status == 1
    assert found.one("allocator") == (
        "FAIL", f"no allocator found in pid {pid}: no module has a symbol malloc that can be "
        "followed", "a static program must not be stripped, or --debug-dir=DIR or a memtrace-fs must "
        "have its unstripped file")


def test_no_unwind_data(tmp_path, started):
    program = compiled(tmp_path, """
        int pause(void); void *malloc(unsigned long);
        void _start(void) { malloc(1); for (;;) pause(); }
        """, "-nostartfiles", "-fno-asynchronous-unwind-tables", "-Wl,--no-ld-generated-unwind-info")
    started.append(memtrace.Process([program]))
    pid = started[-1].pid
    while not pathlib.Path(f"/proc/{pid}/syscall").read_text().startswith("34 "):
        pass  # pause()
    found = diagnose("-p", pid)
    assert found.status == 0
    assert found.one("unwind") == (
        "warn", "no unwind data in program: call stacks are guessed or end there",
        "compile with -fasynchronous-unwind-tables")


def test_broken_module(tmp_path, forked):
    """A file that lies about itself is a remark about that file."""
    broken = tmp_path / "broken.so"
    head = bytearray(pathlib.Path("/proc/self/exe").read_bytes()[:8192])
    head[32:40] = (1 << 60).to_bytes(8, "little")  # e_phoff
    broken.write_bytes(head)

    def prepare():
        with open(broken, "rb") as file:
            prepare.map = mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)

    found = diagnose("-p", forked(prepare))
    assert found.status == 0
    verdict, text, _ = found.one("module")
    assert verdict == "warn" and text.startswith(f"{broken}: ")


def test_no_memtrace_fs(installed, sleeper):
    (installed.parent / "memtrace-fs").unlink()
    found = diagnose("-p", sleeper, program=installed, env={"PATH": "/nonexistent"})
    assert found.status == 0
    verdict, text, remedy = found.one("memtrace-fs")
    assert verdict == "warn" and text.endswith("names are those of dynamic symbols only")
    assert remedy == "put memtrace-fs beside memtrace, or into a folder of PATH"


def test_the_first_thread_is_gone(target):
    process = target("leader")
    process.go_on()
    process.done()
    found = diagnose("-p", process.pid)
    assert found.status == 0
    assert "going on without its main thread" in found.one("process")[1]
    assert found.one("allocator")[0] == "ok"
    process.go_on()
    process.result()


# ---- the kernel's configuration, by behaviour ----------------------------------------------

# Numbers of x86-64's system calls, and what CONFIG_* has them.
CONFIGS = {"CONFIG_SIGNALFD": 289, "CONFIG_EVENTFD": 290, "CONFIG_TIMERFD": 283, "CONFIG_POSIX_TIMERS": 222, "CONFIG_KCMP": 312}


def without(*numbers):
    """For preexec_fn: as on a kernel that was built without these system calls, ENOSYS is all they say."""
    def instruction(code, true, false, k):
        return code.to_bytes(2, "little") + bytes([true, false]) + k.to_bytes(4, "little")
    program = instruction(0x20, 0, 0, 0)  # the system call's number
    for number in numbers:
        program += instruction(0x15, 0, 1, number) + instruction(0x06, 0, 0, 0x00050000 | 38)
    program += instruction(0x06, 0, 0, 0x7FFF0000)
    libc = ctypes.CDLL(None, use_errno=True)
    text = ctypes.create_string_buffer(program, len(program))

    class Filter(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("program", ctypes.c_void_p)]

    def install():
        whole = Filter(len(program) // 8, ctypes.addressof(text))
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(whole), 0, 0) == 0
    return install


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64's system calls")
def test_configuration():
    assert diagnose().one("config")[0] == "ok"
    for names in (["CONFIG_KCMP"], ["CONFIG_POSIX_TIMERS", "CONFIG_TIMERFD"], ["CONFIG_SIGNALFD"], ["CONFIG_EVENTFD"]):
        found = diagnose("--no-symbols", preexec_fn=without(*(CONFIGS[name] for name in names))).lines["config"]
        assert {re.match(r"the kernel is without (\w+): ", text)[1] for _, text, _ in found} == set(names)
        needed = bool({"CONFIG_SIGNALFD", "CONFIG_EVENTFD"} & set(names))
        assert {verdict for verdict, _, _ in found} == {"FAIL" if needed else "warn"}
