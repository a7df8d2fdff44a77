"""Programs under memtrace in a guest: started by it, or met running."""
import json
import re
import struct

import json_report

REPORT = "--format=json -n 0 --all -o /tmp/report.json"
# A search for memtrace-fs takes a second: without names, and with those that files in the
# guest have (there is no memtrace-fs in it).
ALONE = "--no-symbols"
NAMED = "--debug-dir=/usr"
NAMES = ("allocs", "frees", "allocated_bytes", "freed_bytes")


class Report(dict):
    def counts(self):
        return {name: self["summary"][name] for name in NAMES}

    def consistent(self):
        """What must hold in every report."""
        summary = self["summary"]
        assert summary["lost_events"] == 0, summary
        for name in ("in_use_bytes", "in_use_blocks", "allocs", "frees", "allocated_bytes"):
            assert sum(c[name] for c in self["contexts"]) == summary[name], name
        return self


def read_report(guest):
    return Report(json_report.load(guest.read("/tmp/report.json"))).consistent()


def result_in(text):
    """The RESULT that a target of tests/targets printed; its verdict is checked."""
    results = [json.loads(line[7:]) for line in text.splitlines() if line.startswith("RESULT ")]
    assert results, f"the target did not come to its end:\n{text}"
    assert results[-1]["verdict"] == "ok", results[-1]["verdict"]
    return results[-1]


def launch(guest, command, timeout=120.0, program="/root/memtrace", options=ALONE):
    """Runs a command under memtrace to its end: (what it printed, report)."""
    done = guest.run(f"rm -f /tmp/report.json; {program} -q {REPORT} {options} {command} </dev/null", timeout)
    assert done.status == 0, f"status {done.status}: {done.output}"
    return done.output, read_report(guest)


def launch_counted(guest, command, timeout=120.0):
    """The same with an oracle in the process, which counts on its own (count_preload.c):
    its numbers and memtrace's must be equal.  The report."""
    oracle = "LD_PRELOAD=/root/targets/count_preload.so COUNT_FILE=/tmp/counts"
    guest.run("rm -f /tmp/counts", check=True)
    output, report = launch(guest, f"env {oracle} {command}", timeout)
    numbers = struct.unpack("<6Q", guest.read("/tmp/counts")[:48])
    assert numbers[5] == 0, f"the oracle could not follow {numbers[5]} blocks"
    expected = dict(zip(NAMES, numbers[1:5]))
    assert report.counts() == expected, f"{report.counts()} for {expected}\n{output}"
    return output, report


# Every thread but the kernel's own, at two moments: who runs, who waits for what, who traces whom.
# (call: number, arguments, sp, pc; then the kernel's stack.  Times: ticks of user and system.)
STANDING = """
    for p in /proc/[0-9]*; do
        grep -qE '^(P*Pid:.2|Pid:.1|Name:.timeout)$' $p/status || [ $p = /proc/$$ ] || [ ! -e $p ] || echo ${p#/proc/};
    done 2>/dev/null >/tmp/standing;
    for p in $(cat /tmp/standing); do
        echo "== $p $(tr '\\0' ' ' </proc/$p/cmdline)"; grep -E '^[0-9a-f]+-[0-9a-f]+ r-xp .*memtrace' /proc/$p/maps;
        for t in /proc/$p/task/*; do
            echo "$(cat $t/comm) ${t##*/}: $(grep -E '^(State|TracerPid|Sig[QPB]|ShdPnd|n*o*n*vol)' $t/status | tr '\\t\\n' ' ;')";
            echo "  times $(cut -d')' -f2 $t/stat | cut -d' ' -f13,14) in $(cat $t/wchan) call $(cat $t/syscall)"; head -n 5 $t/stack;
        done;
    done 2>/dev/null;
    echo "a second later:"; sleep 1;
    for p in $(cat /tmp/standing); do
        for t in /proc/$p/task/*; do
            echo "${t##*/} $(grep ^State $t/status) $(cut -d')' -f2 $t/stat | cut -d' ' -f13,14) $(cat $t/syscall)";
        done;
    done 2>/dev/null
"""


def said(guest, path):
    """What a failure is to be understood by: what is in a file; where memtrace, its guardian, the target
    and whoever waits for them stand; and what the kernel has said since it was asked last
    (print-fatal-signals: registers, and where that was)."""
    standing = " ".join(line.strip() for line in STANDING.splitlines())
    return guest.run(f"echo \"{path}:\"; cat {path}; {standing}; echo kernel:; dmesg -c", timeout=120).output


class Running:
    """A program of tests/targets that stands at READY; ended with the block."""

    def __init__(self, guest, command):
        self.guest, self.command = guest, command

    def __enter__(self):
        # The sleeper holds the pipe open, so that the target's input does not end.
        self.guest.run("rm -f /tmp/in /tmp/out; mkfifo /tmp/in", check=True)
        start = (f"sleep 100000 >/tmp/in 2>&1 & echo $! >/tmp/holder; "
                 f"{self.command} </tmp/in >/tmp/out 2>&1 & echo $!")
        self.pid = int(self.guest.run(start, check=True).output)
        self.await_output("READY")
        return self

    def __exit__(self, *_):
        self.guest.run(f"kill -9 {self.pid} $(cat /tmp/holder)")

    def await_output(self, text, seconds=60):
        found = self.guest.run(f"until grep -iq {text} /tmp/out; do usleep 20000; done", timeout=seconds)
        assert found.status == 0, f"no {text}: {said(self.guest, '/tmp/out')}"

    def send(self):
        self.guest.run("echo >/tmp/in", check=True)

    def attach(self, options=ALONE):
        """A memtrace until it has counted something; its report.  The target must be as before."""
        with Attached(self.guest, self.pid, options=options) as attached:
            attached.await_allocs()
        return attached.report

    def untouched(self):
        untouched(self.guest, self.pid)

    def finish(self):
        """Lets it come to its end; what it says of itself."""
        self.send()
        self.await_output("DONE")
        self.send()
        self.await_output("RESULT")
        return result_in(self.guest.run("cat /tmp/out").output)


class Attached:
    """A memtrace attached to a process for the time of the block; `report` is behind it.  The
    process must then be as before."""

    def __init__(self, guest, pid, program="/root/memtrace", options=NAMED):
        self.guest, self.pid, self.command = guest, pid, f"{program} {options} {REPORT} -p {pid}"

    def __enter__(self):
        self.start()
        return self

    def start(self):
        # The sleeper holds the pipe open: memtrace leaves at the end of its input.
        start = (f"rm -f /tmp/console /tmp/report.json /tmp/words; mkfifo /tmp/console; "
                 f"sleep 100000 >/tmp/console & echo $! >/tmp/keeper; "
                 f"{self.command} </tmp/console >/tmp/words 2>&1 & echo $! >/tmp/tracer")
        self.guest.run(start, check=True)
        done = self.guest.run("echo status >/tmp/console; until grep -qs 'HEAP SUMMARY' /tmp/words; do usleep 20000; done",
                              timeout=120)
        assert done.status == 0, said(self.guest, "/tmp/words")

    def await_allocs(self):
        """.. until the console says that there have been some."""
        done = self.guest.run("until grep -q 'usage: [1-9]' /tmp/words; do echo status >/tmp/console; usleep 100000; done",
                              timeout=120)
        assert done.status == 0, said(self.guest, "/tmp/words")

    def __exit__(self, kind, *_):
        self.guest.run("echo quit >/tmp/console; kill $(cat /tmp/keeper); "
                       "while kill -0 $(cat /tmp/tracer); do usleep 20000; done", timeout=120)
        if not kind:
            if "--stay" not in self.command:
                untouched(self.guest, self.pid)
            self.report = read_report(self.guest)


def forsake(guest, pid, options=ALONE, before=lambda: None):
    """Attaches to a process and kills memtrace and its guardian: what they did to it stays.
    before: what is to be between the two."""
    Attached(guest, pid, options=options).start()
    before()
    # Stopped first: the guardian would begin with its work if it came to run between the two ends.
    guest.run("pids=$(pidof memtrace); kill -STOP $pids; kill -9 $pids $(cat /tmp/keeper); while kill -0 $(cat /tmp/tracer); do usleep 20000; done",
              timeout=60)
    assert guest.run(f"kill -0 {pid}").status == 0, "died when memtrace was killed"
    assert guest.run(f"/root/targets/untouched {pid}").status != 0, "nothing is left that could be cleared away"


def kill_at(guest, pid, step, command, both=False):
    """memtrace is killed just before its step (tests/e2e/kill_at.c), and its guardian, too; "all": it
    is not.  How many steps it made.  What it traced lives."""
    done = guest.run(f"/root/kill_at {step} {'-g' if both else ''} /root/memtrace {command} -p {pid} </dev/null", timeout=120)
    found = re.search(r"^STEPS (\d+) ", done.output, re.M)
    assert found, done.output
    assert guest.run(f"kill -0 {pid}").status == 0, f"died at step {step}"
    return int(found[1])


def all_kills(made):
    """(step, is the guardian killed, too)"""
    return [(step, both) for both in (False, True) for step in range(made)]


def untouched(guest, pid):
    done = guest.run(f"/root/targets/untouched {pid}")
    assert done.status == 0, f"status {done.status}: {done.output}"


def attach_and_count(guest, command, program="/root/memtrace", options=NAMED):
    """What a program of tests/targets allocates between READY and DONE, with memtrace attached
    before, is exactly what it says itself.  The report."""
    with Running(guest, command) as target:
        with Attached(guest, target.pid, program, options) as attached:
            target.send()
            target.await_output("DONE", 180)
        target.send()
        target.await_output("RESULT")
        result = result_in(guest.run("cat /tmp/out").output)
    for name in ("allocs", "frees", "allocated_bytes"):
        assert attached.report["summary"][name] == result[name], (attached.report["summary"], result)
    return attached.report
