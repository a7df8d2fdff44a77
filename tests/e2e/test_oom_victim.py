"""Where memory runs out the kernel is to end memtrace, not the process, nor who puts it back."""
import os
import pathlib
import re
import struct
import subprocess

import pytest

import memtrace
from test_resident import built


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


LIMIT = 48 << 20


class Group:
    """A group whose memory ends at LIMIT, without swap; cgroup v1 or v2."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        try:
            one = (path / "memory.limit_in_bytes").exists()
            (path / ("memory.limit_in_bytes" if one else "memory.max")).write_text(str(LIMIT))
            swap = path / ("memory.swappiness" if one else "memory.swap.max")
            if swap.exists():
                swap.write_text("0")
        except OSError:
            path.rmdir()
            raise

    def join(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))

    def end(self):
        for pid in (self.path / "cgroup.procs").read_text().split():
            (self.path.parent / "cgroup.procs").write_text(pid)
        self.path.rmdir()


@pytest.fixture
def group():
    for root in "/sys/fs/cgroup/memory", "/sys/fs/cgroup":
        try:
            made = Group(pathlib.Path(root) / f"memtrace-{os.getpid()}")
        except OSError:
            continue
        yield made
        made.end()
        return
    pytest.skip("no memory group can be made here")


EATER = r"""
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	volatile uint64_t *had = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open(argv[argc - 1], O_RDWR), 0);
	printf("READY %d\n", (int)getpid());
	fflush(stdout);
	if (read(0, &(char){0}, 1) != 1)
		return 1;
	for (;;) {
		char *block = malloc(1000);
		++*had;
		memset(block, 1, 1000);
		if (*had % 4 == 0) { /* what goes is counted to the last, too */
			free(block);
			++had[1];
		}
	}
}
"""


def test_no_agent_where_memory_is_short(target, attach, group):
    process = target("threads", "2", "100")
    group.join(process.pid)
    observer = attach(process.pid, "--no-symbols")
    process.go_on()
    process.done()
    report = observer.detach()
    assert report["engine"] == "trap" and report["engine_reason"].startswith("memory is short: ")
    process.go_on()
    process.result()


MANY = r"""
#include "target.h"
enum { COUNT = 3000, SIZE = 32000 }; /* whose pages are not touched, but for the first */
static void *kept[COUNT];
int main(void)
{
	target_ready();
	for (int i = 0; i < COUNT; i++)
		kept[i] = got(malloc(SIZE), SIZE);
	target_done();
	for (int i = 0; i < COUNT; i++)
		drop(kept[i], SIZE);
	return target_result(NULL);
}
"""


def test_an_agent_whose_memory_is_full(tmp_path, target, attach, group):
    """A quarter of what is left has no entries for 96 MB of addresses: for the rest calls stop, all are counted, and that is said."""
    process = target(built(tmp_path, MANY))
    group.join(process.pid)
    observer = attach(process.pid, "--no-symbols", "--engine=agent")
    process.go_on()
    process.done()
    observer.status()
    report = observer.detach().consistent()
    summary = report["summary"]
    assert (summary["in_use_blocks"], summary["in_use_bytes"]) == (3000, 3000 * 32000)
    said, = [line for line in observer.err if "the agent's memory is full" in line]
    size = int(re.search(r"full \((\d+) MB: 1/4 of what was left, 512 at most\)", said)[1])
    assert LIMIT // 8 < size << 20 <= LIMIT // 4
    assert 1000 < report["stopped_calls"] < 3000
    process.go_on()
    process.result()


@pytest.mark.parametrize("engine", ["agent", "trap"])
def test_counts_to_the_last_allocation(started, attach, group, tmp_path, engine):
    """The process is the one that the kernel ends; it has counted itself, in memory that it leaves behind."""
    if engine == "agent" and os.uname().machine not in ("x86_64", "aarch64"):
        pytest.skip("there is no agent for this CPU")
    program, tally = tmp_path / "eater", tmp_path / "tally"
    subprocess.run(["cc", "-O1", "-o", program, "-xc", "-"], check=True, text=True, input=EATER)
    tally.write_bytes(bytes(4096))
    eater = memtrace.Process([program, tally])
    started.append(eater)
    eater.wait_line("^READY")
    group.join(eater.pid)
    observer = attach(eater.pid, "--no-symbols", f"--engine={engine}")
    eater.send()
    assert observer.wait(120) == 0, observer.story()
    assert eater.wait() == -9, eater.story()
    report = observer.report().consistent()
    assert report["engine"] == engine
    allocs, frees = struct.unpack("=QQ", tally.read_bytes()[:16])
    summary = report["summary"]
    assert allocs > 30000
    # It may have ended within malloc(), or between its return and its own count; the same of free().
    assert (summary["allocs"] - allocs, summary["frees"] - frees) in [(0, 0), (1, 0), (0, 1)], (summary, allocs, frees)
