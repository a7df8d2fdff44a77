"""Unit tests, built for the guest's CPU."""
import pytest

import build


@pytest.mark.parametrize("name", build.UNITS)
def test_unit(guest, name):
    done = guest.run(f"/root/unit/test_{name}", timeout=120)
    assert done.status == 0, done.output[-4000:]
