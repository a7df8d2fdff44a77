"""Static programs with no room for stubs behind their code: the process maps a page for them itself,
by a thread that is in a system call of its own, and unmaps it again, whatever happens to us."""
import pytest

import build
import traced

KINDS = lambda cpu: list(build.ROOMLESS[cpu])
QUIET = "-q --no-symbols -b -x status --format=json -o /dev/null"
CODE = "grep -h r-xp /proc/{}/maps"


def code_mappings(guest, pid):
    return guest.run(CODE.format(pid), check=True).output


@pytest.mark.of_cpu(KINDS)
def test_counts(guest, name):
    """A page more while memtrace is there, and none behind it."""
    with traced.Running(guest, f"/root/room-{name} 4 200") as target:
        before = code_mappings(guest, target.pid)
        with traced.Attached(guest, target.pid, options=f"{traced.ALONE} --engine=trap") as attached:
            assert len(code_mappings(guest, target.pid).splitlines()) == len(before.splitlines()) + 1
            target.send()
            target.await_output("DONE", 180)
        said = guest.run("cat /tmp/words").output
        # (musl has no unwind data that would tell a stale word of a stack from a return address)
        assert code_mappings(guest, target.pid) == before or ("musl" in name and "stubs stay" in said), said
        target.send()
        target.await_output("RESULT")
        result = traced.result_in(guest.run("cat /tmp/out").output)
    for count in ("allocs", "frees", "allocated_bytes"):
        assert attached.report["summary"][count] == result[count], (attached.report["summary"], result)
    assert attached.report.get("missed", []) == []


@pytest.mark.of_cpu(lambda cpu: list(build.ROOMLESS[cpu])[:1])
def test_killed(guest, name):
    """The process does not notice, by its calls that wait, and no page stays.  (Each step: tests/e2e.)"""
    with traced.Running(guest, f"/root/room-{name} 2 100") as target:
        before = code_mappings(guest, target.pid)
        for i in range(6):
            guest.run(f"sleep 30 | /root/memtrace -q --no-symbols -p {target.pid} >/dev/null 2>&1 & usleep {200000 + 150000 * i}; "
                      "kill -9 $!; while pidof memtrace; do usleep 20000; done", timeout=60)  # its guardian
            target.untouched()
            assert code_mappings(guest, target.pid) == before, i
        target.finish()


@pytest.mark.of_cpu(lambda cpu: ["static-far"] if cpu == "arm64" else [])
def test_out_of_reach(guest, name):
    """No room at all near its code, and no register to come home by from the vdso: that is said."""
    with traced.Running(guest, f"/root/room-{name} 2 100") as target:
        done = guest.run(f"/root/memtrace {QUIET} -p {target.pid}", 120)
        assert done.status == 1 and "no thread is near enough to room for the code of a system call" in done.output, done.output
        target.untouched()
        target.finish()
