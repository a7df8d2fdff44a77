"""The guest is what it says, and memtrace starts there."""


def test_guest(guest):
    machine = guest.run("uname -m", check=True).output.strip()
    assert machine == guest.cpu.machine
    assert guest.boot_seconds < 120


def test_starts(guest):
    for program in ("memtrace", "memtrace-static"):
        assert "Usage" in guest.run(f"/root/{program} --help", check=True).output
