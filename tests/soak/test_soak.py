"""The long runs, of which `make check` has a sample: COUNT kills and cycles each.

COUNT is 1000, or what the environment says.  Every run ends with the target's own
verdict, a new memtrace that attaches to what was left, and the check for traces.
"""
import os
import shutil
import signal

import pytest

import memtrace
import test_children
import test_cycles
import test_kills
import test_programs
import test_several

COUNT = int(os.environ.get("COUNT", "1000"))
PORTION = 50
HOUR = 3600


def portions():
    return range(max(1, COUNT // PORTION))


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
@pytest.mark.parametrize("storm", [("-t", "8", "-f"), ("-t", "8", "-b", "-S"), ("-t", "8", "-p", "-f", "-b")],
                         ids=" ".join)
def test_random_kills(target, attach, storm, guardian):
    """No signal of the program's own is lost, as none is reaped before it is handed on."""
    lost = longest = 0
    for number in portions():
        process = target("storm", *storm)
        test_kills.random_kills(process, min(PORTION, COUNT), number, guardian)
        test_kills.clean_up(process, attach)
        test_kills.must_live(process)
        process.go_on()
        result = process.result()
        lost += result["lost"]
        longest = max(longest, result["longest_ms"])
    print(f"signals lost: {lost}, the slowest took {longest} ms")
    assert lost == 0


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("mode", test_kills.MODES)
def test_signals_under_kills(target, attach, mode):
    """Each arrives once, in order; setuid() in several threads does not hang."""
    for number in portions():
        process = target("delivered", mode)
        test_kills.random_kills(process, min(PORTION, COUNT), number, guardian=False)
        test_kills.clean_up(process, attach)
        process.go_on()
        result = process.result()
        assert (result["lost"], result["wrong"]) == (0, 0), result


@pytest.mark.limit(HOUR)
def test_forks_around_kills(tmp_path, started):
    """A tenth as many: each looks at all the children."""
    test_children.breed_and_kill(tmp_path, started, max(1, COUNT // 10), 1)


@pytest.mark.limit(HOUR)
def test_interrupted_calls(target, attach):
    """EINTR shows only where memtrace is killed between its interrupt of a thread and its look at
    it: some ten microseconds, but of thirty threads here one after the other.  Counted, and bounded:
    seen 4 in 20 processes."""
    seen = 0
    for number in range(max(1, COUNT // 10)):
        process = target("eintr")
        test_kills.random_kills(process, 10, number, guardian=False)
        test_kills.clean_up(process, attach)
        process.go_on()
        verdict = process.wait_line(r"^RESULT (\{.*\})$").group(1)
        seen += '"verdict": "ok"' not in verdict
        process.end()
    print(f"interrupted: {seen} of {max(1, COUNT // 10)} processes, each under 10 kills")
    assert seen <= COUNT / 10 / 2 + 2


PYTHON = """
import threading, time
def work():
    while True:
        list(map(str, range(500))); time.sleep(0.001)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
print("READY", flush=True)
while input():
    print("HERE", flush=True)
"""


PROGRAM = {"redis": "redis-server", "nginx": "nginx"}


class Worker:
    """A process that somebody else has started."""

    def __init__(self, pid, story):
        self.pid, self.story = pid, story

    def alive(self):
        return os.path.exists(f"/proc/{self.pid}")


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
@pytest.mark.parametrize("name", ["redis", "nginx", "python3"])
def test_real_programs(started, attach, tmp_path, name, guardian):
    """They answer between the kills and after them."""
    if name == "python3":
        process = memtrace.Process(["/usr/bin/python3", "-c", PYTHON])
        started.append(process)
        process.wait_line("^READY")

        def request():
            process.send("x")
            process.wait_line("^HERE")
    else:
        if not shutil.which(PROGRAM[name], path="/usr/sbin:/usr/bin"):
            pytest.skip(f"{PROGRAM[name]} is not installed")
        argv, request = getattr(test_programs, f"{name}_server")(tmp_path)
        process = memtrace.Process(argv)
        started.append(process)
        test_programs.until_it_answers(request, process)
        if name == "nginx":  # what serves is a child of its
            process = Worker(memtrace.descendants(process.pid)[0], process.story)
    for number in range(max(1, COUNT // 10)):
        test_kills.random_kills(process, 10, number, guardian)
        request()
    test_kills.clean_up(process, attach)
    request()


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
@pytest.mark.parametrize("name", [("threads", "3", "100"), ("storm", "-t", "4", "-p", "-b")],
                         ids=lambda name: name[0])
def test_every_step(target, attach, name, guardian):
    """Every step of attach, patching and detach, over and over: COUNT kills."""
    process = target(*name)
    made, _ = test_kills.steps_of(process, "all")
    for done in range(0, COUNT, made):
        test_kills.stepwise_kills(process, attach, range(min(made, COUNT - done)), guardian)
    print(f"steps: {made}")
    process.go_on()
    if name[0] == "threads":
        process.done()
        process.go_on()
    process.result()


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_every_step_with_a_thread_within(target, started, guardian):
    """The same where a thread stands in the middle of what is patched, a new one each time."""
    made, _ = test_kills.steps_of(target("within"), "all")
    for number in range(COUNT):
        process = target("within")
        test_kills.steps_of(process, str(number % made), *(["-g"] if guardian else []))
        test_kills.continue_and_end(process)
        started.pop().end()
    print(f"steps: {made}")
    test_kills.continue_and_end(started[0])


@pytest.mark.limit(HOUR)
@pytest.mark.parametrize("storm", [("-t", "8", "-x"), ("-t", "1", "-p", "-x")], ids=" ".join)
def test_break_instructions(target, started, storm):
    """Under a seccomp filter that forbids the trap memtrace says that a kill may be the end of
    the process: how often it is.  It dies of SIGTRAP then, or computes right."""
    died, count = 0, max(1, COUNT // 10)
    for number in range(count):
        process = target("storm", *storm)
        tracer = memtrace.Memtrace(process.pid, os.devnull, "--no-symbols").attached()
        tracer.process.kill()
        tracer.wait()
        assert any("break instructions are used" in line for line in tracer.err), tracer.story()
        memtrace.wait_for_guardians()
        try:
            process.go_on()
            process.result()
        except (memtrace.Failed, BrokenPipeError):
            assert process.wait() == -signal.SIGTRAP, process.story()
            died += 1
        for one in (tracer, started.pop()):
            one.end()
    print(f"died: {died} of {count}")


@pytest.mark.limit(HOUR)
def test_cycles_on_a_busy_process(target):
    process = target("storm", "-t", "8", "-b")
    test_cycles.cycle(process, COUNT)
    memtrace.untouched(process.pid)
    process.go_on()
    process.result()


@pytest.mark.limit(HOUR)
def test_fifty_processes_of_eight_threads(target, started, tmp_path):
    """Followed at once, by one memtrace each: exactly."""
    processes = [target("threads", "8", "100") for _ in range(50)]
    tracer = test_several.Several(tmp_path / "report", *(f"-p{process.pid}" for process in processes))
    started.append(tracer)
    tracer.attached(50)
    for process in processes:
        process.go_on()
    for process in processes:
        process.done()
    assert len(tracer.answers("status", r"^    in use: \d+ bytes in \d+ blocks", 50)) == 50
    tracer.send("quit")
    reports = tracer.left()
    for process in processes:
        memtrace.untouched(process.pid)
        process.go_on()
        result = process.result()
        assert reports[process.pid].counts() == {name: result[name] for name in memtrace.Report.NAMES}
