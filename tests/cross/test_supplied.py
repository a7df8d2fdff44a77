"""Static programs without any symbol: memtrace-fs, on this machine, says where their functions
are; and what is left of that when memtrace and its guardian are killed."""
import contextlib

import pytest

import build
import traced
from serving import free_port, serving


@contextlib.contextmanager
def supplied(guest):
    """The option by which memtrace finds a memtrace-fs with the unstripped programs."""
    port = free_port()
    with serving([build.variants(guest.name)], "--no-announce", f"--listen=127.0.0.1:{port}"):
        yield f"--connect=10.0.2.2:{port}"


@pytest.mark.of_cpu(lambda cpu: build.static_variants(cpu))
def test_counts(guest, name):
    with supplied(guest) as option:
        traced.attach_and_count(guest, f"/root/stripped/entries-{name} 3", options=option)


@pytest.mark.of_cpu(lambda cpu: build.static_variants(cpu))
def test_killed_with_the_guardian(guest, name):
    """Who comes next knows nothing of the functions, and restores the process all the same.  (Where an agent counts,
    what was known is taken over: test_agent.)"""
    with traced.Running(guest, f"/root/stripped/entries-{name} 3") as target:
        with supplied(guest) as option:
            traced.forsake(guest, target.pid, f"{option} --engine=trap")
        done = guest.run(f"/root/memtrace -q {traced.ALONE} -b -p {target.pid} </dev/null")
        assert done.status == 1 and "no allocator found" in done.output, done.output
        target.untouched()
        target.finish()
