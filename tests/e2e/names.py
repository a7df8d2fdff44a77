"""Asking memtrace-fs from a test (tests/e2e/resolve.c), and asking addr2line the same.

A frame is (function, file, line); an answer is a list of them, innermost first.
"""
import bisect
import json
import os
import pathlib
import re
import subprocess

from memtrace import BUILD

HERE = pathlib.Path(__file__).parent
SERVER = BUILD / "memtrace-fs"
UNKNOWN = "?"


def run(*argv, check=True, **more):
    return subprocess.run([str(a) for a in argv], check=check, text=True,
                          stdout=subprocess.PIPE, **more).stdout


def build_client(folder):
    client, library = folder / "resolve", BUILD / "libcore.a"
    symbols = run("nm", library, stderr=subprocess.DEVNULL)
    sanitizers = [f"-fsanitize={kind}" for kind, symbol in
                  (("address", "__asan_init"), ("undefined", "__ubsan_handle"))
                  if symbol in symbols]
    run(os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE", "-g", "-pthread", *sanitizers,
        f"-I{HERE.parent.parent / 'src'}", HERE / "resolve.c", library, "-o", client)
    return client


def build_id(path):
    found = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", path, stderr=subprocess.DEVNULL))
    return found.group(1) if found else "-"


def call_sites(path):
    """The addresses of the calls in a file: return address - 1 is within them."""
    text = run("objdump", "-d", "--no-show-raw-insn", path)
    return [int(m.group(1), 16) for m in re.finditer(r"^\s*([0-9a-f]+):\s+call", text, re.M)]


class Answer:
    def __init__(self, text):
        self.frames, self.values, self.rows = {}, {}, {}
        self.source = self.remark = self.seconds = None
        frames = None
        for line in text.splitlines():
            kind, *rest = line.split("\t")
            if kind == "at":
                frames = self.frames[int(rest[0], 16)] = []
            elif kind == "frame":
                frames.append((rest[0], rest[1], int(rest[2])))
                assert rest[3] in ("inlined", "real")
                frames[-1] += (rest[3],)
            elif kind == "value":
                self.values[rest[0]] = int(rest[1], 16)
            elif kind == "row":
                self.rows[int(rest[0], 16)] = tuple(map(int, rest[1:]))
            else:
                setattr(self, kind, rest[0])
        self.seconds = float(self.seconds or 0)
        for found in self.frames.values():
            assert [f[3] for f in found] == ["inlined"] * (len(found) - 1) + ["real"] * bool(found)
        self.frames = {at: [f[:3] for f in found] for at, found in self.frames.items()}

    def functions(self):
        return {f[-1][0] for f in self.frames.values() if f}

    def with_lines(self):
        return sum(1 for f in self.frames.values() if f and f[-1][2])


def ask(client, path, offsets=(), *debug_dirs, pid=0, identity=None, server=SERVER, **more):
    return Answer(ask_raw(client, path, offsets, *debug_dirs, pid=pid, identity=identity,
                          server=server, **more))


def ask_raw(client, path, offsets, *debug_dirs, pid=0, identity=None, server=SERVER, **more):
    """Neither the client nor the server (which has its stderr) complains of anything."""
    identity = identity or build_id(path)
    done = subprocess.run(
        [str(a) for a in (client, server, pid, path, identity, *debug_dirs)], check=False,
        input="".join(f"{offset:x}\n" for offset in offsets), text=True, capture_output=True, **more)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# ---- what others say ----------------------------------------------------------------------

def addr2line(tool, path, offsets):
    """{offset: [(function, file, line), ...]} by binutils' or elfutils' addr2line."""
    text = run(tool, "-a", "-i", "-f", "-C", "-e", path, input="".join(f"{o:#x}\n" for o in offsets),
               stderr=subprocess.DEVNULL, check=False)
    answers, frames, function = {}, None, None
    for line in text.splitlines():
        if re.fullmatch(r"0x[0-9a-f]+", line):
            frames, function = answers.setdefault(int(line, 16), []), None
            frames.clear()
        elif function is None:
            function = line.split(" inlined at ")[0]
        else:
            file, number = re.match(r"(.*?):(\d+|\?)", line).groups()
            frames.append((function, UNKNOWN if file == "??" else file,
                           int(number) if number.isdigit() else 0))
            function = None
    return answers


def llvm_symbolizer():
    found = sorted(pathlib.Path("/usr/bin").glob("llvm-symbolizer*"))
    return found[0] if found else None


def by_llvm(path, offsets):
    """Its own demangler has a way of its own with lambdas: binutils' is used."""
    text = run("c++filt", input=run(
        llvm_symbolizer(), "--obj", path, "--inlines", "--functions=linkage", "--no-demangle",
        "--output-style=JSON", input="".join(f"{o:#x}\n" for o in offsets)))
    return {int(answer["Address"], 16): [
        (f["FunctionName"] or "??", f["FileName"] or UNKNOWN, f["Line"])
        for f in answer.get("Symbol", [])] for answer in map(json.loads, text.splitlines())}


def same_file(ours, theirs):
    """addr2line puts the compilation directory before a relative path, we don't."""
    ours, theirs = os.path.normpath(ours), os.path.normpath(theirs)
    if ours in (theirs, UNKNOWN) and theirs in (ours, UNKNOWN, "."):
        return True
    return ("/" + theirs).endswith("/" + re.sub(r"^(\.\./)+", "", ours))


def bare(function):
    """Without what a compiler adds to the names of a function's copies and parts, glibc to
    its internal aliases, and without spaces, which demanglers put where they like."""
    function = re.sub(r"(\.(part|isra|constprop|cold|lto_priv|llvm)(\.\d+)*)+$", "", function)
    function = function.removeprefix("__GI_").split("@")[0]
    return re.sub(r"( \[clone [^]]*\]| \(\.[^)]*\))+$", "", function).replace(" ", "")


class Symbols:
    """The symbol table of a file: who stands at an address."""

    def __init__(self, path):
        self.places = {}
        for line in run("nm", "-C", path, stderr=subprocess.DEVNULL).splitlines():
            parts = line.split(None, 2)
            if len(parts) == 3 and parts[1] in "tTwWiu":
                self.places.setdefault(int(parts[0], 16), set()).add(bare(parts[2].split("@")[0]))
        self.addresses = sorted(self.places)

    def names(self, address):
        at = bisect.bisect_right(self.addresses, address)
        return self.places[self.addresses[at - 1]] if at else set()


def is_mangled(short, names):
    """Nobody could demangle it (clang 19's ways with packs are newer than the tools), and DWARF
    has the short name."""
    word = re.match(r"\w*", short)[0]
    return any(name.startswith("_Z") and f"{len(word)}{word}" in name for name in names)


def same(ours, theirs, functions):
    """functions: for each frame, the names it has by anybody."""
    if not ours:
        return all(f[0] == "??" and f[2] == 0 for f in theirs)
    return len(ours) == len(theirs) and all(
        (bare(a[0]) in names or is_mangled(a[0], names) or (a[0] == UNKNOWN and "??" in names))
        and (same_file(a[1], b[1]) or a[1:] == (UNKNOWN, 0)) and a[2] == b[2]
        for a, b, names in zip(ours, theirs, functions))


def differences(answer, path):
    """The offsets where nobody agrees, with all answers.  All of the others have their ways:
    binutils takes wrong files from some DWARF 5 line tables and no split DWARF, elfutils
    leaves out some inlined calls and fails without .debug_aranges; where DWARF has no linkage
    name, one shows the short name and the other the symbol."""
    offsets = list(answer.frames)
    symbols = Symbols(path)
    others = [addr2line(tool, path, offsets) for tool in ("addr2line", "eu-addr2line")]
    if llvm_symbolizer():
        others.append(by_llvm(path, offsets))
    found = []
    for offset in offsets:
        ours = answer.frames[offset]
        theirs = [other[offset] for other in others if offset in other]
        functions = [{bare(t[i][0]) for t in theirs if i < len(t)} for i in range(len(ours))]
        if ours:
            functions[-1] |= symbols.names(offset)
        if not any(same(ours, t, functions) for t in theirs):
            found.append((hex(offset), ours, *theirs))
    return found
