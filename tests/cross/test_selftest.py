"""memtrace's own scenarios, by a dynamic and by a static memtrace."""
import re

import pytest


@pytest.mark.parametrize("program", ["memtrace", "memtrace-static"])
def test_selftest(guest, program):
    done = guest.run(f"/root/{program} --selftest", timeout=300)
    assert done.status == 0, done.output
    passed, of = re.search(r"(\d+) of (\d+) scenarios passed", done.output).groups()
    assert passed == of and int(of) >= 22
