"""32-bit programs on the 64-bit kernel, and one file for armel and armhf alike."""
import pytest

import traced


@pytest.mark.of_cpu(lambda cpu: ["armhf", "armel"] if cpu == "arm64" else [])
def test_another_memtrace_is_needed(guest, name):
    with traced.Running(guest, f"/root/threads-{name} 1 1") as target:
        done = guest.run(f"/root/memtrace -q -p {target.pid} </dev/null")
        assert done.status != 0
        assert f"pid {target.pid} is a 32-bit process; this memtrace traces 64-bit ones (aarch64)" in done.output
        assert "use a memtrace built for it: armhf or armel" in done.output
        target.untouched()
        assert target.finish()["allocs"] > 0


@pytest.mark.of_cpu(lambda cpu: ["armhf", "armel"] if cpu == "arm64" else [])
def test_not_started(guest, name):
    done = guest.run(f"/root/memtrace -q --no-symbols /root/threads-{name} 1 1 </dev/null")
    assert done.status == 1
    assert f"/root/threads-{name} was not started: " in done.output
    assert "use a memtrace built for it: armhf or armel" in done.output
    assert "READY" not in done.output


@pytest.mark.of_cpu(lambda cpu: ["armhf", "armel"] if cpu == "arm64" else [])
def test_let_go(guest, name):
    """A program that we follow becomes one of the other kind, and comes to its end."""
    program = f"/root/threads-{name} 1 1 </dev/null >/tmp/out"
    done = guest.run(f"rm -f /tmp/out; /root/memtrace -q --no-symbols sh -c 'exec {program}'")
    assert done.status == 1
    assert f"now runs /root/threads-{name} and is let go: " in done.output
    assert guest.run("until grep -q RESULT /tmp/out; do usleep 20000; done", timeout=60).status == 0
    assert traced.result_in(guest.run("cat /tmp/out").output)["allocs"] > 0


# program that traces-program that is traced
CASES = {
    "arm64": ["armhf-armhf", "armel-armhf", "armel-armel"],
    "armhf": ["armel-armhf"],
    "riscv64": [],
    "mipsel": [],
    "armel": [],  # its own musl build: test_musl.py
}


@pytest.mark.of_cpu(lambda cpu: CASES[cpu])
def test_counts(guest, name):
    tracer, target = name.split("-")
    report = traced.attach_and_count(guest, f"/root/threads-{target} 2 100", f"/root/memtrace-{tracer}")
    assert any(module["path"].endswith(f"/threads-{target}") for module in report["modules"])
