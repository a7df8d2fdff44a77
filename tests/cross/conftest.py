"""A guest per CPU, booted once for the whole run, with what is tested in /root:

    /root/memtrace, /root/memtrace-static    built for that CPU
    /root/targets/NAME                       programs of tests/targets and tests/cross/targets
    /root/unit/test_NAME                     unit tests

CROSS_CPUS="arm64 armhf" chooses; the default is all.
"""
import os

import pytest

import build
from guest import Guest

CPUS = os.environ.get("CROSS_CPUS", "arm64").split()


@pytest.fixture(scope="session", params=CPUS)
def guest(request):
    with Guest(request.param, files=build.files_for(request.param)) as booted:
        yield booted
