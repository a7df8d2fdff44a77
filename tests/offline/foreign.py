"""Files of Debian packages of other CPUs (by tests/cross/packages.py, which leaves this
machine's packages alone), and the C programs that look at them."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/cross"))
from packages import Packages  # noqa: E402


def unpacked(cpu, package):
    """The folder with a package's files."""
    if not shutil.which("apt-get"):
        pytest.skip("no apt-get to get packages with")
    try:
        return Packages(cpu).unpack(package)
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{package} for {cpu} cannot be had: {str(error)[-200:]}")


def file(cpu, name, packages):
    """A library of these packages, by a pattern of its name."""
    found = sorted(path.resolve() for package in packages for path in unpacked(cpu, package).glob(f"**/lib/**/{name}")
                   if path.resolve().is_file())
    assert found, f"{name} is in none of {packages}"
    return found[0]


def debug_file(cpu, library, folder, package="libc6-dbg"):
    """The debug file of a library of libc6, or of a file of another package, not compressed."""
    notes = subprocess.run(["readelf", "-n", library], capture_output=True, text=True, check=True).stdout
    build_id = re.search(r"Build ID: ([0-9a-f]+)", notes)[1]
    path = unpacked(cpu, package) / f"usr/lib/debug/.build-id/{build_id[:2]}/{build_id[2:]}.debug"
    subprocess.run(["eu-elfcompress", "-q", "-t", "none", "-o", folder / "debug", path], check=True)
    return folder / "debug"


def core_program(folder, *files):
    """A program of tests/offline, linked with what it needs of src/."""
    rooms = ["base", "region", "arch", "elf", "unwind"]
    sources = [path for room in rooms for path in sorted((ROOT / "src" / room).rglob("*.c"))]
    program = folder / files[0].stem
    subprocess.run([os.environ.get("HOSTCC", "gcc"), "-std=gnu11", "-O2", "-D_GNU_SOURCE", f"-I{ROOT}/src", "-o",
                    program, *files, *sources, "-ldw", "-lelf"], check=True)
    return program
