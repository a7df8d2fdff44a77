"""SIGKILL of memtrace at any moment: the target lives, computes right, and is cleaned up.

Random moments, with and without the guardian, and every step by which memtrace touches
its target during attach, patching and detach (kill_at.c).  The long runs are tests/soak.
"""
import os
import random
import re
import shutil
import signal
import subprocess
import threading

import pytest

import memtrace

KILL_AT = memtrace.BUILD / "tests" / "e2e" / "kill_at"
QUIET = ["--no-symbols", "-q", "--format=json", "-o", "/dev/null", *memtrace.ENGINE_OPTIONS]
# Where no thread can make the calls that bring an agent.
OR_TRAP = ["--engine=auto"] if memtrace.ENGINE_OPTIONS else []


memtrace.adopt_orphans()


def must_live(process):
    assert process.alive(), f"the target died: {process.story()}"


def clean_up(process, attach):
    """A new memtrace attaches to what was left, and its clean end leaves nothing."""
    tracer = attach(process.pid, "--no-symbols")
    tracer.status()
    tracer.detach().consistent()


def random_kills(process, count, seed, guardian, *options):
    dice = random.Random(seed)
    for _ in range(count):
        tracer = memtrace.Process([memtrace.MEMTRACE, *QUIET, *options, "-p", process.pid])
        # the moment itself is what varies: nothing to wait for
        threading.Event().wait(dice.choice([0.005, 0.02, 0.1]) * dice.random())
        if guardian:
            memtrace.kill_at_once(tracer)
        else:
            tracer.process.kill()
            tracer.process.wait()
        must_live(process)
        memtrace.wait_for_guardians()  # with both killed: one that was only just to begin
        if not guardian:
            memtrace.untouched(process.pid)


@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_at_random_moments(target, attach, guardian):
    process = target("storm", "-t", "8", "-f", "-b")
    random_kills(process, 10, os.getpid(), guardian)
    clean_up(process, attach)
    must_live(process)
    process.go_on()
    process.result()


@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_with_mappings_followed(target, attach, guardian):
    """munmap() and its kin are patched, too."""
    process = target("mapstorm")
    random_kills(process, 8, os.getpid(), guardian, "--mmap")
    tracer = attach(process.pid, "--no-symbols", "--mmap")
    report = tracer.detach().consistent()
    assert report["mappings"]["in_use_mappings"] <= 4 * 8
    must_live(process)
    process.go_on()
    process.result()


def test_within_an_allocation(target, attach):
    """.. with the guardian: the next memtrace leaves the stub alone that a sleeping malloc returns
    to, which frame pointers lead past."""
    process = target("dozing")
    tracer = attach(process.pid, "--no-symbols")
    process.go_on()
    process.done()
    memtrace.kill_at_once(tracer)
    clean_up(process, attach)
    process.go_on()
    process.result()


MODES = ["setuid", "rt", "child", "timer", "usr"]


@pytest.mark.parametrize("mode", MODES)
def test_no_signal_is_lost(target, attach, mode):
    """Whatever we knew of when we were killed is delivered all the same, once."""
    process = target("delivered", mode)
    random_kills(process, 25, os.getpid(), guardian=False)
    clean_up(process, attach)
    process.go_on()
    result = process.result()
    assert (result["lost"], result["wrong"]) == (0, 0), result


def steps_of(process, *how, options=()):
    run = subprocess.run([KILL_AT, *how, memtrace.MEMTRACE, *QUIET, *options, "-b", "-x", "status",
                          "-p", str(process.pid)], capture_output=True, text=True, timeout=60)
    match = re.search(r"^STEPS (\d+) (\w+)$", run.stdout, re.M)
    assert match, run
    return int(match[1]), match[2]


def stepwise_kills(process, attach, step_list, guardian):
    for step in step_list:
        steps_of(process, str(step), *(["-g"] if guardian else []))
        must_live(process)
        if not guardian:
            memtrace.untouched(process.pid)
    clean_up(process, attach)


@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_at_single_steps(target, attach, guardian):
    """A quiet target, so that the steps are those of attaching and detaching."""
    process = target("threads", "3", "100")
    made, end = steps_of(process, "all")
    assert end == "ended" and made > 20
    memtrace.untouched(process.pid)
    stepwise_kills(process, attach, range(guardian, made, max(1, made // 12)), guardian)
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def continue_and_end(process):
    """Of the target `within`, stopped until now."""
    os.kill(process.pid, signal.SIGCONT)
    process.done()
    process.go_on()
    process.result()


@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_with_a_thread_within_what_is_patched(target, guardian):
    """It has run malloc's first instruction, and must not run on in the middle of a patch,
    whenever we are killed."""
    process = target("within")
    made, end = steps_of(process, "all")
    assert end == "ended"
    for step in range(made // 4, made, max(1, made // 16)):
        continue_and_end(process)
        process = target("within")
        steps_of(process, str(step), *(["-g"] if guardian else []))
    continue_and_end(process)


def test_a_thread_that_will_return_into_what_is_patched(target):
    """Nothing can be patched then, and the thread that stands there goes on unharmed."""
    process = target("within", "-h")
    run = memtrace.Process([memtrace.MEMTRACE, *QUIET, *OR_TRAP, "-b", "-p", process.pid])
    assert run.wait() == 1, run.story()
    assert any("interrupted within" in line for line in run.err), run.story()
    os.kill(process.pid, signal.SIGCONT)
    process.done()
    process.go_on()
    process.go_on()
    process.result()


def test_stubs_that_could_not_be_wiped_at_once(target, attach):
    """A thread stands in a predecessor's stubs while we attach, and is out when we leave."""
    process = target("within")
    tracer = attach(process.pid, "--no-symbols", *OR_TRAP)
    memtrace.kill_at_once(tracer)
    assert memtrace.slack_bytes(process.pid)
    tracer = attach(process.pid, "--no-symbols", *OR_TRAP)
    os.kill(process.pid, signal.SIGCONT)
    process.done()
    tracer.detach().consistent()
    assert not memtrace.slack_bytes(process.pid)
    process.go_on()
    process.result()


def test_killed_and_forgotten(target, attach):
    """Both killed, nobody comes: the target goes on with what was left in it, and forks."""
    process = target("storm", "-t", "4", "-f", "-b", "-S")
    tracer = attach(process.pid, "--no-symbols")
    tracer.status()
    memtrace.kill_at_once(tracer)
    must_live(process)
    process.go_on()
    assert process.result()["turns"] > 0


def test_target_killed_in_the_middle_of_a_stop(target, attach):
    process = target("storm", "-t", "8")
    tracer = attach(process.pid)
    process.process.kill()
    assert process.wait() == -9
    tracer.wait()
    tracer.report().consistent()


def test_who_comes_next_knows_less(target, attach, tmp_path):
    """A stripped static program, whose functions memtrace-fs has named: both are killed, and a
    memtrace without memtrace-fs finds what it can't name, puts it back, and says that it can't
    follow this program."""
    debug = tmp_path / "debug"
    program = tmp_path / "threads"
    place = debug / str(program)[1:]
    place.parent.mkdir(parents=True)
    shutil.copy(memtrace.TARGETS / "threads-static", place)
    subprocess.run(["strip", "--strip-all", "-o", program, place], check=True)
    process = target(program, "3", "100")
    for _ in range(2):
        tracer = attach(process.pid, f"--debug-dir={debug}")
        memtrace.kill_at_once(tracer)
        assert memtrace.slack_bytes(process.pid)
        run = memtrace.Process([memtrace.MEMTRACE, *QUIET, "--engine=trap", "-b", "-p", process.pid])
        assert run.wait() == 1 and any("no allocator found" in line for line in run.err), run.story()
        memtrace.untouched(process.pid)
        assert not memtrace.slack_bytes(process.pid)
    process.go_on()
    process.done()
    process.go_on()
    process.result()
