"""A guest per CPU, booted once for the whole run, with what is tested in /root:

    /root/memtrace, -static, -musl    built for that CPU: by glibc, by glibc static, by musl static
    /root/targets/NAME                programs of tests/targets and tests/cross/targets
    /root/NAME-VARIANT                some of them, compiled in other ways
    /root/stripped/NAME               programs of tests/cross/targets, and the static ones of
                                      the variants, without any symbol
    /root/unit/test_NAME              unit tests

CROSS_CPUS="arm64 mipsel" chooses; the default is the three of ARM.  A test that is not the same for all
says by @pytest.mark.of_cpu(f) which cases each CPU has: f(cpu) is a list of names.
"""
import os

import pytest

import build
from guest import Guest

# What a CPU's port does not do yet, or this machine can't build for it: part of a test's name -> why.
LEFT_OUT = {
    "riscv64": {"test_layers[riscv64-late]": "its library's stubs are in a page more than a megabyte away, and no register is free there",
                "test_nobody_is_left_for_a_tracer": "traps are for whoever comes (arch/riscv64/arch.c)"},
}

CPUS = os.environ.get("CROSS_CPUS", "armhf armel arm64").split()


def pytest_configure(config):
    config.addinivalue_line("markers", "of_cpu(f): the cases of a CPU")


def pytest_generate_tests(metafunc):
    if "guest" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("of_cpu")
    if mark:
        cases = [(cpu, name) for cpu in CPUS for name in mark.args[0](cpu)]
        metafunc.parametrize("guest, name", cases or [(CPUS[0], None)], ids=None if cases else ["no-case"],
                             indirect=["guest"], scope="session")
    else:
        metafunc.parametrize("guest", CPUS, indirect=True, scope="session")


def is_left_out(item):
    cpu = item.callspec.params["guest"] if hasattr(item, "callspec") else None
    return any(part in item.nodeid for part in LEFT_OUT.get(cpu, {}))


def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "[no-case]" not in item.nodeid and not is_left_out(item)]  # another CPU has some


@pytest.fixture(scope="session")
def guest(request):
    with Guest(request.param, files=build.files_for(request.param)) as booted:
        yield booted
