"""Symbols and build-ids of real files, against readelf."""
import collections
import glob
import platform
import re
import shutil
import subprocess

import pytest

import elf_files

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="takes this machine's own libraries"),
    pytest.mark.skipif(not shutil.which("readelf"), reason="no readelf"),
]

TYPES = {"NOTYPE": 0, "OBJECT": 1, "FUNC": 2, "COMMON": 5, "IFUNC": 10}
BINDS = {"LOCAL": 0, "GLOBAL": 1, "WEAK": 2, "UNIQUE": 10}
LINE = re.compile(r"\s*\d+: ([0-9a-f]+)\s+(\d+|0x[0-9a-f]+) (\w+)\s+(\w+)\s+\w+\s+(?:\[.*?\]\s+)?(\w+) (\S+)")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return elf_files.build("symbols", tmp_path_factory.mktemp("symbols"))


def readelf(*arguments):
    return subprocess.run(["readelf", *arguments], capture_output=True, text=True, errors="replace",
                          env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"}).stdout


def expected_symbols(path):
    """A Counter of (table, value, size, type, bind, name), by our rules: defined, named, with an
    address; the name without its version."""
    found, table = collections.Counter(), None
    for line in readelf("-sW", path).splitlines():
        if line.startswith("Symbol table"):
            table = {"'.dynsym'": "d", "'.symtab'": "s"}[line.split()[2]]
            continue
        match = LINE.match(line)
        if not match:
            continue
        value, size, kind, bind, section, name = match.groups()
        if section in ("UND", "ABS", "COM") or kind not in TYPES:
            continue
        name = re.sub(r"(?<=.)@.*", "", name)
        found[table, int(value, 16), int(size, 0), TYPES[kind], BINDS[bind], name] += 1
    return found


def our_symbols(program, path):
    output = subprocess.run([program, path], capture_output=True, text=True, errors="replace",
                            check=True).stdout
    first, *lines = output.splitlines()
    found = collections.Counter()
    for line in lines:
        table, value, size, kind, bind, name = line.split(" ", 5)
        found[table, int(value, 16), int(size), int(kind), int(bind), name] += 1
    return first.removeprefix("build-id "), found


def check(program, path):
    build_id, ours = our_symbols(program, path)
    theirs = expected_symbols(path)
    missing, extra = theirs - ours, ours - theirs
    assert not missing and not extra, f"{path}: missing {list(missing)[:5]}, extra {list(extra)[:5]}"
    match = re.search(r"Build ID: ([0-9a-f]+)", readelf("-n", path))
    assert build_id == (match.group(1) if match else "-"), path
    return len(ours)


def test_libraries_and_programs(program):
    named = [elf_files.library(name) for name in ("libc.so.6", "libstdc++.so.6", "libcrypto.so.3")]
    files = [*filter(None, named), *elf_files.sample(60, 4 << 20)]
    assert len(files) >= 50
    assert sum(check(program, path) for path in files) > 15000


def test_debug_files(program):
    """A debug file has .symtab and a build-id, and nothing of what is loaded."""
    files = [path for path in sorted(glob.glob("/usr/lib/debug/.build-id/*/*.debug"))
             if elf_files.is_elf(path)][:20]
    if not files:
        pytest.skip("no debug files (libc6-dbg)")
    assert sum(check(program, path) for path in files) > 100


def test_a_file_without_section_headers(program, tmp_path):
    """The same dynamic symbols when the section headers are gone (sstrip)."""
    path = elf_files.library("libc.so.6")
    content = bytearray(open(path, "rb").read())
    content[40:48] = bytes(8)  # e_shoff
    content[60:64] = bytes(4)  # e_shnum, e_shstrndx
    bare = tmp_path / "libc.so"
    bare.write_bytes(content)
    whole_id, whole = our_symbols(program, path)
    bare_id, symbols = our_symbols(program, bare)
    assert bare_id == whole_id
    assert symbols == collections.Counter({k: n for k, n in whole.items() if k[0] == "d"})
