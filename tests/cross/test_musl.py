"""musl: what is traced, and what traces."""
import pytest

import traced


@pytest.mark.parametrize("program", ["memtrace", "memtrace-musl"])
@pytest.mark.parametrize("kind", ["musl", "musl-static"])
def test_counts(guest, program, kind):
    traced.attach_and_count(guest, f"/root/threads-{kind} 3 100", f"/root/{program}")
