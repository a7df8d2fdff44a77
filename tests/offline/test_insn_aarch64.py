"""The A64 decoder against objdump, on every instruction of Debian's arm64 libraries: kind,
and target of every branch, address and load from a literal."""
import os
import re
import shutil
import subprocess

import pytest

import foreign

# Data in .text that objdump gives up on, and the decoder calls plain or undefined.
EXPLAINED = re.compile(r"\t(\.inst|\.word)\t")


def objdump():
    for name in ("aarch64-linux-gnu-objdump", "objdump"):
        if shutil.which(name) and "elf64-littleaarch64" in subprocess.run(
                [name, "-i"], capture_output=True, text=True).stdout:
            return name
    pytest.skip("no objdump knows AArch64")


@pytest.mark.parametrize("name", ["libc.so.6", "ld-linux-aarch64.so.1"])
def test_every_instruction(tmp_path, name):
    binary = tmp_path / "compare"
    subprocess.run([os.environ.get("HOSTCC", "gcc"), "-std=gnu11", "-O2", f"-I{foreign.ROOT}/src", "-o", binary,
                    foreign.ROOT / "tests/offline/insn_compare_aarch64.c",
                    foreign.ROOT / "src/arch/aarch64/insn.c"], check=True)
    path = foreign.file("arm64", name, ["libc6"])
    listing = subprocess.Popen([objdump(), "-d", path], stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"})
    result = subprocess.run([binary], stdin=listing.stdout, capture_output=True, text=True, check=True)
    assert listing.wait() == 0
    *lines, summary = result.stdout.splitlines()
    unexplained = [line for line in lines if not EXPLAINED.search(line)]
    assert not unexplained, "\n".join(unexplained[:20])
    instructions, relative = map(int, summary.lstrip("= ").split())
    assert instructions > 20000 and relative > instructions // 10
