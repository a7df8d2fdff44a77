"""Whatever people run: however linked, whichever libc and allocator, wherever it lives."""
import ctypes
import os
import re
import shutil
import subprocess
import threading

import pytest

import memtrace
from test_entries import tally

LIBRARIES = "/usr/lib/x86_64-linux-gnu"


def built(name):
    if not (memtrace.TARGETS / name).exists():
        pytest.skip(f"{name} could not be built here")
    return name


@pytest.mark.parametrize("kind", ["static", "static-pie", "nopie", "stripped", "lld", "musl", "musl-static"])
def test_linked(follow, kind):
    """Attached to: the counts are the target's own."""
    result, report = follow(built(f"threads-{kind}"), "4", "500")
    assert report.counts() == tally(result)
    assert report["summary"]["in_use_bytes"] == 4 * 8 * 1000


@pytest.mark.parametrize("kind", ["static", "static-pie", "nopie", "stripped", "lld", "musl", "musl-static"])
def test_linked_and_launched(tmp_path, kind):
    status, out, report = memtrace.launch(tmp_path / "report", [memtrace.TARGETS / built(f"threads-{kind}"), "4", "500"])
    assert status == 0
    result = memtrace.parse_result(out)
    report.consistent()
    # beside it, what libc takes for threads
    assert result["allocs"] <= report["summary"]["allocs"] <= result["allocs"] + 20
    if kind != "stripped":
        sums = report.through("pool_alloc")
        assert sums["allocs"] == 4 * 500


def test_static_operators(follow):
    result, report = follow("operators-static", "5")
    assert report.counts() == tally(result)


@pytest.mark.parametrize("kind", ["static", "nopie", "musl", "musl-static"])
@pytest.mark.limit(60)
def test_stormed(target, attach, kind):
    """Every kind of frame of ours, attached and let go in the middle of it."""
    process = target(built(f"threads-{kind}"), "6", "30000")
    process.go_on()
    for _ in range(3):
        tracer = attach(process.pid)
        tracer.status()
        tracer.detach().consistent()
    process.done()
    process.go_on()
    process.result()


def preloaded(library):
    path = f"{LIBRARIES}/{library}"
    if not os.path.exists(path):
        pytest.skip(f"{library} is not installed")
    return dict(os.environ, LD_PRELOAD=path)


ALLOCATORS = ["libjemalloc.so.2", "libtcmalloc_minimal.so.4", "libmimalloc.so.2"]


@pytest.mark.parametrize("library", ALLOCATORS)
def test_allocator(follow, library):
    result, report = follow("threads", "6", "1000", env=preloaded(library))
    assert report.counts() == tally(result)
    name = library.split(".so")[0]
    leaves = {context["stack"][0]["module"] for context in report["contexts"]}
    assert any(name in leaf for leaf in leaves)


@pytest.mark.parametrize("library", ALLOCATORS[:2])  # mimalloc aborts where operator new has to throw
def test_allocators_operators(follow, library):
    """Operators of the allocator's own, bad_alloc thrown out of them."""
    result, report = follow("operators", "10", "other", env=preloaded(library))
    assert report.counts() == tally(result)
    assert not report["not_followed"]


def test_allocator_that_checks(target, attach):
    """One that tells new's blocks from malloc's, and aborts where they are mixed: its operators
    are let alone, and that is said."""
    process = target("operators", "10", "other", env=preloaded("libtcmalloc_minimal_debug.so.4"))
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    process.result()
    assert [missed["function"] for missed in report["not_followed"]] == ["operator new"]


@pytest.mark.parametrize("library", ALLOCATORS)
@pytest.mark.limit(60)
def test_allocator_stormed(target, attach, library):
    process = target("storm", "-t", "6", "-f", "-b", env=preloaded(library))
    for _ in range(3):
        tracer = attach(process.pid)
        tracer.status()
        tracer.detach().consistent()
    process.go_on()
    process.result()


@pytest.mark.parametrize("library", ALLOCATORS)
def test_allocator_launched(tmp_path, library):
    status, out, report = memtrace.launch(
        tmp_path / "report", ["env", f"LD_PRELOAD={preloaded(library)['LD_PRELOAD']}", memtrace.TARGETS / "threads", "4", "500"])
    assert status == 0
    result = memtrace.parse_result(out)
    assert report.consistent().through("pool_alloc")["allocs"] == 2000
    assert report["summary"]["allocs"] >= result["allocs"]


def test_rust(target, attach):
    process = target(built("leaky"))
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert process.result()["kept"] == 7 * 1111

    def through(name):
        return [c for c in report["contexts"] if any(name in (frame["function"] or "") for frame in c["stack"])]

    vectors = [c for c in through("rust_leak") if c["allocated_bytes"] == 1111 * c["allocs"]]
    assert sum(c["in_use_blocks"] for c in vectors) == 7
    used = through("rust_keep_and_drop")
    assert sum(c["allocs"] for c in used) >= 500
    assert sum(c["in_use_bytes"] for c in used) == 0


# ---- other places ----------------------------------------------------------------

def namespaces(user):
    command = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--mount-proc", "--kill-child"]
    if user or os.getuid():
        command += ["--user", "--map-root-user"]
    if subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    return command


def follow_inside(process, attach):
    """process started the target: the one that prints READY is below it."""
    process.wait_line(r"^READY \d+$")
    pid = memtrace.descendants(process.pid)[-1]
    tracer = attach(pid)
    process.send()
    process.wait_line("^DONE$")
    report = tracer.detach().consistent()
    process.send()
    result = memtrace.parse_result([process.wait_line(r"^RESULT .*$").group(0)])
    assert report["pid"] == pid
    assert report.counts() == tally(result)
    return report


@pytest.mark.parametrize("user", [False, True], ids=["ours", "a user namespace"])
def test_in_namespaces(started, attach, user):
    process = memtrace.Process([*namespaces(user), memtrace.TARGETS / "threads", "4", "300"])
    started.append(process)
    follow_inside(process, attach)


def root_directory(directory, program, *libraries):
    for path in (program, *libraries):
        place = directory / str(path).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


def libraries_of(program):
    lines = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.splitlines()
    return [word for line in lines for word in line.split() if word.startswith("/")]


@pytest.mark.skipif(os.getuid() != 0, reason="chroot is for root")
@pytest.mark.parametrize("name", ["threads", "threads-musl"])
def test_in_a_chroot(started, attach, tmp_path, name):
    """Its libc is another file than ours, at the same path."""
    program = memtrace.TARGETS / built(name)
    libraries = ["/lib/ld-musl-x86_64.so.1"] if "musl" in name else libraries_of(program)
    root_directory(tmp_path / "root", program, *libraries)
    process = memtrace.Process(["chroot", tmp_path / "root", program, "3", "300"])
    started.append(process)
    process.wait_line(r"^READY \d+$")
    tracer = attach(process.pid)
    process.send()
    process.wait_line("^DONE$")
    report = tracer.detach().consistent()
    process.send()
    result = memtrace.parse_result([process.wait_line(r"^RESULT .*$").group(0)])
    assert report.counts() == tally(result)
    assert report.through("pool_alloc")["allocs"] == 900


def test_files_that_are_gone(started, attach, tmp_path):
    """The program and its library were deleted after the start, as by an update."""
    program = shutil.copy(memtrace.TARGETS / "threads", tmp_path / "threads")
    process = memtrace.Process([program, "3", "300"])
    started.append(process)
    process.wait_line(r"^READY \d+$")
    os.unlink(program)
    tracer = attach(process.pid)
    process.send()
    process.wait_line("^DONE$")
    report = tracer.detach().consistent()
    process.send()
    result = memtrace.parse_result([process.wait_line(r"^RESULT .*$").group(0)])
    assert report.counts() == tally(result)


# ---- other habits ----------------------------------------------------------------

@pytest.mark.parametrize("action", ["errno", "kill", "trace", "notify"])
def test_behind_a_seccomp_filter(target, attach, action):
    """The soft trap's system calls are forbidden: another way, which is said."""
    process = target("sandboxed", action)
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert report.counts() == tally(process.result())
    assert "seccomp" in "\n".join(tracer.err + tracer.out)


def dispatched(target, attach, where, when):
    """(what is said, report, result)"""
    process = target("dispatched", where, when)
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    result = process.result()
    assert result["strange"] == 0
    assert process.wait() == 0
    sums = report.through("work")
    assert (sums["allocs"], sums["allocated_bytes"]) == (result["allocs"], result["allocated_bytes"])
    assert sums["in_use_blocks"] == 0
    return "\n".join(tracer.err + tracer.out)


def test_behind_two_filters(target, attach):
    """The first lets everything pass, which is not the last word."""
    process = target("sandboxed", "kill", "second")
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert report.counts() == tally(process.result())
    assert "seccomp filter that forbids" in "\n".join(tracer.err + tracer.out)


@pytest.mark.parametrize("turn", range(6))
def test_sealed_while_all_allocate(target, attach, turn):
    """No thread may still have a system call of the trap's before it when the filter comes."""
    process = target("sealed")
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    result = process.result()
    sums = report.through("work")
    assert (sums["allocs"], sums["allocated_bytes"]) == (result["allocs"], result["allocated_bytes"])
    assert sums["in_use_blocks"] == 0
    assert "about to install a seccomp filter" in "\n".join(tracer.err + tracer.out)


@pytest.mark.parametrize("gate", ["mdwe", "tsc", "landlock"])
def test_gates_that_nothing_of_ours_passes(target, attach, gate):
    process = target("sandboxed", gate)
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert report.counts() == tally(process.result())
    assert "break instructions" not in "\n".join(tracer.err + tracer.out)


@pytest.mark.skipif(ctypes.CDLL(None).prctl(59, 0, 0, 0, 0) != 0, reason="this kernel has no Syscall User Dispatch")
@pytest.mark.parametrize("when", ["before", "later", "thread"])
@pytest.mark.parametrize("where", ["libc", "all"])
def test_syscall_user_dispatch(target, attach, where, when):
    """System calls from elsewhere than a range raise SIGSYS: none is made there.  Where the
    range has room for all stubs nothing is different."""
    said = dispatched(target, attach, where, when)
    assert ("dispatched to SIGSYS" in said) == (where == "libc")
    assert ("break instructions" in said) == (where == "libc")


def test_a_tracer_itself(follow):
    result, report = follow("debugger")
    assert report.counts() == tally(result)


@pytest.mark.parametrize("how", ["vfork", "clone", "raw"])
def test_a_tracer_of_children_that_share_its_memory(follow, how):
    """They are free to be traced, their tracer sees no stop of ours, and nothing is missed."""
    result, report = follow("debugger", how)
    assert report.counts() == tally(result)


@pytest.mark.parametrize("how", ["always", "rawly"])
def test_such_children_are_born_as_we_come_and_go(target, attach, how):
    """Whenever it asks, none is refused; also where it is met between its birth, before we came, and its
    asking."""
    process = target("debugger", how)
    process.go_on()
    for _ in range(8):
        attach(process.pid, "--no-symbols").detach()
    process.go_on()
    process.done()
    process.go_on()
    assert process.result()["refused"] == 0


@pytest.mark.parametrize("how", ["plain", "clone"])
def test_killed_before_a_tracer_of_such_children(target, attach, how):
    """In the middle of letting one go: its tracer lives, and goes on.  (While the guardian holds
    such a child it may be refused what it asks for.)"""
    for turn in range(4):
        process = target("debugger", how)
        tracer = attach(process.pid, "--no-symbols")
        tracer.status()
        process.go_on()
        threading.Event().wait(0.02 * turn)  # the moment is what varies
        tracer.process.kill()
        tracer.process.wait()
        process.done()
        process.go_on()
        process.wait_line("^RESULT")
        assert process.wait() in (0, 1)


@pytest.mark.parametrize("turn", range(3))
def test_nobody_is_left_for_a_tracer_of_such_children(target, attach, turn):
    """Killed with the guardian, the traps stay; they send no signal to who is not the process,
    which would stop a child whose tracer sleeps in vfork()."""
    process = target("debugger", "endless")
    tracer = attach(process.pid, "--no-symbols")
    process.go_on()
    tracer.status()
    memtrace.kill_at_once(tracer)
    memtrace.wait_until_untraced(process.pid)
    process.go_on()
    process.done()
    attach(process.pid, "--no-symbols").detach()
    memtrace.untouched(process.pid)
    process.go_on()
    process.result()


def test_a_child_that_stays(target, attach):
    """A fork child is free of us while its parent is watched; and nothing hangs while
    the parent waits for a slow vfork child."""
    process = target("children", "stay")
    tracer = attach(process.pid)
    process.go_on()
    child = int(process.wait_line(r"^CHILD (\d+)$").group(1))
    memtrace.wait_until_untraced(child)
    memtrace.untouched(child)
    tracer.status()
    process.go_on()
    tracer.status()
    report = tracer.detach().consistent()
    for _ in range(3):
        attach(process.pid).detach().consistent()
    process.done()
    process.go_on()
    process.result()
    assert report["summary"]["allocs"] == 2


def interpreter_of(program):
    text = subprocess.run(["readelf", "-l", program], capture_output=True, text=True, check=True).stdout
    return re.search(r"interpreter: (\S+?)\]", text)[1]


@pytest.mark.parametrize("kind", ["threads", "threads-musl", "plugins"])
def test_started_by_the_loader(tmp_path, kind):
    """`ld.so PROGRAM`: the loader is the program that was started, and maps the other one."""
    program = memtrace.TARGETS / built(kind)
    arguments = ("4", "500") if kind != "plugins" else (str(memtrace.TARGETS), "5")
    sums = []
    for argv in ([program, *arguments], [interpreter_of(program), program, *arguments]):
        status, out, report = memtrace.launch(tmp_path / f"report-{len(argv)}", argv)
        assert status == 0
        memtrace.parse_result(out)
        assert not report.consistent()["not_followed"]
        sums.append(report.through("main", "thread_main", "worker", "plugin_alloc", "pool_alloc"))
    assert sums[0]["allocs"] > 4
    assert sums[0] == sums[1]


def test_loader_attached_to(started, attach):
    loader = interpreter_of(memtrace.TARGETS / "threads")
    started.append(memtrace.Target("threads", "4", "500", command=(loader,)))
    process = started[-1].ready()
    tracer = attach(process.pid)
    process.go_on()
    process.done()
    report = tracer.detach().consistent()
    process.go_on()
    assert report.counts() == tally(process.result())
