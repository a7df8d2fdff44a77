"""Debug information that libdw does not read by itself, or must not: split DWARF in all its
forms, zstd, and sections that unpack to more than there is."""
import pathlib
import random
import shutil
import struct
import zlib

import pytest

import names
from names import run

HERE = pathlib.Path(__file__).parent
C, CC = HERE / "names_prog.c", HERE / "names_prog.cc"
MAIN = """
#include <stdlib.h>
extern "C" void *outer_of_two(unsigned n);
namespace other { static inline __attribute__((always_inline)) void *twice(unsigned n)
{
	return malloc(2 * n);
} }
extern "C" __attribute__((noinline)) void *outer_of_two(unsigned n)
{
	void *p = other::twice(n);
	return p ? p : other::twice(n + 1);
}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return names.build_client(tmp_path_factory.mktemp("client"))


def has(*programs):
    return all(shutil.which(p) for p in programs)


def build(folder, compiler, *flags):
    """Two units, each compiled by itself in `folder`."""
    if not has(compiler):
        pytest.skip(f"needs {compiler}")
    folder.mkdir(exist_ok=True)
    shutil.copy(CC, folder / "one.cc")
    (folder / "two.cc").write_text(MAIN)
    for unit in ("one", "two"):
        run(compiler, *flags, "-O2", "-c", f"{unit}.cc", "-o", f"{unit}.o", cwd=folder)
    run(compiler, *flags, "one.o", "two.o", "-o", "program", cwd=folder)
    return folder / "program"


def package(tool, program):
    if not has(tool):
        pytest.skip(f"needs {tool}")
    run(tool, "-e", program, "-o", f"{program}.dwp", cwd=program.parent)
    for dwo in program.parent.glob("*.dwo"):
        dwo.unlink()


def frames_of(client, program, *dirs):
    answer = names.ask(client, program, names.call_sites(program), *dirs)
    return answer, [[(f[0], pathlib.Path(f[1]).name, f[2]) for f in frames]
                    for frames in answer.frames.values()]


def expected(client, tmp_path, compiler, *flags):
    """The same program with its debug information in itself: this much addr2line confirms."""
    whole = build(tmp_path / "whole", compiler, *(f for f in flags if "split" not in f))
    answer, frames = frames_of(client, whole)
    assert answer.remark is None and names.differences(answer, whole) == []
    assert sum(len(f) > 1 for f in frames) >= 5
    assert any(f and f[0][1] == "two.cc" for f in frames)
    return frames


FORMS = {
    "gcc4": ("g++", None, "-gdwarf-4", "-gsplit-dwarf"),
    "gcc5": ("g++", None, "-gdwarf-5", "-gsplit-dwarf"),
    "gcc4-dwp": ("g++", "dwp", "-gdwarf-4", "-gsplit-dwarf"),
    "gcc5-dwp": ("g++", "llvm-dwp", "-gdwarf-5", "-gsplit-dwarf"),
    "gcc4-types-dwp": ("g++", "dwp", "-gdwarf-4", "-gsplit-dwarf", "-fdebug-types-section"),
    "gcc5-zlib": ("g++", None, "-gdwarf-5", "-gsplit-dwarf", "-gz=zlib"),
    "clang4": ("clang++", None, "-gdwarf-4", "-gsplit-dwarf"),
    "clang4-dwp": ("clang++", "llvm-dwp", "-gdwarf-4", "-gsplit-dwarf"),
    "clang5": ("clang++", None, "-gdwarf-5", "-gsplit-dwarf"),
    "clang5-dwp": ("clang++", "llvm-dwp", "-gdwarf-5", "-gsplit-dwarf"),
    "clang-single": ("clang++", None, "-gdwarf-5", "-gsplit-dwarf=single"),
    "clang4-single": ("clang++", None, "-gdwarf-4", "-gsplit-dwarf=single"),
    "clang-inlining": ("clang++", None, "-gdwarf-5", "-gsplit-dwarf", "-fsplit-dwarf-inlining"),
}


@pytest.mark.parametrize("form", FORMS)
def test_split(client, tmp_path, form):
    compiler, packer, *flags = FORMS[form]
    program = build(tmp_path / "split", compiler, *flags)
    if packer:
        package(packer, program)
    answer, frames = frames_of(client, program)
    assert answer.remark is None and answer.source == str(program)
    assert frames == expected(client, tmp_path, compiler, *flags)


@pytest.mark.parametrize("what", ["missing", "another", "empty", "another-package"])
def test_split_file_that_is_not_there(client, tmp_path, what):
    """Then the functions are those of the symbol table, and it is said; never another one's."""
    form = "-gdwarf-4" if what == "another-package" else "-gdwarf-5"
    program = build(tmp_path / "split", "g++", form, "-gsplit-dwarf")
    other = build(tmp_path / "other", "g++", form, "-gsplit-dwarf", "-DTWO", "-fno-inline")
    symbols = names.Symbols(program)
    for dwo in program.parent.glob("*.dwo"):
        dwo.unlink()
        if what == "another":
            shutil.copy(other.parent / dwo.name, dwo)
        elif what == "empty":
            dwo.write_bytes(b"")
    if what == "another-package":
        package("dwp", other)
        shutil.copy(f"{other}.dwp", f"{program}.dwp")
    answer = names.ask(client, program, names.call_sites(program))
    there = {"another": "of another build"}.get(what, "missing")
    assert answer.remark == (f"{program}: inlined functions are unknown: one.dwo (split debug "
                             f"information) is {there}")
    for address, frames in answer.frames.items():
        assert len(frames) == 1 and names.bare(frames[0][0]) in symbols.names(address)


def test_one_split_file_is_not_there(client, tmp_path):
    """It is said before anybody asks for a function of it; the others' are as ever."""
    program = build(tmp_path / "split", "g++", "-gdwarf-5", "-gsplit-dwarf")
    whole, _ = frames_of(client, program)
    (program.parent / "two.dwo").unlink()
    answer, _ = frames_of(client, program)
    assert answer.remark == (f"{program}: some inlined functions are unknown: two.dwo (split debug "
                             "information) is missing")
    lost = {a for a in whole.frames if pathlib.Path(whole.frames[a][0][1]).name == "two.cc"}
    assert lost and len(lost) < len(whole.frames)
    for address, frames in answer.frames.items():
        if address in lost:
            assert len(frames) == 1 and frames[0][2]  # the line is the program's own
        else:
            assert frames == whole.frames[address]


def test_split_damaged(client, tmp_path):
    """Whatever a .dwo and a .dwp hold: answers or none, and the server's end is clean."""
    chance = random.Random(25)
    program = build(tmp_path / "split", "clang++", "-gdwarf-5", "-gsplit-dwarf")
    calls = names.call_sites(program)[:20]
    package("llvm-dwp", program)
    path = pathlib.Path(f"{program}.dwp")
    good = path.read_bytes()
    for _ in range(40):
        data = bytearray(good)
        for _ in range(1 + chance.randrange(60)):
            data[chance.randrange(len(good))] = chance.randrange(256)
        path.write_bytes(data)
        names.ask_raw(client, program, calls, errors="backslashreplace")


# ---- compressed sections --------------------------------------------------------------------

def zstd_sections(program):
    done = run("objcopy", "--compress-debug-sections=zstd", program, check=False)
    if "ZSTD" not in run("readelf", "-tW", program):
        pytest.skip(f"needs an objcopy with zstd {done}")


@pytest.mark.skipif(not pathlib.Path("/usr/lib/x86_64-linux-gnu/libzstd.so.1").exists(),
                    reason="needs libzstd")
@pytest.mark.parametrize("flags", [("-gdwarf-5",), ("-gdwarf-4", "-fdebug-types-section")])
def test_zstd(client, tmp_path, flags):
    program = build(tmp_path / "packed", "g++", *flags)
    zstd_sections(program)
    answer, frames = frames_of(client, program)
    assert answer.remark is None
    assert frames == expected(client, tmp_path, "g++", *flags)


def test_zstd_unreadable(client, tmp_path):
    """Broken, it is said why there are no lines."""
    program = build(tmp_path / "packed", "g++", "-gdwarf-5")
    zstd_sections(program)
    data = bytearray(program.read_bytes())
    begin, size = section(program, ".debug_info")
    data[begin + 60:begin + size] = bytes(size - 60)
    program.write_bytes(data)
    answer, frames = frames_of(client, program)
    assert answer.remark == f"{program}: its compressed debug information: Invalid argument"
    assert all(f[0][2] == 0 for f in frames if f)


def section(path, name):
    line = next(l for l in run("readelf", "-SW", path).splitlines() if f" {name} " in l)
    words = line.split("]", 1)[1].split()
    return int(words[3], 16), int(words[4], 16)


@pytest.mark.parametrize("form", ["zlib", "zlib-gnu", "many"])
def test_what_unpacks_to_too_much(client, tmp_path, form):
    """100 MB of zeros as 100 KB (7 GB as 7 MB is the same): it is said, and not unpacked."""
    program = tmp_path / "program"
    run("g++", "-g", "-O2", CC, "-o", program)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(60 if form == "many" else 100))
    packed += packer.flush()
    size = (60 if form == "many" else 100) << 20
    sections = (".debug_info", ".debug_line") if form == "many" else (".debug_info",)
    for name in sections:
        bomb = tmp_path / "bomb"
        bomb.write_bytes((b"ZLIB" + struct.pack(">Q", size) if form == "zlib-gnu" else
                          struct.pack("<IIQQ", 1, 0, size, 1)) + packed)
        to = name.replace(".debug", ".zdebug") if form == "zlib-gnu" else name
        run("objcopy", f"--remove-section={name}", program)
        run("objcopy", f"--add-section={to}={bomb}", program)
        if form != "zlib-gnu":
            set_compressed(program, to)
    answer, frames = frames_of(client, program)
    assert answer.remark == (
        f"{program}: is not read: its compressed sections would take "
        f"{len(sections) * size >> 20} MB, and the file has {program.stat().st_size >> 10} KB")
    assert answer.source == f"{program} (.symtab)" and answer.seconds < 5
    assert frames and all(len(f) <= 1 for f in frames)


def set_compressed(path, name):
    """SHF_COMPRESSED, which objcopy can't set."""
    data = bytearray(path.read_bytes())
    offset, = struct.unpack_from("<Q", data, 40)
    entry, count = struct.unpack_from("<HH", data, 58)
    begin, size = section(path, name)
    for i in range(count):
        at = offset + i * entry
        if struct.unpack_from("<QQ", data, at + 24) == (begin, size):
            struct.pack_into("<Q", data, at + 8, struct.unpack_from("<Q", data, at + 8)[0] | 0x800)
    path.write_bytes(data)
