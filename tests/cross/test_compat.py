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


# program that traces-program that is traced
CASES = {
    "arm64": ["armhf-armhf", "armel-armhf", "armel-armel"],
    "armhf": ["armel-armhf"],
    "armel": [],  # its own musl build: test_musl.py
}


@pytest.mark.of_cpu(lambda cpu: CASES[cpu])
def test_counts(guest, name):
    tracer, target = name.split("-")
    report = traced.attach_and_count(guest, f"/root/threads-{target} 2 100", f"/root/memtrace-{tracer}")
    assert any(module["path"].endswith(f"/threads-{target}") for module in report["modules"])
