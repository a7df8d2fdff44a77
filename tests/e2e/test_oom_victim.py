"""Where memory runs out the kernel is to end memtrace, not the process, nor who puts it back."""
import os
import pathlib
import subprocess

import memtrace


def number(pid):
    return int(pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text())


OURS = number("self")


def test_attached(target, attach, tmp_path):
    victim = target("pairs", "1", "1", "10")
    observer = attach(victim.pid)
    pid = observer.process.pid
    guardians = memtrace.children(pid)
    assert number(pid) == 1000
    assert len(guardians) >= 1 and {number(child) for child in guardians} == {OURS}
    assert number(victim.pid) == OURS
    # A command of the user's is not ours to offer; afterwards we stand first again.
    observer.send(f"!cat /proc/self/oom_score_adj >{tmp_path}/said")
    observer.status()
    assert int((tmp_path / "said").read_text()) == OURS
    assert number(pid) == 1000
    observer.detach()
    assert number(victim.pid) == OURS


def test_launched():
    """The program has the number that it would have without us, also where that is not 0."""
    done = subprocess.run([memtrace.MEMTRACE, "-q", "--no-symbols", "-o", os.devnull, "sh", "-c",
                           "cat /proc/self/oom_score_adj; "
                           "until read ours </proc/$PPID/oom_score_adj && [ $ours = 1000 ]; do :; done"],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          preexec_fn=lambda: pathlib.Path("/proc/self/oom_score_adj").write_text("300"))
    assert done.stdout.split() == ["300"], done.stderr
