"""What happens to a process when memtrace is killed at steps of its work, alone or with its guardian.
KILLS=all in the environment: at each step, of a page and of a look, too, and in every mode (for one of some
eighty steps an emulator takes half a minute)."""
import os

import pytest

import build
import traced

ATTACH = "-q --no-symbols -b -x status --format=json -o /dev/null"
ALL = "KILLS" in os.environ
MODES = ["setuid", "rt", "child", "timer", "usr"] if ALL else ["rt"]


@pytest.fixture(autouse=True)
def not_twice(guest):
    """armel's traps and stubs are armhf's, and its emulator is the slower one."""
    if guest.name == "armel" and not ALL:
        pytest.skip("KILLS=all")


def killed_at_steps(guest, process):
    for step, both in traced.all_kills(traced.kill_at(guest, process.pid, "all", ATTACH)):
        traced.kill_at(guest, process.pid, step, ATTACH, both)
        if not both:
            process.untouched()
    process_is_left(guest, process)


def process_is_left(guest, process):
    """A new memtrace attaches to what was left, and its clean end leaves nothing."""
    with traced.Attached(guest, process.pid, options=traced.ALONE):
        pass


@pytest.mark.skipif(not ALL, reason="KILLS=all")
def test_at_steps(guest):
    with traced.Running(guest, "/root/targets/threads 3 100") as process:
        killed_at_steps(guest, process)
        process.finish()


@pytest.mark.skipif(not ALL, reason="KILLS=all")
@pytest.mark.of_cpu(lambda cpu: list(build.ROOMLESS[cpu])[:1])
def test_at_steps_with_a_page(guest, name):
    """.. that the process is made to map and to unmap."""
    with traced.Running(guest, f"/root/room-{name} 2 100") as process:
        before = guest.run(f"grep -h r-xp /proc/{process.pid}/maps", check=True).output
        killed_at_steps(guest, process)
        assert guest.run(f"grep -h r-xp /proc/{process.pid}/maps", check=True).output == before
        process.finish()


@pytest.mark.parametrize("mode", MODES)
def test_no_signal_is_lost(guest, mode):
    with traced.Running(guest, f"/root/targets/delivered {mode}") as process:
        for i in range(25 if ALL else 2):
            guest.run(f"sleep 30 | /root/memtrace -q --no-symbols -p {process.pid} >/dev/null 2>&1 & usleep {200000 + 90000 * i}; "
                      "kill -9 $!; while pidof memtrace; do usleep 20000; done", timeout=60)  # its guardian
            assert guest.run(f"kill -0 {process.pid}").status == 0, f"died after kill {i}"
        process_is_left(guest, process)
        process.send()
        process.await_output("RESULT")
        result = traced.result_in(guest.run("cat /tmp/out").output)
        assert (result["lost"], result["wrong"]) == (0, 0), result


def test_nobody_is_left_for_a_tracer(guest):
    """The traps that stay send no signal to a child that its parent traces, asleep in vfork()."""
    with traced.Running(guest, "/root/targets/debugger endless") as process:
        process.send()
        guest.run(f"sleep 30 | /root/memtrace -q --no-symbols -p {process.pid} >/dev/null 2>&1 & "
                  f"until /root/targets/untouched {process.pid} | grep -q offset; do usleep 20000; done; usleep 300000; "
                  "all=$(pidof memtrace); kill -STOP $all; kill -9 $all; "
                  f"until grep -q 'TracerPid:.0$' /proc/{process.pid}/status; do usleep 20000; done", timeout=60)
        assert guest.run(f"/root/targets/untouched {process.pid}").status != 0, "nothing was left"
        process.send()
        process.await_output("DONE")
        process_is_left(guest, process)
        process.send()
        process.await_output("RESULT")
