#!/usr/bin/python3
"""Records tests/offline/cases anew: tests/cross/record_cases.py [arm64] [armhf] [armel] [riscv64] [mipsel] [x86_64]

chain.c, built in several ways, runs under `memtrace --record-case` in a guest of its CPU.
A stack is kept as a case only if
  - the frames in the program are the known chain, by the symbols of the unstripped program;
  - gdb-multiarch, given registers, stack and the unstripped files (libc6-dbg) as a core
    file, finds the same frames, or as many as it can follow.
What it was is written into the case, as is each frame's name.
"""
import bisect
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile

import build
import core
from guest import CPUS, Guest
from packages import Packages
from serving import free_port

CASES = build.TOP / "tests/offline/cases"
CHAIN = build.TOP / "tests/cross/targets/chain.c"
# How it is compiled; what is stripped; whether memtrace-fs tells what the files lack.
VARIANTS = {
    "arm64": {"eh_frame": ("-O2", "-s", False), "pac": ("-O2 -mbranch-protection=standard", "-s", False),
              "chain": ("-O2 -fno-asynchronous-unwind-tables -fno-omit-frame-pointer", "-s", False)},
    "armhf": {"t32-rows": ("-O2", "-s", True), "t32-debug_frame": ("-O2", None, False),
              "t32-exidx": ("-O2 -funwind-tables", "-s", False), "t32-scan": ("-O2", "-g", False),
              "t32-bare": ("-O2", "-s", False), "a32-scan": ("-O2 -marm", "-g", False),
              "a32-rows": ("-O2 -marm", "-s", True)},
    "armel": {"a32-scan": ("-O2", "-g", False), "a32-exidx": ("-O2 -funwind-tables", "-s", False),
              "a32-bare": ("-O2 -march=armv5te -mfloat-abi=soft", "-s", False)},
    "riscv64": {"eh_frame": ("-O2 -fasynchronous-unwind-tables", "-s", False), "scan": ("-O2", "-g", False),
                "bare": ("-O2", "-s", False), "debug_frame": ("-O2", None, False)},
    "mipsel": {"pdr": ("-O2", "-s", False), "eh_frame": ("-O2 -fasynchronous-unwind-tables", "-s -R .pdr", False),
               "scan": ("-O2", "-g -R .pdr", False), "bare": ("-O2", "-s -R .pdr", False), "debug_frame": ("-O2", None, False),
               "rows": ("-O2", "-s -R .pdr", True), "O0": ("-O0", "-s -R .pdr", False),
               "mips16-pdr": ("-O2 -mips16", "-s", False), "mips16-rows": ("-O2 -mips16", "-s -R .pdr", True)},
    "x86_64": {"eh_frame": ("-O2", "-s", False)},
}
CHAINS = [["leaf", "middle", "main"], ["leaf", "with_alloca", "main"], ["leaf", "middle", "busy", "main"],
          ["leaf", "compare", "through_libc", "main"], ["leaf", "middle"] + 21 * ["deeper"] + ["main"],
          ["leaf", "on_signal", "interrupted", "main"], ["leaf", "middle", "in_thread"], ["main"]]
STARTS = ("_start", "__start")


def run(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, **options)


def build_chain(cpu, folder):
    """{variant: program}, and the unstripped ones beside them."""
    prefix = CPUS[cpu].triplet + "-" if cpu in CPUS else ""
    for name, (flags, strip, _) in VARIANTS[cpu].items():
        for kind in ("staging", "guest"):
            (folder / name / kind).mkdir(parents=True)
        whole, bare = folder / name / "staging/chain", folder / name / "guest/chain"
        run(prefix + "gcc", "-g", "-D_GNU_SOURCE", "-pthread", *flags.split(), "-o", whole, CHAIN)
        run(prefix + "strip", *strip.split(), "-o", bare, whole) if strip else shutil.copy(whole, bare)


class Symbols:
    def __init__(self, path):
        self.begins, self.names = [], []
        for line in sorted(subprocess.check_output(["readelf", "-sW", path], text=True).splitlines(),
                           key=lambda line: int((line.split() + ["0", "0"])[1], 16) if line.strip()[:1].isdigit() else 0):
            words = line.replace("[MIPS16]", "").split()
            if len(words) == 8 and words[3] == "FUNC" and words[6] not in ("UND", "Ndx"):
                self.begins.append(int(words[1], 16) & ~1)
                self.names.append((words[7].split(".")[0], int(words[2], 0), int(words[1], 16) & 1))

    def at(self, vaddr):
        i = bisect.bisect_right(self.begins, vaddr) - 1
        return self.names[i] if i >= 0 else ("?", 0, 0)


def packages_root(cpu, folder):
    """libc and its debug files, in one tree."""
    if cpu not in CPUS:
        return pathlib.Path("/")
    root = folder / "root"
    for name in ("libc6", "libc6-dbg", "libgcc-s1"):
        shutil.copytree(Packages(cpu).unpack(name), root, symlinks=True, dirs_exist_ok=True)
    return root


def record_in_guest(cpu, folder):
    out = build.make(cpu, "memtrace")
    files = {"/root/memtrace": out / "memtrace"}
    for name in VARIANTS[cpu]:
        files[f"/root/{name}/chain"] = folder / name / "guest/chain"
    root = packages_root(cpu, folder)
    guest = Guest(cpu, files=files)
    # gdb 13 does not come back from a signal frame with SVE's registers.
    guest.cpu = guest.cpu._replace(qemu=[word.replace("max,", "max,sve=off,sme=off,") for word in guest.cpu.qemu])
    with guest:
        for name, (_, _, served) in VARIANTS[cpu].items():
            options = "--no-symbols"
            if served:
                port = free_port()
                server = subprocess.Popen([build.FS, "--no-announce", f"--listen=127.0.0.1:{port}",
                                           folder / name / "staging", root], stdin=subprocess.DEVNULL)
                options = f"--connect=10.0.2.2:{port}"
            print(guest.run(f"cd /root/{name} && ../memtrace -q --record-case=cases {options} ./chain </dev/null "
                            "2>&1 | grep -i -e warn -e 'no case'; true", timeout=200).output, end="")
            if served:
                server.kill()
                server.wait()
            guest.run(f"cd /root/{name} && tar cf /tmp/cases.tar cases", check=True)
            (folder / "cases.tar").write_bytes(guest.read("/tmp/cases.tar"))
            with tarfile.open(folder / "cases.tar") as archive:
                archive.extractall(folder / name)
    return root


def record_here(cpu, folder):
    out = build.TOP / os.environ.get("O", "build")
    for name in VARIANTS[cpu]:
        run("env", "-i", out / "memtrace", "-q", "--no-symbols", "--record-case=cases", "./chain",
            cwd=folder / name / "guest", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.move(folder / name / "guest/cases", folder / name / "cases")
    return pathlib.Path("/")


def judge(case, files, debug, folder):
    """(names of the frames, what says so), or None: not a case."""
    if any(line.split()[:4:3] == ["row", "7"] for line in case.path.read_text().splitlines()):
        print(f"  {case.path.name}: all registers of memtrace-fs' call frame information, of which a case has rows alone")
        return None
    symbols = {name: Symbols(path) for name, path in files.items()}
    chain = symbols["chain"]
    own = [chain.at(f.offset - (0 if "exact" in f.flags else 1))[0] for f in case.frames
           if f.module and pathlib.Path(f.module.path).name == "chain"]
    own = [name for name in own if name not in STARTS]
    whole = case.end == 0
    if not any(own == known or (not whole and len(own) > 1 and own == known[:len(own)]) for known in CHAINS):
        print(f"  {case.path.name}: not a known chain: {own}, end {case.end}")
        return None
    leaf = case.frames[0]
    thumb = case.arch == "arm" and symbols[pathlib.Path(leaf.module.path).name].at(leaf.offset)[2]
    by_gdb, story = core.frames_by_gdb(case, files, debug, folder, thumb)
    ours = [case.address(f) for f in case.frames]
    shared = min(len(ours), len(by_gdb))
    state = 1 if case.arch in ("mips", "mipsel") else 0  # (gdb tells MIPS16 code by bit 0, as registers do)
    if [pc & ~state for pc, _ in by_gdb[:shared]] != ours[:shared] or shared < 4:
        print(f"  {case.path.name}: gdb differs: {[hex(x) for x in ours]}\n{story}")
        return None
    last = by_gdb[shared - 1][1]
    print(f"  {case.path.name}: {own}: {shared} of {len(ours)} frames by gdb ({len(by_gdb)} of its own, last {last}), end {case.end}")
    source = "the chain of calls in tests/cross/targets/chain.c, by symbols of the unstripped program; "
    source += f"gdb-multiarch with libc6-dbg: {'all' if shared == len(ours) else shared} of the {len(ours)} frames"
    if len(by_gdb) > len(ours) and not whole:
        source += f" and {len(by_gdb) - len(ours)} more"
    return [name for _, name in by_gdb[:shared]], source


def name_frames(case, names, source):
    lines, at = [], 0
    for line in case.path.read_text().splitlines():
        if line.startswith("frame "):
            line += f" = {names[at]}" if at < len(names) else ""
            at += 1
        elif line.startswith("module "):
            line = line.replace(case.modules[int(line.split()[1], 16)].path,
                                "/root/chain" if line.endswith("/chain") else line.split()[-1])
        lines.append(line)
    return "\n".join(lines + [f"by {source}"]) + "\n"


def read_pieces(path):
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        begin, length = struct.unpack_from("<QQ", data, at)
        found.append((begin, data[at + 16:at + 16 + length]))
        at += 16 + length
    return found


def add_pieces(path, to):
    """One file for all cases: what any of them read."""
    joined = []
    for begin, data in sorted(read_pieces(path) + (read_pieces(to) if to.exists() else [])):
        if joined and begin <= joined[-1][0] + len(joined[-1][1]):
            last, bytes_ = joined[-1]
            joined[-1] = (last, bytes_ + data[last + len(bytes_) - begin:])
        else:
            joined.append((begin, data))
    to.write_bytes(b"".join(struct.pack("<QQ", begin, len(data)) + data for begin, data in joined))


def drop_unused():
    used = {line.split()[6] for case in CASES.glob("*/*.case") for line in case.read_text().splitlines()
            if line.startswith("module ")}
    for path in (CASES / "modules").iterdir():
        if path.name not in used:
            path.unlink()


def keep(cpu, name, folder, files, debug):
    target = CASES / f"{cpu}-{name}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    print(f"{cpu}-{name}")
    needed = set()
    for path in sorted((folder / name / "cases").glob("*.case")):
        case = core.Case(path)
        judged = judge(case, files, debug, folder)
        if judged:
            (target / path.name).write_text(name_frames(case, *judged))
            shutil.copy(path.with_suffix(".stack"), target)
            needed |= {m.pieces for m in case.modules.values() if m.pieces != "-"}
    (CASES / "modules").mkdir(exist_ok=True)
    for pieces in needed:  # the program's are of this variant alone: stripping leaves its build-id
        own = pieces.startswith("chain.")
        add_pieces(folder / name / "cases" / pieces, (target if own else CASES / "modules") / pieces)


def main():
    for cpu in sys.argv[1:] or list(VARIANTS):
        with tempfile.TemporaryDirectory(prefix="memtrace-cases-") as folder:
            folder = pathlib.Path(folder)
            build_chain(cpu, folder)
            root = (record_in_guest if cpu in CPUS else record_here)(cpu, folder)
            for name in VARIANTS[cpu]:
                libraries = ["libc.so.6", "ld-linux-armhf.so.3", "ld-linux.so.3", "ld-linux-aarch64.so.1",
                             "ld-linux-riscv64-lp64d.so.1", "ld-linux-x86-64.so.2", "ld.so.1"]
                files = {"chain": folder / name / "staging/chain"}
                for library in libraries:
                    found = [p for libs in ("lib", "usr/lib") for p in root.glob(f"{libs}/*/{library}") if p.exists()]
                    if found:
                        files[library] = found[0].resolve()
                keep(cpu, name, folder, files, root / "usr/lib/debug")
    drop_unused()


if __name__ == "__main__":
    main()
