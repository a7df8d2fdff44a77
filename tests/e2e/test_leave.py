"""Leaving: the capture goes on in the process without us, is taken up with all its numbers, or cleared away."""
import mmap
import os
import re
import signal
import struct
import subprocess
import time

import pytest

import json_report
import memtrace
from test_kills import KILL_AT, QUIET, must_live
from test_resident import memory_of, whole

AGENT = "--engine=agent"
LEFT_AT, BUILD_AT, ESTATE_AT = 2048, 2056, 65536 + 8192 * 32 + 131072 * 32  # region/shared.h

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the agent is x86-64's")


def do(process, line):
    process.send(line)
    process.wait_line(r"^DONE \d+$")


def run(process, *options, status=0):
    """A memtrace from its beginning to its end."""
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-b", *options, "-p", process.pid])
    assert tracer.wait() == status, tracer.story()
    return tracer.out + tracer.err


def leave(tracer):
    tracer.send("leave")
    tracer.process.stdin.close()
    assert tracer.wait() == 0, tracer.story()
    assert any("in which the capture goes on" in line for line in tracer.err), tracer.story()
    return tracer.report()


def clear(process, before=None):
    assert any("Nothing of memtrace" in line for line in run(process, "--clear"))
    memtrace.untouched(process.pid)
    assert not memory_of(process.pid)
    if before:
        assert whole(process.pid) == before


def end(process):
    process.send("q")
    return process.result()


def by_size(report):
    """Blocks in use and allocations by the context's blocks, of those that are the program's."""
    sums = {}
    for context in report["contexts"]:
        size = context["allocated_bytes"] // context["allocs"] if context["allocs"] else 0
        if size in (100, 150, 200, 300):
            key = size, context["stack_end"]
            blocks, allocs = sums.get(key, (0, 0))
            sums[key] = blocks + context["in_use_blocks"], allocs + context["allocs"]
    return sums


def test_all_its_numbers(target, attach):
    """What is known is counted by its stack, what is not apart, and nothing is missing."""
    process = target("stays")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    for line in ("a 1000", "f 10", "r 20"):
        do(process, line)
    first = leave(tracer)
    assert by_size(first) == {(100, "root"): (970, 1000), (150, "root"): (20, 20)}
    assert [t["allocs"] for t in first["threads"]] == [first["summary"]["allocs"]]
    for line in ("a 500", "r 30", "b 20", "f 3", "t 7"):
        do(process, line)
    tracer = attach(process.pid, "--no-symbols")
    for line in ("a 10", "b 1", "r 5"):
        do(process, line)
    report = tracer.detach().consistent()
    assert any("Going on with a capture that runs since" in line for line in tracer.err), tracer.story()
    assert not memory_of(process.pid)
    assert by_size(report) == {(100, "root"): (1470, 1510), (150, "root"): (30, 55), (200, "root"): (1, 1),
                               (200, "nobody-there"): (17, 20), (300, "nobody-there"): (7, 7)}
    ids = {c["id"]: c["stack"] for c in report["contexts"]}
    assert all(ids[c["id"]] == c["stack"] for c in first["contexts"])
    assert report["started"] == first["started"]
    alone = report["alone"]
    assert alone["allocs"] >= 27 and alone["not_counted"] == 0 and alone["seconds"] > 0
    assert alone["allocs"] == sum(c["allocs"] for c in report["contexts"] if c["stack_end"] == "nobody-there")
    counts, result = report.counts(), end(process)
    assert counts["allocs"] - result["allocs"] == report["summary"]["in_use_blocks"] - (result["allocs"] - result["frees"])


def test_what_is_of_threads_and_times(target, attach):
    """What the first memtrace has counted itself goes on, too; and leaving is no allocation."""
    process = target("stays")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    for line in ("a 10", "f 1", "b 1"):
        do(process, line)
    time.sleep(1)
    first = leave(tracer)
    once, = (c for c in first["contexts"] if (c["allocs"], c["allocated_bytes"]) == (1, 200))
    assert once["first_time"] == once["last_time"] < first["duration"] - 0.9
    do(process, "a 10")
    report = attach(process.pid, "--no-symbols").detach().consistent()
    assert [(t["allocs"], t["frees"]) for t in report["threads"]] == [(21, 1)]
    once, = (c for c in report["contexts"] if (c["allocs"], c["allocated_bytes"]) == (1, 200))
    assert once["first_time"] == once["last_time"] < first["duration"] - 0.9
    end(process)


def test_said_in_text(target, attach):
    process = target("stays")
    leave(attach(process.pid, "--no-symbols", AGENT))
    do(process, "b 25")
    lines = run(process, "--stay")
    assert any(re.match(r"    without memtrace for \d+\.\d s; not resolved meanwhile: 25 allocs \(100.00% of all\), 5000 bytes$",
                        line) for line in lines), lines
    do(process, "b 25")
    assert any("not resolved meanwhile: 50 allocs (100.00% of all)" in line for line in run(process)), process.story()
    end(process)


def test_cleared(target, attach):
    process = target("stays")
    before = whole(process.pid)
    clear(process, before)  # nothing is there
    do(process, "a 10")
    before = whole(process.pid)
    for _ in range(5):
        leave(attach(process.pid, "--no-symbols", AGENT))
        assert len(memory_of(process.pid)) == 2
        clear(process, before)
    end(process)


def test_again_and_again_under_load(target, attach):
    """Eight threads come, allocate and go, while memtraces come and go."""
    process = target("stays")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    do(process, "a 100")
    for _ in range(4):
        process.send("s 40000")
        leave(tracer)
        tracer = attach(process.pid, "--no-symbols")
        process.wait_line(r"^DONE 40000$")
        do(process, "a 1")
    report = tracer.detach().consistent()
    summary, result = report["summary"], end(process)
    assert by_size(report)[100, "root"] == (104, 104)
    assert report["alone"]["not_counted"] == 0
    # (what pthread_create() allocates is in no tally of the program's)
    assert 0 <= summary["allocs"] - result["allocs"] <= 8 * 4
    assert summary["frees"] == result["frees"] + summary["allocs"] - result["allocs"] - (summary["in_use_blocks"] - 104)


def test_modules_that_go_while_nobody_is_there(target, attach):
    """What was known of pcs says nothing any more, as another module may be there."""
    process = target("stays", memtrace.TARGETS / "plugin_a.so")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    do(process, "a 10")
    leave(tracer)
    do(process, "a 10")
    do(process, "l 1")
    do(process, "a 10")
    tracer = attach(process.pid, "--no-symbols")
    do(process, "a 10")
    report = tracer.detach().consistent()
    assert by_size(report)[100, "root"] == (30, 30)
    alone, = [c for c in report["contexts"]  # of malloc itself, by whomever
              if c["stack_end"] == "nobody-there" and len(c["stack"]) == 1 and c["in_use_bytes"] >= 1000]
    assert alone["in_use_blocks"] >= 10
    end(process)


def test_a_child_by_fork_has_none(target, attach):
    """It maps the same memory, but what was left there is not of it."""
    process = target("children", "stay")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    leave(tracer)
    process.go_on()
    child = int(process.wait_line(r"^CHILD (\d+)$")[1])
    report = attach(child, "--no-symbols", AGENT).detach()
    assert "alone" not in report
    assert not memory_of(child)
    assert memory_of(process.pid)
    clear(process)
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def memory_file(process):
    begin, length, *_ = memory_of(process.pid)[0]
    return next(f"/proc/{process.pid}/map_files/{name}" for name in os.listdir(f"/proc/{process.pid}/map_files")
                if name.startswith(f"{begin:x}-"))


def contents(process, length):
    with open(memory_file(process), "rb") as file:
        return file.read(length)[LEFT_AT:]


def written(process, offset, value):
    """Into the agent's memory, as its file has it."""
    with open(memory_file(process), "r+b") as file, mmap.mmap(file.fileno(), 1 << 26) as at:
        at[offset] = at[offset] ^ value


@pytest.mark.parametrize("what, offset", [("of another build", BUILD_AT), ("damaged", ESTATE_AT + 100000)])
def test_what_can_not_be_taken_up(target, attach, what, offset):
    process = target("stays")
    do(process, "a 1")
    before = whole(process.pid)
    tracer = attach(process.pid, "--no-symbols", AGENT)
    do(process, "a 5")
    leave(tracer)
    written(process, offset, 1)
    said = run(process, status=1)
    assert any(what in line and f"'memtrace --clear -p {process.pid}' ends it" in line for line in said), said
    do(process, "a 5")  # it counts on
    written(process, offset, 1)
    assert by_size(json_report.load("\n".join(run(process, "--format=json", "-n", "0", "--stay", "-q"))))[100, "root"] == (10, 10)
    clear(process, before)
    end(process)


MAGIC, BYTES_AT, TRAP_AT = b"memtrc\0\1", 104, 40  # arch/trap.h: struct stub_area
PLACES = {"the trap": TRAP_AT, "its hard one": TRAP_AT + 6 * 8, "the break": TRAP_AT + 5 * 8}


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 & 0xffffffffffffffff
    return value


def forge(process, change):
    """The process writes another estate, and its hash."""
    with open(memory_file(process), "r+b") as file, mmap.mmap(file.fileno(), 1 << 24) as at:
        length, = struct.unpack_from("<Q", at, LEFT_AT + 112)
        estate = bytearray(at[ESTATE_AT:ESTATE_AT + length])
        before = bytes(estate)
        assert struct.unpack_from("<Q", at, LEFT_AT + 120)[0] == fnv(before)
        change(estate)
        at[ESTATE_AT:ESTATE_AT + length] = bytes(estate)
        struct.pack_into("<Q", at, LEFT_AT + 120, fnv(estate))
    return before


def areas_in(estate):
    found, at = [], estate.find(MAGIC)
    while at >= 0:
        area = at - BYTES_AT
        if area >= 0 and estate[at + 8:at + 12] == estate[area + 12:area + 16]:
            found.append(area)
        at = estate.find(MAGIC, at + 1)
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("by", [1 << 32, -(1 << 20), 4096], ids=["far", "in front", "behind"])
def test_places_that_are_not_in_the_area(target, attach, place, by):
    """Whoever is traced may have written them: nothing of ours is read or written there."""
    process = target("stays")
    before = whole(process.pid)
    run(process, "--stay")

    def move(estate):
        areas = areas_in(estate)
        assert areas
        for area in areas:
            at, = struct.unpack_from("<Q", estate, area + PLACES[place])
            struct.pack_into("<Q", estate, area + PLACES[place], at + by & 0xffffffffffffffff)

    sound = forge(process, move)
    assert any("damaged" in line for line in run(process, status=1))
    forge(process, lambda estate: estate.__setitem__(slice(None), sound))
    run(process)
    memtrace.untouched(process.pid)
    assert whole(process.pid) == before
    end(process)


def test_refused(target, attach):
    """What nobody could count on; the session goes on."""
    process = target("stays")
    tracer = attach(process.pid, "--no-symbols", "--engine=trap")
    tracer.send("leave")
    tracer.status()
    tracer.detach()
    assert any("no agent counts in it" in line for line in tracer.err), tracer.story()
    end(process)


def test_a_thread_that_loses_its_thread_pointer(target, attach):
    """It would fault in the agent, and nobody would help it."""
    process = target("pointerless", "20", env={**os.environ, "LD_PRELOAD": str(memtrace.TARGETS / "alloc_plain.so")})
    tracer = attach(process.pid, "--no-symbols", AGENT)
    process.go_on()
    process.done()
    tracer.send("leave")
    tracer.status()
    tracer.detach()
    assert any("without a thread pointer" in line for line in tracer.err), tracer.story()
    process.go_on()
    assert process.result()["verdict"] == "ok"


def steps(process, *how, options=()):
    ran = subprocess.run([KILL_AT, *how, memtrace.MEMTRACE, *QUIET, "-b", *options, "-p", str(process.pid)],
                         capture_output=True, text=True, timeout=60)
    match = re.search(r"^STEPS (\d+) (\w+)$", ran.stdout, re.M)
    assert match, ran
    return int(match[1]), match[2]


GUARDIANS = pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])


@pytest.mark.limit(120)
@GUARDIANS
@pytest.mark.parametrize("options", [["--stay"], ["--stay", "taken up"], ["--clear"], ["--engine=auto"]],
                         ids=["leaving", "taking up", "clearing", "taking up after a kill"])
def test_killed_at_each_step(target, attach, guardian, options):
    """The process lives, counts on or is as before, and can be cleared in any case."""
    process = target("stays")
    do(process, "a 3")
    before = whole(process.pid)
    there = options != ["--stay"]  # a capture was left before each kill
    killed = options == ["--engine=auto"]  # .. by a memtrace that was killed, too

    def lay():
        if killed:
            memtrace.kill_at_once(attach(process.pid, "--no-symbols", AGENT))
        elif there:
            run(process, "--stay")

    lay()
    made, how = steps(process, "all", options=options[:1])
    assert how == "ended"
    clear(process, before)
    went_on = 0
    for step in range(guardian, made, max(1, made // 10)):
        lay()
        steps(process, str(step), *(["-g"] if guardian else []), options=options[:1])
        memtrace.wait_for_guardians()
        must_live(process)
        do(process, "a 2")
        do(process, "f 2")
        went_on += bool(memory_of(process.pid))
        clear(process, before)
    assert went_on or not (guardian or there)
    end(process)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV], ids=lambda signo: signo.name)
def test_counts_outlive_the_process(target, attach, how):
    """The agent's memory is ours, too: complete to the last allocation, however it dies."""
    process = target("stays")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    for line in ("a 3000", "f 100", "r 10", "t 40"):
        do(process, line)
    os.kill(process.pid, how)
    assert tracer.wait() == 0, tracer.story()
    report = tracer.report().consistent()
    assert by_size(report) == {(100, "root"): (2890, 3000), (150, "root"): (10, 10), (300, "root"): (40, 40)}
    assert report["stopped_calls"] < 200


def test_taken_up_after_a_kill(target, attach):
    """Memtrace is killed, guardian and all, again and again: nothing that was counted is lost, by it or by the
    agent, and what is not known meanwhile is counted apart."""
    process = target("stays")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    for line in ("a 1000", "f 300", "r 20", "b 5"):
        do(process, line)
    memtrace.kill_at_once(tracer)
    for line in ("a 50", "f 10", "r 20", "t 7"):  # (what `t` does nobody has seen)
        do(process, line)
    for _ in range(2):  # once killed as soon as it has come
        tracer = attach(process.pid, "--no-symbols", "--engine=auto")
        tracer.wait_said("Going on with a capture.* of a memtrace that was killed")
        memtrace.kill_at_once(tracer)
    tracer = attach(process.pid, "--no-symbols", "--engine=auto")
    for line in ("a 10", "t 3", "b 1"):
        do(process, line)
    report = tracer.detach().consistent()
    memtrace.untouched(process.pid)
    assert not memory_of(process.pid)
    assert not any("in its hands" in line for line in tracer.err), tracer.story()
    summary, result = report["summary"], end(process)
    assert by_size(report) == {(100, "root"): (730, 1060), (150, "root"): (20, 40), (200, "root"): (6, 6),
                               (300, "nobody-there"): (7, 7), (300, "root"): (3, 3)}
    assert summary["allocs"] - result["allocs"] == summary["frees"] - result["frees"] + summary["in_use_blocks"] - (result["allocs"] - result["frees"])
    assert report["alone"]["not_counted"] == 0


@pytest.mark.limit(120)
def test_killed_again_and_again_under_load(target, attach):
    """Eight threads come, allocate and go, while memtraces are killed: of each of them at most the calls are
    missing that stood at a stop just then."""
    process = target("stays")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    do(process, "a 100")
    for turn in range(6):
        process.send("s 40000")
        if turn % 3:
            tracer.status()
        memtrace.kill_at_once(tracer)
        tracer = attach(process.pid, "--no-symbols", "--engine=auto")
        tracer.wait_said("of a memtrace that was killed")
        process.wait_line(r"^DONE 40000$")
        do(process, "a 1")
    report = tracer.detach().consistent()
    summary, result = report["summary"], end(process)
    assert by_size(report)[100, "root"] == (106, 106)
    assert report["alone"]["not_counted"] == 0
    # (what pthread_create() allocates is in no tally of the program's)
    assert -6 * 9 <= summary["allocs"] - result["allocs"] <= 8 * 6
    assert 106 <= summary["in_use_blocks"] <= 106 + 8 * 6 + 6 * 9


@pytest.mark.parametrize("lost", [BUILD_AT, ESTATE_AT + 100000, ESTATE_AT + (32 << 20) + 100000], ids=["build", "first", "second"])
def test_what_can_not_be_taken_up_after_a_kill(target, attach, lost):
    """Then it is taken out, which is said, and counting begins anew; of the two estates only one is looked at."""
    process = target("stays")
    before = whole(process.pid)
    do(process, "a 3")
    tracer = attach(process.pid, "--no-symbols", AGENT)
    do(process, "a 1000")
    memtrace.kill_at_once(tracer)
    current, = struct.unpack_from("<I", contents(process, LEFT_AT + 64), 32)
    written(process, lost, 1)
    is_read = lost == BUILD_AT or (lost > ESTATE_AT + (32 << 20)) == (current == 2)
    tracer = attach(process.pid, "--no-symbols", "--engine=auto")
    do(process, "a 7")
    report = tracer.detach().consistent()
    assert by_size(report)[100, "root"] == ((7, 7) if is_read else (1007, 1007))
    assert any("that is gone, counting begins anew" in line for line in tracer.err) == is_read, tracer.story()
    said = [line for line in tracer.err if "can't be gone on with in pid" in line]
    assert len(said) == (is_read and lost != BUILD_AT) and all("damaged" in line for line in said), tracer.story()
    assert whole(process.pid) == before
    end(process)


def test_killed_with_the_trap_alone_wanted(target, attach):
    """Who wants no agent takes out what is left."""
    process = target("stays")
    before = whole(process.pid)
    memtrace.kill_at_once(attach(process.pid, "--no-symbols", AGENT))
    do(process, "a 50")
    tracer = attach(process.pid, "--no-symbols", "--engine=trap")
    do(process, "a 7")
    report = tracer.detach().consistent()
    assert any("that is gone, counting begins anew" in line for line in tracer.err), tracer.story()
    assert by_size(report)[100, "root"] == (7, 7)
    assert whole(process.pid) == before
    end(process)
