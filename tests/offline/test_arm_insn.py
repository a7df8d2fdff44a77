"""The A32 and T32 decoder against objdump, on every instruction of Debian's libraries: length,
target of every branch and literal, and whether pc is used or written at all."""
import pathlib
import re
import shutil
import subprocess

import pytest

import foreign

ROOT = pathlib.Path(__file__).resolve().parents[2]
OBJDUMP = shutil.which("arm-linux-gnueabihf-objdump")

pytestmark = pytest.mark.skipif(not OBJDUMP, reason="no objdump for ARM")

PLAIN, NOP, BRANCH, CBZ, CALL, LITERAL, ADDRESS, IT, END, UD, BREAK, PC = range(12)
# Not defined there, or data between code: nothing to compare.
NO_CODE = re.compile(r"\.(word|short|byte|inst)|undefined|unpredictable|<.*UNDEFINED", re.I)


# What data between functions looks like: instructions nobody has (v8-M), or that have no
# meaning (pc stored, or loaded by halves and pairs; a rotated pc-relative address).
DATA = re.compile(r"\tbl?xns\t|\tbfcsel|\?\?|\tst(m|r)\S*\t.*\bpc\b|\t(ldrs?[bh]|ldrd|strd)\S*\tpc,|"
                  r"\tldrd\w*\tpc|#\d+, \d+|SP_hyp|\ttst\w+\tr0, pc")


def listing(path, thumb):
    """(address, bytes, mnemonic, operands, line) of every instruction."""
    # A stripped file has no marks; objdump then takes all for A32, unless told.
    options = ["-M", "force-thumb"] if thumb else []
    text = subprocess.run([OBJDUMP, "-d", *options, "-w", path], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        match = re.match(r" *([0-9a-f]+):\t([0-9a-f ]+?) *\t(\S+)(?:\t(.*))?$", line)
        if not match or NO_CODE.search(line) or DATA.search(line):
            continue
        code = b"".join(int(w, 16).to_bytes(2 if thumb else 4, "little") for w in match[2].split())
        yield int(match[1], 16), code, match[3], (match[4] or "").split("@")[0].split(";")[0], line


def expected(mnemonic, operands):
    """(kind, target) by objdump's text; None for what it doesn't tell apart."""
    base = re.sub(r"\.[nw]$", "", mnemonic)
    target = re.search(r"\b([0-9a-f]+) <", operands)
    target = int(target[1], 16) if target else None
    conditions = "eq|ne|cs|cc|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al"
    plain = re.sub(rf"(?<=.)({conditions})$", "", base)
    if base in ("cbz", "cbnz"):
        return CBZ, target
    if base in ("bl", "blx", *(f"bl{c}" for c in conditions.split("|"))) and target is not None:
        return CALL, target
    if re.fullmatch(rf"b({conditions})?", base):
        return BRANCH, target
    if re.fullmatch(rf"blx({conditions})?", base):
        return CALL, None
    if re.fullmatch(r"it[te]*", base):
        return IT, None
    if plain in ("udf", "bkpt"):
        return None
    pops = re.search(r"\{[^}]*\bpc\b[^}]*\}", operands)
    if pops:
        return (END if plain.startswith(("pop", "ldm")) else PC), None
    if plain in ("bx", "bxj"):
        return (PC if "pc" in operands else END), None
    names = [o.strip() for o in operands.split(",")]
    if re.fullmatch(r"ldr", plain) and re.search(r"\[pc(, #-?\d+)?\]$", operands.strip()):
        return LITERAL, None
    if plain in ("add", "sub", "addw", "subw", "adr") and len(names) == 3 and names[1] == "pc" and \
            names[2].startswith("#") and names[0] != "pc":
        return ADDRESS, None
    if names[0] == "pc" and not re.match(r"(cmp|cmn|tst|teq|str|pld|mcr|vmrs)", plain) and \
            not re.search(r"\bpc\b", ",".join(names[1:])):
        return None if plain in ("add", "sub") else (END, None)
    if re.search(r"\bpc\b", operands) and not plain.startswith(("mrc", "vmrs")):
        return PC, None
    return PLAIN, None


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    return foreign.core_program(tmp_path_factory.mktemp("insn"), ROOT / "tests/offline/arm_insn_dump.c")


@pytest.mark.parametrize("cpu, thumb", [("armhf", True), ("armel", False)])
@pytest.mark.parametrize("name", ["libc.so.6", "libstdc++.so.6"])
def test_every_instruction(dump, cpu, thumb, name):
    rows = list(listing(foreign.file(cpu, name, ["libc6", "libstdc++6", "libgcc-s1"]), thumb))
    given = "\n".join(f"{at:x} {int(thumb)} {(code + bytes(4))[:4].hex()}" for at, code, *_ in rows)
    found = subprocess.run([dump], input=given, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(found) == len(rows) > 50000
    wrong, targets = [], 0
    for (_, code, mnemonic, operands, line), answer in zip(rows, found):
        length, kind, _, target = answer.split()
        kind = PLAIN if int(kind) == NOP else int(kind)
        want = expected(mnemonic, operands)
        if int(length) != len(code) or want and (
                kind != want[0] or (want[1] is not None and int(target, 16) != want[1])):
            wrong.append(f"{line}  -> {answer}")
        targets += bool(want and want[1] is not None)
    assert targets > 5000
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:40])
