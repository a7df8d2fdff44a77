"""--follow=fork and all: children are followed from their birth, where they wait, beside their parent."""
import json
import re

import pytest

import json_report
import traced

OPTIONS = "-q --no-symbols --format=json -n 0 --all -o /tmp/report.json"
NAMES = traced.NAMES


@pytest.fixture(autouse=True)
def not_twice(guest):
    """armel has armhf's code for it, and RISC-V and MIPS have none: their children run on while they are attached to."""
    if guest.name not in ("armhf", "arm64"):
        pytest.skip("armhf and arm64 alone")


def reports(guest):
    """By pid."""
    found = {}
    for process in json.loads(guest.read("/tmp/report.json"))["processes"]:
        report = traced.Report(json_report.load(json.dumps(process))).consistent()
        found[report["pid"]] = report
    return found


def test_from_birth(guest):
    """A server's children and theirs, each with counts of its own: all waited, or a count would lack what they began with."""
    done = guest.run(f"/root/memtrace {OPTIONS} --follow=fork /root/targets/heirs 2 </dev/null 2>&1", timeout=120)
    assert done.status == 0 and " ran for a while" not in done.output, done.output
    result, found = traced.result_in(done.output), reports(guest)
    heirs = [json.loads(line) for line in re.findall("^HEIR (.*)", done.output, re.M)]
    assert len(heirs) == 4 and len(found) == 5
    for heir in heirs:
        report = found.pop(heir["pid"])
        assert heir["verdict"] == "ok" and report.counts() == {name: heir[name] for name in NAMES}
        assert report["inherited"]["parent"] == heir["parent"] and report["inherited"]["freed_blocks"] == 2
        assert report["summary"]["frees_of_unknown"] == 0
    assert [report.counts() for report in found.values()] == [{name: result[name] for name in NAMES}]


def restricted(guest):
    """Yama's level 1: a process may be traced by its ancestors, and descendants of whom it names."""
    return guest.run("echo 1 >/proc/sys/kernel/yama/ptrace_scope").status == 0


def test_where_but_ancestors_may_trace(guest):
    """The children of a user's program say themselves who may (PR_SET_PTRACER)."""
    if not restricted(guest):
        pytest.skip("a kernel without Yama")
    try:
        guest.run("rm -rf /tmp/report.json /tmp/theirs; mkdir -m 777 /tmp/theirs; chmod 755 /root; chmod 1777 /tmp", check=True)
        options = OPTIONS.replace("/tmp/", "/tmp/theirs/")
        done = guest.run(f"cd /tmp/theirs; /root/targets/as_user 1000 /root/memtrace {options} --follow=fork /root/targets/heirs 2 "
                         "</dev/null 2>&1", timeout=120)
        assert done.status == 0 and " ran for a while" not in done.output, done.output
        guest.run("cp /tmp/theirs/report.json /tmp/report.json", check=True)
        found, heirs = reports(guest), [json.loads(line) for line in re.findall("^HEIR (.*)", done.output, re.M)]
        assert {heir["pid"]: {name: heir[name] for name in NAMES} for heir in heirs} == {
            heir["pid"]: found[heir["pid"]].counts() for heir in heirs} and len(found) == 5
    finally:
        guest.run("echo 0 >/proc/sys/kernel/yama/ptrace_scope")


def test_programs(guest):
    """What posix_spawn or fork and exec begin, as if it had been started alone: from its first instruction."""
    done = guest.run(f"/root/memtrace {OPTIONS} --follow=all /root/targets/heirs spawn 2 </dev/null 2>&1", timeout=120)
    assert done.status == 0 and " ran for a while" not in done.output, done.output
    mine = [report.counts() for report in reports(guest).values() if report["command"][1:] == ["leaf"]]
    guest.run(f"/root/memtrace {OPTIONS} /root/targets/heirs leaf </dev/null")
    assert mine == [traced.read_report(guest).counts()] * 2 and mine[0]["allocs"] >= 6


def test_killed_before_they_are_followed(guest):
    """They wait for a memtrace that never comes: the guardian has them go on, with nothing of ours left."""
    with traced.Running(guest, "/root/targets/heirs crowd 3") as process:
        guest.run("rm -f /tmp/words; "
                  f"sleep 120 | /root/memtrace --no-symbols -o /dev/null --follow=fork -p {process.pid} >/tmp/words 2>&1 & "
                  "echo $! >/tmp/tracer; until grep -q Attached /tmp/words; do usleep 20000; done; kill -STOP $(cat /tmp/tracer)",
                  timeout=120, check=True)
        process.send()
        process.await_output("CROWD")
        children = guest.run(f"cat /proc/{process.pid}/task/{process.pid}/children", check=True).output.split()
        said = guest.run(f"/root/targets/untouched {children[-1]}")
        assert len(children) == 3 and "[vdso] has changed" in said.output, said
        tracer = guest.run("cat /tmp/tracer", check=True).output.strip()
        guest.run(f"kill -9 $(cat /proc/{tracer}/task/{tracer}/children) {tracer}; "
                  "while pidof memtrace; do usleep 20000; done", timeout=60)
        for pid in [process.pid, *children]:
            process_is_whole = guest.run(f"/root/targets/untouched {pid}")
            assert process_is_whole.status == 0, process_is_whole
        process.finish()
