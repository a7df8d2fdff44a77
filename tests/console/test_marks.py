"""Marks: what changed since a moment that was named, in numbers that the program was told."""
import re
import subprocess
import threading

import pytest


class Pipe:
    """memtrace on pipes, a command at a time: what follows it is the answer."""

    def __init__(self, memtrace, pid, *options, names="--no-symbols"):
        self.process = subprocess.Popen([memtrace, "-q", names, *options, "-p", str(pid)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.timer = threading.Timer(30, self.process.kill)  # an answer that does not come is an end
        self.timer.start()

    def ask(self, command, last):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        lines = []
        while not lines or not re.search(last, lines[-1]):
            line = self.process.stdout.readline()
            assert line, lines
            lines.append(line.rstrip("\n"))
        return lines

    def quit(self):
        self.process.stdin.close()
        self.process.stdout.read()
        assert self.process.wait() == 0

    def end(self):
        self.process.kill()
        self.process.wait()
        self.timer.cancel()
        self.process.stdout.close()


@pytest.fixture
def pipe(memtrace, obedient):
    # (an agent's line in `status` is no table's)
    process = Pipe(memtrace, obedient.pid, "--engine=trap")
    yield process
    process.end()


def heads(answer):
    """(difference, born and died) of each call stack."""
    return [(line.split("  ")[1], answer[i + 1].strip()) for i, line in enumerate(answer) if re.match(r"\d+\. #", line)]


@pytest.fixture(params=["trap", "agent"])
def either(memtrace, obedient, request):
    process = Pipe(memtrace, obedient.pid, f"--engine={request.param}")
    yield process
    process.end()


def test_what_grows_between_marks(either, obedient):
    """(An agent knows as well who came before a mark, and who behind it.)"""
    pipe = either
    assert pipe.ask("marks", ".") == ["There are no marks; 'mark' sets one"]
    obedient.order("allocate 3 100")
    assert pipe.ask("mark a", ".") == ["Mark a"]
    obedient.order("allocate 5 8")
    obedient.order("free 1")
    assert pipe.ask("mark", ".") == ["Mark 1"]

    since_a = pipe.ask("diff a", "^In all")
    assert re.fullmatch(r"From a to now: \d+\.\d s\. 1 call stack has more in use: \+32 bytes in \+4 blocks\.", since_a[0])
    (grown, moved), = heads(since_a)
    assert grown == "+32 bytes in +4 blocks"
    # (five, where the mark is of the hundredth of a second in which they were allocated)
    assert moved in ("5 born, 1 died, 4 survived", "5 born, 1 died, 4 to 5 survived")
    assert any("obey" in line or "obedient" in line for line in since_a)
    assert since_a[-1] == f"In all +32 bytes in +4 blocks: {moved}"

    obedient.order("free 5")  # the last 8-byte blocks, and one of 100
    since_1 = pipe.ask("diff", "^In all")
    assert since_1[0].endswith("No call stack has more in use than before.") and heads(since_1) == []
    assert since_1[-1] == "In all -132 bytes in -5 blocks: 0 born, 5 died, 0 survived"
    assert heads(pipe.ask("diff --all", "^In all")) == [("-132 bytes in -5 blocks", "0 born, 5 died, 0 survived")]
    between = pipe.ask("diff a 1", "^In all")
    assert between[0].startswith("From a to 1: ")
    # (now: all but the first of them has gone)
    assert re.fullmatch(r"In all \+32 bytes in \+4 blocks: 5 born, 1 died, (0|0 to [12]) survived", between[-1])
    assert pipe.ask("diff start a", "^In all")[-1] .startswith("In all +300 bytes in +3 blocks: 3 born, 0 died, ")
    assert pipe.ask("diff 1 a", ".") == ["memtrace: '1' is later than 'a'"]
    assert pipe.ask("diff b", ".") == ["memtrace: there is no mark 'b'; 'marks' lists them"]
    listed = pipe.ask("marks", "^1:")
    assert [re.sub(r"\d+ s ago", "T", line) for line in listed] == [
        "a: T, 300 bytes in 3 blocks in use", "1: T, 332 bytes in 7 blocks in use"]
    pipe.quit()


def test_clear_drops_them(pipe, obedient):
    pipe.ask("mark a", "^Mark a$")
    pipe.ask("clear", "peak:")
    assert pipe.ask("marks", "no marks") == ["There are no marks; 'mark' sets one"]
    obedient.order("allocate 2 10")
    assert pipe.ask("diff", "^In all")[-1] == "In all +20 bytes in +2 blocks: 2 born, 0 died, 2 survived"
    pipe.quit()


def test_marks_of_a_script(memtrace, obedient, tmp_path):
    answer = tmp_path / "diff"
    result = subprocess.run([memtrace, "-q", "-b", "-d", "1h", "-x", "mark a", "-x", f"diff a > {answer}", "-x", "quit",
                             "-p", str(obedient.pid)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert answer.read_text().endswith("\nIn all +0 bytes in +0 blocks: 0 born, 0 died, 0 survived\n")
    result = subprocess.run([memtrace, "-x", "mark a b", "-p", str(obedient.pid)], capture_output=True, text=True)
    assert result.returncode and "'b' is too much; usage: mark [NAME]" in result.stderr


def rows(answer):
    """(in use, blocks) of each row of the history."""
    return [(line.split()[1], line.split()[2]) for line in answer if re.match(r" *\d+:\d\d:\d\d ", line)]


def test_marks_by_themselves(memtrace, obedient):
    """--mark-every, while -x waits; a mark that has a name is not dropped for them."""
    result = subprocess.run([memtrace, "-q", "--no-symbols", "-b", "--mark-every=100ms", "-x", "mark a", "-x", "wait 350ms",
                             "-x", "marks", "-p", str(obedient.pid)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    names = re.findall(r"^(\w+): \d+ s ago, 0 bytes in 0 blocks in use$", result.stdout, re.M)
    assert names[:2] == ["a", "1"] and names[1:] == [str(i + 1) for i in range(len(names) - 1)]


def test_monitor_says_what_changed(pipe, obedient):
    pipe.ask("monitor 100ms", "peak:")
    pipe.ask("", r"since the last: \+0 bytes in \+0 blocks; 0.0 allocs/s, 0.0 frees/s$")
    obedient.order("allocate 5 8")
    assert pipe.ask("", r"since the last: \+[1-9]")
    obedient.order("free 5")
    assert pipe.ask("", r"since the last: -\d+ bytes in -\d+ blocks?; \d+\.\d allocs/s, \d+\.\d frees/s$")
    pipe.ask("monitor stop", "Monitor is off")
    pipe.quit()


VERDICT = "^[a-z ]+: "


def test_history(pipe, obedient):
    pipe.ask("status", "peak:")  # it is attached
    obedient.order("allocate 3 100")
    assert rows(pipe.ask("history", VERDICT))[-1] == ("300", "3")
    obedient.order("allocate 2 10240")
    answer = pipe.ask("wait 1100ms\nhistory -n 2", VERDICT)
    assert answer[0].split() == ["time", "in", "use", "blocks", "allocs/s", "frees/s", "RSS"]
    assert len(rows(answer)) == 2 and rows(answer)[-1] == ("20.2K", "5")
    assert answer[2].endswith("|" + 16 * "#") and all(len(line) <= 80 for line in answer)
    assert re.fullmatch(r"too early: \d+ s are too short to tell; 60 are needed", answer[-1])
    # the start, two that were asked for, and what the time that was waited brought
    assert int(answer[-2].split()[0]) >= 4
    assert re.search(r"; PSS +\d+\.\dK now$", answer[-2])
    assert re.fullmatch(r"mapped for data, allocators' and others': \d+\.\dK now, at most \d+\.\dK", answer[-4])
    assert re.fullmatch(r"of that, the allocators have: 132.0K now, at most 132.0K", answer[-3])
    pipe.ask("clear", "peak:")
    assert rows(pipe.ask("history", VERDICT))[-1] == ("0", "0")
    pipe.quit()


def test_what_is_mapped(pipe, obedient):
    """What was freed, and is given back, is no longer mapped."""
    def mapped():
        found = re.fullmatch(r"mapped .*: ([\d.]+)([KM]) now, at most ([\d.]+)([KM])", pipe.ask("history", VERDICT)[-4]).groups()
        return [float(number) * {"K": 1, "M": 1024}[unit] for number, unit in zip(found[::2], found[1::2])]
    pipe.ask("status", "peak:")
    least = mapped()[0]
    obedient.order("allocate 300 60000")  # (by brk: 17578 KB)
    now, most = mapped()
    assert now >= least + 17400 and most == now
    obedient.order("free 300")
    assert mapped() == [pytest.approx(least, abs=400), now]
    pipe.quit()


def test_sums_tree_and_filters(memtrace, obedient):
    """What is in use by who allocated; only through, or not through, a function."""
    pipe = Pipe(memtrace, obedient.pid, "--engine=trap", names="-q")
    try:
        pipe.ask("status", "peak:")
        obedient.order("allocate 4 100")
        assert pipe.ask("report --by function", "call stack")[-1] == "100%  400 bytes in 4 blocks, 1 call stack: obey_allocate"
        assert pipe.ask("report --by=module --in obey*", "call stack") == ["100%  400 bytes in 4 blocks, 1 call stack: obedient"]
        assert pipe.ask("report --by=file --not obey*", ".") == ["Nothing is in use."]
        assert pipe.ask("tree obey_allocate", ".") == ["100%  400 bytes in 4 blocks  obey_allocate"]
        assert "Only call stacks through no* are shown; the totals are of all." in pipe.ask("report --in no*", "peak:")
        assert pipe.ask("history 1", VERDICT)[0].split() == ["time", "in", "use", "born", "alive"]
        answer = pipe.ask("history 1", VERDICT)  # (the generation may have ended since)
        assert any(re.match(r" +0:00:\d\d +400 +4 +4 \|#{16}$", row) for row in answer), answer
    finally:
        pipe.end()


def test_who_was_born_between_marks(memtrace, obedient):
    """By an agent: what is in use is of a generation or two, which marks divide; and who is not divided from a time by
    one may be older, or not."""
    pipe = Pipe(memtrace, obedient.pid, "--engine=agent")
    try:
        pipe.ask("status", "peak:")
        for i in range(6):  # (marks have ticks of their own)
            obedient.order(f"allocate {i + 1} 8")
            pipe.ask(f"wait 20ms\nmark {i + 10}", "^Mark")
            pipe.ask("wait 20ms\nmarks", f"^{i + 10}")
        obedient.order("free 8")  # the last six, and two of the five
        for i, survived in enumerate((2, 3, 4, 3, 0)):
            found = pipe.ask(f"diff {i + 10} {i + 11}", "^In all")[-1]
            assert found.endswith(f": {i + 2} born, 0 died, {survived} survived"), (i, found)
        found = pipe.ask("report --min-age 10ms", "peak:")
        assert "    13 blocks were allocated at least 0.01 s ago" in found, found
        known = 13
        while True:
            obedient.order("allocate 3 8")
            found = pipe.ask("report --min-age 10ms", "peak:")
            if f"    {known + 3} blocks were allocated at least 0.01 s ago" not in found:
                break
            known += 3  # (a generation has ended since: they are known to be of before)
        assert f"    {known} to {known + 3} blocks were allocated at least 0.01 s ago" in found, found
    finally:
        pipe.end()


def test_min_age(pipe, obedient):
    pipe.ask("marks", ".")
    obedient.order("allocate 3 100")
    pipe.ask("wait 30ms\nmarks", ".")
    assert "    3 blocks were allocated at least 0.01 s ago" in pipe.ask("report --min-age 10ms", "peak:")
    pipe.ask("mark a", "^Mark a$")
    for command, last in (("report --min-age=1h", "peak:"), ("tree --min-age 1h", "."), ("diff start --min-age 1h", "^In all"),
                          ("top --min-age 1h 100ms", "who$")):
        assert not any("#1" in line or "obe" in line for line in pipe.ask(command, last)[1:]), command
    assert pipe.ask("report --min-age never", ".")[0].startswith("memtrace: --min-age: ")
    pipe.quit()
