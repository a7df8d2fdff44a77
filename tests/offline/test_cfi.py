"""Unwind data of real files, every row, against libdw (see cfi_vs_libdw.c)."""
import os
import platform
import re
import shutil
import subprocess
import sys
import time

import pytest

import elf_files
import foreign

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="takes this machine's own libraries"),
    pytest.mark.skipif(not shutil.which("gcc"), reason="no compiler"),
]

CC1 = "/usr/lib/gcc/x86_64-linux-gnu/{}/cc1"

# What is counted and no difference: rules that need more registers than a row knows.
# They are rare; a jump in their number is a row reducer that gave up.
CAUSES = ("cfa-in-register", "cfa-by-expression", "ra-elsewhere", "fp-elsewhere", "sp-elsewhere",
          "offset-too-large", "libdw-without-cfa", "arm-signal")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return elf_files.build("cfi_vs_libdw", tmp_path_factory.mktemp("cfi"), "-ldw", "-lelf")


def run(program, *arguments):
    """The counts of each file: {path: {name: number}}."""
    result = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr + result.stdout
    files = {}
    for line in result.stdout.splitlines():
        path, _, rest = line.partition(": ")
        if not rest.startswith("skipped"):
            files[path] = {name: int(n) for name, n in re.findall(r"([\w-]+) (\d+)", rest)}
    return files


def check(path, counts):
    explained = sum(counts.get(cause, 0) for cause in CAUSES)
    assert counts["different"] == 0, path
    assert counts["equal"] + explained == counts["addresses"], path
    return explained


def whole_files():
    """The five that are compared whole, as far as they are installed."""
    python = os.path.realpath(sys.executable)
    compilers = [CC1.format(version) for version in range(10, 20)]
    named = [elf_files.library(name) for name in ("libstdc++.so.6", "libcrypto.so.3")]
    return [path for path in (*named, python, *compilers) if path and os.path.isfile(path)]


def test_every_byte_of_libc(program):
    path = elf_files.library("libc.so.6")
    counts = run(program, "-b", path)[path]
    assert check(path, counts) < counts["addresses"] // 1000
    assert counts["addresses"] > 1000000
    assert counts["root"] > 0 and counts["sp-deref"] > 0 and counts["plt"] > 0


@pytest.mark.parametrize("path", whole_files())
def test_every_row(program, path):
    counts = run(program, path)[path]
    check(path, counts)
    assert counts["rows"] > 10000


def test_the_rest_of_the_system(program):
    """A sample of all files, for as long as there is time, and never fewer than 50."""
    files, results = elf_files.sample(240, 8 << 20), {}
    until = time.monotonic() + 20
    for at in range(0, len(files), 20):
        if time.monotonic() > until and len(results) >= 50:
            break
        results.update(run(program, *files[at:at + 20]))
    assert len(results) >= 50
    addresses = sum(counts["addresses"] for counts in results.values())
    explained = sum(check(path, counts) for path, counts in results.items())
    assert addresses > 500000
    assert explained < addresses // 20


SOURCE = r"""
#include <stdlib.h>
int f(int n) { volatile char a[n + 8]; a[0] = n; return n ? f(n - 1) + a[0] : 1; }
__attribute__((force_align_arg_pointer)) int g(int n) { _Alignas(64) volatile char a[100]; a[n] = 1; return f(a[n]); }
int unused(int n) { return f(n) * f(n + 1) - g(n); }
int main(int argc, char **argv) { (void)argv; return g(argc) + atoi(argv[0]); }
"""


@pytest.mark.parametrize("flags", [
    pytest.param(["-gdwarf-3"], id="version-3"),
    pytest.param(["-gdwarf-5"], id="version-4"),
    pytest.param(["-gdwarf-5", "-gdwarf64"], id="64-bit"),
    pytest.param(["-gdwarf-5", "-O2", "-static"], id="static"),
    pytest.param(["-gdwarf-5", "-ffunction-sections", "-Wl,--gc-sections"], id="dropped-sections"),
])
def test_debug_frame(program, tmp_path, flags):
    """.debug_frame, as gcc writes it where .eh_frame is turned off."""
    source, binary = tmp_path / "program.c", tmp_path / "program"
    source.write_text(SOURCE)
    subprocess.run(["gcc", *flags, "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-o", binary,
                    source], check=True)
    if ".debug_frame" not in subprocess.run(["readelf", "-SW", binary], capture_output=True, text=True,
                                            check=True).stdout:
        pytest.skip("this compiler writes no .debug_frame")
    # libc's start files have .eh_frame; it must not stand in for what is tested.
    subprocess.run(["objcopy", "-R", ".eh_frame", "-R", ".eh_frame_hdr", binary], check=True,
                   capture_output=True)
    counts = run(program, "-d", str(binary))[str(binary)]
    check(binary, counts)
    assert counts["rows"] >= 10


@pytest.mark.parametrize("flags", [["-Wl,--no-eh-frame-hdr"], ["-static"], ["-static-pie"], ["-O0"],
                                   ["-Wl,-z,ibtplt", "-Wl,-z,lazy"], ["-Wl,-z,lazy"]],
                         ids=lambda flags: flags[0])
def test_eh_frame_of_our_own(program, tmp_path, flags):
    source, binary = tmp_path / "program.c", tmp_path / "program"
    source.write_text(SOURCE)
    subprocess.run(["gcc", "-O2", *flags, "-o", binary, source], check=True)
    counts = run(program, "-b", str(binary))[str(binary)]
    check(binary, counts)
    assert counts["rows"] >= 10


def test_debug_files_have_debug_frame_or_nothing(program):
    """libc6-dbg: .eh_frame is NOBITS there; what has .debug_frame is compared."""
    folder = "/usr/lib/debug/.build-id"
    files = [os.path.join(root, name) for root, _, names in os.walk(folder) for name in sorted(names)]
    files = [path for path in files if elf_files.is_elf(path)]
    if not files:
        pytest.skip("no debug files (libc6-dbg)")
    for path, counts in run(program, "-d", *files[:100]).items():
        check(path, counts)


@pytest.mark.parametrize("cpu", ["armhf", "armel"])
def test_debug_frame_of_arm(program, cpu, tmp_path):
    """32-bit ARM's libc has none in the file, libc6-dbg has."""
    library = foreign.file(cpu, "libc.so.6", ["libc6"])
    debug = foreign.debug_file(cpu, library, tmp_path)
    counts = run(program, "-d", debug)[str(debug)]
    check(debug, counts)
    assert counts["rows"] > 10000
    assert counts["arm-signal"] == 6


def test_eh_frame_of_arm64(program):
    """libc6-dbg of arm64 has no .debug_frame: all of it is in the library."""
    library = foreign.file("arm64", "libc.so.6", ["libc6"])
    counts = run(program, library)[str(library)]
    assert check(library, counts) < 50  # glibc 2.36: 16, 2.41: 36
    assert counts["rows"] > 15000
