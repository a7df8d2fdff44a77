"""Unit tests, built for the guest's CPU."""
import pytest

import build


@pytest.mark.of_cpu(lambda cpu: build.units(cpu))  # (a lambda: else it would be what is marked)
def test_unit(guest, name):
    done = guest.run(f"/root/unit/test_{name}", timeout=240)
    assert done.status == 0, done.output[-4000:]
