"""Unwinding 32-bit ARM by its code, and by its exception tables, against .debug_frame: every
call of every function of Debian's libc and python3, T32 (armhf) and A32 (armel).  libstdc++, whose debug
files are in no archive that tests may count on: by its code against its exception tables."""
import pathlib
import re
import shutil
import subprocess

import pytest

import foreign

ROOT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf"),
              pytest.mark.skipif(not shutil.which("eu-elfcompress"), reason="no eu-elfcompress")]


@pytest.fixture(scope="module")
def compare(tmp_path_factory):
    return foreign.core_program(tmp_path_factory.mktemp("scan"), ROOT / "tests/offline/scan_vs_cfi.c")


def numbers(program, *args):
    """[{word: number}] of the scan and of the tables."""
    said = subprocess.run([program, *args], capture_output=True, text=True, check=True).stdout
    return [{word: int(number) for number, word in re.findall(r"(\d+) (\w+)", line)} for line in said.splitlines()]


@pytest.mark.parametrize("cpu", ["armhf", "armel"])
def test_every_call_of_libc(compare, cpu, tmp_path):
    library = foreign.file(cpu, "libc.so.6", ["libc6"])
    debug = foreign.debug_file(cpu, library, tmp_path)
    scan, tables = numbers(compare, library, debug)
    assert scan["calls"] > 20000
    assert scan["different"] == 0
    assert scan["equal"] >= 0.99 * scan["calls"]
    # Not told where functions begin it is no more than a good guess.
    around = numbers(compare, "-s", library, debug)[0]
    assert around["equal"] >= 0.92 * around["calls"] and around["different"] <= 0.005 * around["calls"]
    # The ABI makes tables right where exceptions pass, not before a function's prologue is done
    # and not at calls that don't return to C++: a handful of calls that tables get wrong.
    assert tables["equal"] > 6000
    assert tables["different"] <= 10


@pytest.mark.parametrize("cpu", ["armhf", "armel"])
def test_every_call_of_python(compare, cpu, tmp_path):
    """Its largest functions have 40 to 67 KB; one of them, of which nothing tells the begin, is guessed wrong."""
    program = foreign.unpacked(cpu, "python3.11-minimal") / "usr/bin/python3.11"
    debug = foreign.debug_file(cpu, program, tmp_path, "python3.11-dbg")
    scan = numbers(compare, program, debug)[0]
    assert scan["calls"] > 50000
    assert scan["different"] == 0
    assert scan["equal"] >= 0.999 * scan["calls"]
    around = numbers(compare, "-s", program, debug)[0]
    assert around["equal"] >= 0.96 * around["calls"] and around["different"] <= 0.012 * around["calls"]


@pytest.mark.parametrize("cpu", ["armhf", "armel"])
def test_calls_of_libstdcxx(compare, cpu):
    """Every call of an exported function that an exception may pass: there the tables are right."""
    library = foreign.file(cpu, "libstdc++.so.6", ["libstdc++6"])
    scan = numbers(compare, "-x", library)[0]
    assert scan["calls"] > 15000
    assert scan["different"] == 0
    assert scan["equal"] >= 0.99 * scan["calls"]
