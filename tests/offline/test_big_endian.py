"""Files of big-endian CPUs, 32 and 64 bits: symbols, build-ids and call frame information
against readelf.  The libraries are those that Debian has for its cross compilers, 1 MB each."""
import bisect
import platform
import re
import shutil
import subprocess

import pytest

import elf_files
import foreign
import test_symbols

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="builds the readers for this machine"),
    pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf"),
]

# And how many FDEs there are at least.
CPUS = {"s390x": 4000, "powerpc": 4000, "m68k": 900, "mips": 1000}
FRAMES = re.compile(r"^[0-9a-f]+ [0-9a-f]+ [0-9a-f]+ FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)$")


def libraries(cpu):
    folder = foreign.unpacked("amd64", f"libc6-{cpu}-cross") / f"usr/{cpu}-linux-gnu/lib"
    found = {path.resolve() for path in folder.glob("*.so*") if path.is_file()}
    found = sorted(path for path in found if path.read_bytes()[:6] in (b"\x7fELF\x01\x02", b"\x7fELF\x02\x02"))
    assert len(found) >= 10
    return found


@pytest.fixture(scope="module")
def symbols(tmp_path_factory):
    return elf_files.build("symbols", tmp_path_factory.mktemp("symbols"))


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    return elf_files.build("cfi_rules", tmp_path_factory.mktemp("rules"))


@pytest.mark.parametrize("cpu", CPUS)
def test_symbols_and_build_ids(symbols, cpu):
    assert sum(test_symbols.check(symbols, path) for path in libraries(cpu)) > 2500


def column(name):
    """readelf's name of a column: a DWARF number, or None (floats, and what is no number)."""
    match = re.fullmatch(r"%?r(\d+)", name)
    return int(match[1]) if match else None


def theirs(path):
    """{(begin, end): [(at, CFA, {register: rule})]} by readelf."""
    output = test_symbols.readelf("--debug-dump=frames-interp", path)
    found, columns, rows = {}, None, None
    for line in output.splitlines():
        match = FRAMES.match(line)
        if match:
            columns, rows = None, found.setdefault((int(match[1], 16), int(match[2], 16)), [])
        elif not line or " CIE " in line or line.endswith("ZERO terminator"):
            rows = None
        elif rows is not None and line.lstrip().startswith("LOC"):
            columns = line.split()[2:]
        elif rows is not None:
            at, cfa, *rest = re.sub(r" \(\w+\)", "", line).split()
            by_register = {column(name): rule for name, rule in zip(columns or [], rest)}
            by_register.pop(None, None)
            rows.append((int(at, 16), cfa.replace("%", ""),
                         {reg: rule.replace("%", "") for reg, rule in by_register.items()}))
    return found


def ours(rules, path):
    """The same, a rule for each register, and how many FDEs the file's own table has.  A copy of all,
    as memtrace-fs sends it, comes to the same rows."""
    output = subprocess.run([rules, path], capture_output=True, text=True)
    assert output.returncode == 0, f"{path}: {output.stderr}"
    found, rows, table = {}, None, 0
    for line in output.stdout.splitlines():
        first, *rest = line.split()
        if first == "FDE":
            rows = found.setdefault((int(rest[0], 16), int(rest[1], 16)), [])
        elif first == "hdr":
            table = int(rest[0])
        elif first == "copy":
            assert rest == [str(len(found)), "different", "0"], path
        else:
            cfa, *registers = rest
            rows.append((int(first, 16), cfa, dict(item.split("=") for item in registers)))
    return found, table


@pytest.mark.parametrize("cpu", CPUS)
def test_rules(rules, cpu):
    fdes = compared = tables = 0
    for path in libraries(cpu):
        expected = {key: rows for key, rows in theirs(path).items() if key[0] != key[1]}
        if not expected:
            continue
        found, table = ours(rules, path)
        assert found.keys() == expected.keys(), path
        for key, rows in expected.items():
            begins = [row[0] for row in found[key]]
            # Of rows at one place the last one holds; one behind the end holds nowhere.
            for at, cfa, registers in {row[0]: row for row in rows if row[0] < key[1]}.values():
                _, our_cfa, our_registers = found[key][bisect.bisect_right(begins, at) - 1]
                assert our_cfa == cfa, f"{path}: {at:x}"
                for register, rule in registers.items():
                    if str(register) in our_registers:
                        assert our_registers[str(register)] == rule, f"{path}: {at:x} r{register}"
                        compared += 1
        fdes += len(expected)
        tables += table
    assert fdes > CPUS[cpu] and compared > fdes
    assert tables >= fdes * 9 // 10
