"""Programs with no room for stubs behind their code, nor near it: the process maps a page for them
itself, and unmaps it again, whatever happens to us meanwhile."""
import os
import pathlib
import resource
import shutil
import subprocess

import pytest

import memtrace
from test_entries import tally
from test_kills import QUIET, clean_up, must_live, random_kills, steps_of

SOURCES = pathlib.Path(__file__).parent.parent / "targets"
PAGE = 4096
TRAP = "--engine=trap"  # an agent has mappings of its own (test_resident)
FLAGS = ["-std=gnu11", "-O2", "-g", "-fno-builtin", "-D_GNU_SOURCE", "-pthread", "-I", SOURCES]


def behind_code(program):
    """Bytes from the end of the code to that of its page."""
    (vaddr, _, size), *_ = memtrace._exec_segments(program.read_bytes())
    return -(vaddr + size) % PAGE


def squeezed(tmp_path, sources, behind, *flags):
    """Built so that so many bytes, and at most 15 more, are behind its code."""
    program = tmp_path / f"squeezed-{behind}"
    padding = 0
    for _ in range(4):
        subprocess.run(["cc", *FLAGS, *flags, "-o", program, "-xc", *sources, "-xassembler", "-"], check=True, text=True,
                       input=f'.section padding,"ax",@progbits\n.skip {padding + 1}, 0x90\n'
                             '.section .note.GNU-stack,"",@progbits\n')
        if 0 <= behind_code(program) - behind < 16:
            return program
        padding = (padding + behind_code(program) - behind - 8) % PAGE
    raise AssertionError(f"{behind_code(program)} bytes behind the code, not {behind}")


def code_mappings(pid):
    return [m[:3] for m in memtrace._mappings(pid) if "x" in m[2]]


@pytest.mark.parametrize("kind", ["-static", "-static-pie"])
@pytest.mark.parametrize("behind", [0, 16, 48, 100, 175])
def test_static(tmp_path, follow, behind, kind):
    """The static programs of older distributions have 175 to 191."""
    program = squeezed(tmp_path, [SOURCES / "threads.c"], behind, kind)
    result, report = follow(program, "4", "500")
    assert report.counts() == tally(result)
    assert report.get("missed", []) == []


BUMP = r"""
#include <stddef.h>
#include <stdint.h>
#include <string.h>
static _Alignas(64) char memory[64 << 20];
static size_t used;
void *malloc(size_t size)
{
	size_t need = (size + 31) & ~(size_t)15;
	char *at = memory + __atomic_fetch_add(&used, need, __ATOMIC_RELAXED);
	*(size_t *)at = size;
	return at + 16;
}
void free(void *block) { if (block) __asm__ volatile("" : : "r"(block) : "memory"); }
void *calloc(size_t count, size_t size) { return memset(malloc(count * size), 0, count * size); }
void *realloc(void *block, size_t size)
{
	void *next = malloc(size);
	size_t old = block ? ((size_t *)block)[-2] : 0;
	return memcpy(next, block ? block : next, old < size ? old : size);
}
"""


@pytest.mark.parametrize("behind", [0, 300])
def test_allocator_linked_into_a_dynamic_program(tmp_path, follow, behind):
    """Its libraries are farther away than a jump reaches."""
    allocator = tmp_path / "bump.c"
    allocator.write_text(BUMP)
    program = squeezed(tmp_path, [SOURCES / "threads.c", allocator], behind, "-pie", "-fPIE")
    result, report = follow(program, "4", "500")
    assert report.counts() == tally(result)


def test_launched(tmp_path):
    """The page is mapped where the program stands before its first instruction."""
    program = squeezed(tmp_path, [SOURCES / "threads.c"], 0, "-static")
    status, out, report = memtrace.launch(tmp_path / "report", [program, "4", "500"])
    assert status == 0
    result = memtrace.parse_result(out)
    report.consistent()
    assert report.through("pool_alloc")["allocs"] == 4 * 500
    assert result["allocs"] <= report["summary"]["allocs"] <= result["allocs"] + 20


def test_nothing_stays(tmp_path, target, attach):
    program = squeezed(tmp_path, [SOURCES / "threads.c"], 0, "-static")
    process = target(program, "5", "100")
    before = code_mappings(process.pid), memtrace.fingerprint(process.pid)
    for _ in range(5):
        tracer = attach(process.pid, "--no-symbols", TRAP)
        tracer.status()
        assert len(code_mappings(process.pid)) == len(before[0]) + 1
        tracer.detach()
        assert (code_mappings(process.pid), memtrace.fingerprint(process.pid)) == before
    process.go_on()
    process.done()
    process.go_on()
    process.result()


@pytest.mark.limit(120)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_killed_at_each_step(tmp_path, target, attach, guardian):
    """All steps: those by which a thread is made to map the page and to unmap it are among them."""
    program = squeezed(tmp_path, [SOURCES / "threads.c"], 0, "-static")
    process = target(program, "2", "100")
    before = code_mappings(process.pid)
    made, end = steps_of(process, "all")
    assert end == "ended"
    for step in range(made):
        steps_of(process, str(step), *(["-g"] if guardian else []))
        must_live(process)
        if not guardian:
            memtrace.untouched(process.pid)
            assert code_mappings(process.pid) == before, step
    clean_up(process, attach)
    assert code_mappings(process.pid) == before
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def test_a_fork_child_keeps_the_page(tmp_path, target, attach):
    """Empty; it lives on, and a memtrace that comes to it later takes the page away."""
    program = squeezed(tmp_path, [SOURCES / "children.c"], 0, "-static")
    process = target(program, "stay")
    before = code_mappings(process.pid)
    tracer = attach(process.pid, "--no-symbols", TRAP)
    process.go_on()
    child = int(process.wait_line(r"^CHILD (\d+)$")[1])
    memtrace.wait_until_untraced(child)
    tracer.detach()
    assert code_mappings(process.pid) == before
    assert len(code_mappings(child)) == len(before) + 1
    page = next(m for m in code_mappings(child) if m not in before)
    with open(f"/proc/{child}/mem", "rb", buffering=0) as mem:
        assert not any(os.pread(mem.fileno(), page[1] - page[0], page[0])[16:])
    tracer = attach(child, "--no-symbols", TRAP)
    assert len(code_mappings(child)) == len(before) + 1
    tracer.detach()
    assert code_mappings(child) == before
    process.go_on()
    process.done()
    process.go_on()
    process.result()


def test_who_comes_next_needs_no_page(tmp_path, target, attach):
    """A stripped program, whose functions memtrace-fs has named: a memtrace without memtrace-fs can't
    follow it, and takes away the page of the one that was killed."""
    program = squeezed(tmp_path, [SOURCES / "threads.c"], 0, "-static")
    debug = tmp_path / "debug"
    place = debug / str(program)[1:]
    place.parent.mkdir(parents=True)
    shutil.copy(program, place)
    subprocess.run(["strip", "--strip-all", program], check=True)
    process = target(program, "3", "100")
    before = code_mappings(process.pid)
    tracer = attach(process.pid, f"--debug-dir={debug}", TRAP)
    memtrace.kill_at_once(tracer)
    assert len(code_mappings(process.pid)) == len(before) + 1
    run = memtrace.Process([memtrace.MEMTRACE, *QUIET, "-b", TRAP, "-p", process.pid])
    assert run.wait() == 1 and any("no allocator found" in line for line in run.err), run.story()
    memtrace.untouched(process.pid)
    assert code_mappings(process.pid) == before
    process.go_on()
    process.done()
    process.go_on()
    process.result()


@pytest.mark.limit(90)
@pytest.mark.parametrize("guardian", [False, True], ids=["memtrace", "memtrace and guardian"])
def test_killed_in_a_storm(tmp_path, target, attach, guardian):
    program = squeezed(tmp_path, [SOURCES / "storm.c"], 0, "-static")
    process = target(program, "-t", "4", "-f", "-b", "-p", "-S")
    random_kills(process, 10, os.getpid(), guardian)
    clean_up(process, attach)
    must_live(process)
    process.go_on()
    process.result()


def test_calls_that_an_attach_interrupts(tmp_path, target, attach):
    """The thread that maps the page was in a call of its own."""
    program = squeezed(tmp_path, [SOURCES / "eintr.c"], 0, "-static")
    process = target(program)
    for _ in range(5):
        attach(process.pid, "--no-symbols").detach(check=False)
    process.go_on()
    process.result()


def test_who_may_not_map_says_so(tmp_path, target):
    """RLIMIT_AS is in the way: the reason is true, and the process as it was."""
    program = squeezed(tmp_path, [SOURCES / "threads.c"], 0, "-static")
    process = target(program, "2", "100")
    before = code_mappings(process.pid)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (1, resource.RLIM_INFINITY))
    run = memtrace.Process([memtrace.MEMTRACE, *QUIET, "-b", "-x", "status", "-p", process.pid])
    assert run.wait() == 1, run.story()
    assert any("no room for stubs near it" in line and "Cannot allocate memory" in line for line in run.err), run.story()
    assert not any("has a symbol malloc" in line for line in run.err), run.story()
    assert code_mappings(process.pid) == before
    resource.prlimit(process.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    process.go_on()
    process.done()
    process.go_on()
    process.result()
