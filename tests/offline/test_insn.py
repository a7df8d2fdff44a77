"""The x86-64 instruction decoder against objdump, on every instruction of real files:
length, and target of every branch and rip-relative operand."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="takes this machine's own libraries"),
    pytest.mark.skipif(not shutil.which("objdump"), reason="no objdump"),
]

# What objdump prints where it met data in .text, and the decoder rightly refuses:
EXPLAINED = [
    # prefixes it could not attach to anything ("rex.W" alone on a line)
    re.compile(r"\t((rex(\.\w+)?|data16|addr32|repz|repnz|lock|bnd|[cdefgs]s)\s*)+$"),
    # the section ends within an instruction
    re.compile(r"\t\.byte 0x[0-9a-f]+$"),
    # VEX behind REX, 66, f2 or f3 is #UD (SDM volume 2, 2.3.2 and 2.3.3)
    re.compile(r":\t([0-9a-f]{2} )*?(4[0-9a-f]|66|f2|f3) (c4|c5|62|8f) [0-9a-f ]*\t.*\bv\w+ "),
]


def library(name):
    """The file behind a soname, where the dynamic linker finds it, or None."""
    listing = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True,
                             env={"PATH": "/sbin:/usr/sbin:/usr/bin:/bin"}).stdout
    for line in listing.splitlines():
        if line.strip().startswith(name) and "x86-64" in line and " => " in line:
            return os.path.realpath(line.split(" => ")[1])
    return None


@pytest.fixture(scope="module")
def compare(tmp_path_factory):
    binary = tmp_path_factory.mktemp("insn") / "insn_compare"
    subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-O2", f"-I{ROOT}/src", "-o", binary,
                    ROOT / "tests/offline/insn_compare.c", ROOT / "src/arch/x86_64/insn.c"], check=True)
    return binary


@pytest.mark.parametrize("name", ["libc.so.6", "libstdc++.so.6", "libcrypto.so", "python3"])
def test_every_instruction(compare, name):
    path = os.path.realpath(sys.executable) if name == "python3" else library(name)
    if not path:
        pytest.skip(f"{name} is not installed")
    objdump = subprocess.Popen(["objdump", "-d", "--insn-width=16", path], stdout=subprocess.PIPE,
                               env={**os.environ, "LC_ALL": "C"})
    result = subprocess.run([compare], stdin=objdump.stdout, capture_output=True, text=True, check=True)
    assert objdump.wait() == 0
    *lines, summary = result.stdout.splitlines()
    instructions, relative, bad = map(int, summary.lstrip("= ").split())
    unexplained = [line for line in lines if not any(e.search(line) for e in EXPLAINED)]
    assert not unexplained, "\n".join(unexplained[:20])
    # The comparison did take place.
    assert instructions > 100000 and relative > instructions // 10
    assert bad + len(lines) < instructions // 50
