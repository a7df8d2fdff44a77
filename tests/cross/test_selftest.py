"""memtrace's own scenarios, by a dynamic and by a static memtrace."""
import re

import pytest


@pytest.mark.parametrize("program", ["memtrace", "memtrace-static"])
def test_selftest(guest, program):
    done = guest.run(f"/root/{program} --selftest", timeout=300)
    assert done.status == 0, done.output
    passed, of = re.search(r"(\d+) of (\d+) scenarios passed", done.output).groups()
    skipped = len(re.findall("skipped, the machine has no memory", done.output))  # (256 MB is all that MIPS' Malta has)
    assert passed == of and int(of) + skipped >= 22
