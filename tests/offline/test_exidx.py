"""ARM unwind tables (.ARM.exidx, .ARM.extab) against readelf -u of binutils: every entry of
Debian's libraries, and of a file made here that has every instruction there is."""
import pathlib
import re
import shutil
import subprocess

import pytest

import foreign

ROOT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf")

LIBRARIES = ["libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux*.so.3"]


def by_readelf(path):
    """[(function, "vsp = vsp + 8;pop {r4, r14};...")] of readelf -u."""
    text = subprocess.run(["readelf", "-u", path], capture_output=True, text=True).stdout
    entries = []
    for line in text.splitlines():
        begin = re.match(r"0x([0-9a-f]+).*?: (.*)", line)
        operation = re.match(r"\s+((?:0x[0-9a-f]{2} )+)\s*(.+)", line)
        if begin:
            entries.append((begin[1], ["cantunwind"] if "[cantunwind]" in begin[2] else []))
        elif operation:
            entries[-1][1].append(operation[2].strip())
        elif "Personality routine" in line:
            entries[-1][1].append("personality")
    return [f"{function};{';'.join(operations)}" for function, operations in entries]


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    return foreign.core_program(tmp_path_factory.mktemp("exidx"), ROOT / "tests/offline/exidx_dump.c")


def by_memtrace(dump, path):
    return subprocess.run([dump, path], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("cpu", ["armhf", "armel"])
@pytest.mark.parametrize("name", LIBRARIES)
def test_every_entry(dump, cpu, name):
    path = foreign.file(cpu, name, ["libc6", "libstdc++6", "libgcc-s1"])
    expected, found = by_readelf(path), by_memtrace(dump, path)
    assert len(found) == len(expected) > 5
    # What follows a personality routine of a language is that language's own business, says
    # readelf; test_scan.py compares it with .debug_frame.
    found = [re.sub(";.*", ";personality", ours) if theirs.endswith(";personality") and "broken" not in ours
             else ours for ours, theirs in zip(found, expected)]
    assert found == expected


# Every instruction of table 4; the first one that has no meaning ends what a compiler
# may emit, but readelf and we print on.
EVERY = ["00", "3f", "40", "7f", "8000", "8001", "80ff", "8fff", "8800", "8400"] + [
    f"{0x90 + n:02x}" for n in range(16)] + [f"{0xa0 + n:02x}" for n in range(16)] + [
    "b0", "b100", "b101", "b10f", "b110", "b1ff", "b200", "b27f", "b28001", "b2808001", "b300", "b38f",
    "b6", "b7"] + [f"{0xb8 + n:02x}" for n in range(8)] + [
    f"{0xc0 + n:02x}" for n in range(6)] + ["c600", "c6a3", "c700", "c701", "c70f", "c710", "c800", "c87f",
    "c900", "c98f", "ca", "cf", "d0", "d7", "d8", "e0", "ff"]


def test_every_instruction(dump, tmp_path):
    compiler = shutil.which("arm-linux-gnueabihf-gcc") or pytest.skip("no compiler for ARM")
    source = [".syntax unified", ".arm", ".text"]
    for n, operation in enumerate(EVERY):
        octets = ", ".join(f"0x{operation[i:i + 2]}" for i in range(0, len(operation), 2))
        source += [f"f{n}: .fnstart", "nop", f".unwind_raw 0, {octets}", ".fnend"]
        # .. and again in the long form
        source += [f"g{n}: .fnstart", "nop", ".personalityindex 1", f".unwind_raw 0, {octets}, 0x3f, 0xb0, 0x01",
                   ".handlerdata", ".word 0", ".fnend"]
    source += ["__aeabi_unwind_cpp_pr0: __aeabi_unwind_cpp_pr1: bx lr", ".globl _start", "_start: nop"]
    (tmp_path / "every.s").write_text("\n".join(source) + "\n")
    subprocess.run([compiler, "-nostdlib", "-static", "-o", tmp_path / "every", tmp_path / "every.s"], check=True)
    expected = by_readelf(tmp_path / "every")
    assert len(expected) >= 2 * len(EVERY)
    found = by_memtrace(dump, tmp_path / "every")
    assert [x.replace("[Spare]", "?") for x in found] == [normal(x) for x in expected]


def normal(line):
    """readelf's words for what has no meaning differ by encoding."""
    return ";".join("?" if re.search(r"(?i)spare|unsupported|reserved|unpredictable", part) else part
                    for part in line.split(";"))
