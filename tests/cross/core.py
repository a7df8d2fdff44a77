"""A recorded unwind case (src/capture/case.h) as a core file, for gdb to unwind."""
import collections
import pathlib
import struct
import subprocess

# e_machine, word size, size of prstatus, where its registers begin, DWARF number -> word there, for gdb, the order
# of bytes, e_flags
Machine = collections.namedtuple("Machine", "number word prstatus registers place gdb order flags", defaults=("little", 0))
X86 = {0: 10, 1: 12, 2: 11, 3: 5, 4: 13, 5: 14, 6: 4, 7: 19, 8: 9, 9: 8, 10: 7, 11: 6, 12: 3, 13: 2, 14: 1, 15: 0, 16: 16}
MIPS, O32 = {**{i: 6 + i for i in range(1, 32)}, 32: 40}, 0x70001000
MACHINES = {
    "x86_64": Machine(62, 8, 336, 112, X86, "i386:x86-64"),
    "aarch64": Machine(183, 8, 392, 112, {i: i for i in range(33)}, "aarch64"),
    "arm": Machine(40, 4, 148, 72, {i: i for i in range(17)}, "arm", flags=0x05000000),
    "riscv64": Machine(243, 8, 376, 112, {**{i: i for i in range(1, 32)}, 32: 0}, "riscv:rv64"),
    "mipsel": Machine(8, 4, 256, 72, MIPS, "mips:isa32r2", flags=O32),
    "mips": Machine(8, 4, 256, 72, MIPS, "mips:isa32r2", "big", O32),
}
LR = {"aarch64": 30, "arm": 14, "riscv64": 1, "mipsel": 31, "mips": 31}
SP = {"x86_64": 7, "aarch64": 31, "arm": 13, "riscv64": 2, "mipsel": 29, "mips": 29}
PC = {"x86_64": 16, "aarch64": 32, "arm": 15, "riscv64": 32, "mipsel": 32, "mips": 32}
CPSR, THUMB, PAC_MASK = 16, 0x20, 0x7f000000000000

Module = collections.namedtuple("Module", "instance begin end bias build_id pieces path")
Frame = collections.namedtuple("Frame", "module offset flags")


class Case:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.registers, self.modules, self.frames, self.rows = {}, {}, [], 0
        for line in self.path.read_text().splitlines():
            kind, *words = line.split(" ")
            if kind == "arch":
                self.arch = words[0]
            elif kind in ("slot", "end"):
                setattr(self, kind, int(words[0], 16))
            elif kind == "reg":
                self.registers[int(words[0], 16)] = int(words[1], 16)
            elif kind == "module":
                numbers = [int(w, 16) for w in words[:4]]
                self.modules[numbers[0]] = Module(*numbers, words[4], words[5], words[6])
            elif kind == "row":
                self.rows += 1
            elif kind == "frame":
                self.frames.append(Frame(self.modules.get(int(words[0], 16)), int(words[1], 16), words[2:]))
        self.bytes = self.path.with_suffix(".stack").read_bytes()

    def address(self, frame):
        return frame.offset + (frame.module.bias if frame.module else 0)

    def word(self, address):
        machine = MACHINES[self.arch]
        return int.from_bytes(self.bytes[address - self.slot:][:machine.word], machine.order)

    def at_entry(self, leaf_is_thumb):
        """The registers as if the thread stood at the allocation function's first instruction."""
        found = dict(self.registers)
        caller = self.word(self.slot)
        if self.arch in LR:
            found[LR[self.arch]] = caller
        if self.arch == "arm":
            found[CPSR] = 0x10 | (THUMB if leaf_is_thumb else 0)
        found[SP[self.arch]] = self.slot + (MACHINES[self.arch].word if self.arch in LR else 0)
        found[PC[self.arch]] = self.address(self.frames[0])
        return found


def segments(case, files):
    """(address, bytes) of the stack and of what the modules' files have loaded."""
    found = [(case.slot, case.bytes)]
    for module in case.modules.values():
        source = files.get(pathlib.Path(module.path).name)
        if source:
            data = pathlib.Path(source).read_bytes()
            for line in subprocess.check_output(["readelf", "-lW", source], text=True).splitlines():
                if line.split()[:1] == ["LOAD"]:
                    offset, vaddr, _, size = (int(x, 16) for x in line.split()[1:5])
                    found.append((module.bias + vaddr, data[offset:offset + size]))
        elif module.pieces.endswith(".memory"):
            rest = (case.path.parent / module.pieces).read_bytes()
            while rest:
                begin, size = struct.unpack_from("<QQ", rest)
                found.append((module.begin + begin, rest[16:16 + size]))
                rest = rest[16 + size:]
    return found


def write_core(case, files, path, leaf_is_thumb):
    machine = MACHINES[case.arch]
    status = bytearray(machine.prstatus)
    for register, value in case.at_entry(leaf_is_thumb).items():
        if register in machine.place:
            at = machine.registers + machine.word * machine.place[register]
            status[at:at + machine.word] = (value % (1 << 8 * machine.word)).to_bytes(machine.word, machine.order)
    end = "<" if machine.order == "little" else ">"
    note = struct.pack(end + "III8s", 5, len(status), 1, b"CORE") + bytes(status)
    if case.arch == "aarch64":  # NT_AUXV: AT_HWCAP says PACA; NT_ARM_PAC_MASK
        note += struct.pack("<III8sQQQQ", 5, 32, 6, b"CORE", 16, 1 << 30, 0, 0)
        note += struct.pack("<III8sQQ", 6, 16, 0x406, b"LINUX", PAC_MASK, PAC_MASK)
    parts = segments(case, files)
    wide = machine.word == 8
    header_size, entry_size = (64, 56) if wide else (52, 32)
    at = header_size + entry_size * (1 + len(parts))
    table, body = b"", b""

    def entry(kind, address, data):
        values = (at + len(body), address, address, len(data), len(data))
        return (struct.pack(end + "IIQQQQQQ", kind, 7, *values, 1) if wide
                else struct.pack(end + "IIIIIIII", kind, *values, 7, 1))

    for kind, address, data in [(4, 0, note)] + [(1, a, d) for a, d in parts]:
        table += entry(kind, address, data)
        body += data
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if machine.order == "little" else 2, 1]) + bytes(9)
    header = ident + struct.pack(end + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"), 4, machine.number, 1, 0, header_size, 0,
                                 machine.flags, header_size, entry_size, 1 + len(parts), 0, 0, 0)
    path.write_bytes(header + table + body)


WALK = """
import gdb
frame, count = gdb.newest_frame(), 0
while frame is not None and count < 512:
    if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
        print("FRAME", hex(frame.pc()), frame.name() or "?")
    count += 1
    try:
        frame = frame.older()
    except gdb.error as error:
        print("ERROR", error)
        break
"""


def frames_by_gdb(case, files, debug, folder, leaf_is_thumb):
    """[(pc, name)] by gdb-multiarch: files {base name: unstripped file}, debug: its folder of debug files."""
    write_core(case, files, folder / "core", leaf_is_thumb)
    (folder / "walk.py").write_text(WALK)
    commands = [f"set architecture {MACHINES[case.arch].gdb}", f"set endian {MACHINES[case.arch].order}",
                "set osabi GNU/Linux", f"set debug-file-directory {debug}", "set auto-load no", "set backtrace past-main on",
                "set backtrace past-entry on", f"core-file {folder}/core"]
    for module in case.modules.values():
        source = files.get(pathlib.Path(module.path).name)
        if source:
            commands.append(f"add-symbol-file {source} -o {module.bias:#x}")
    commands.append(f"source {folder}/walk.py")
    command = ["gdb-multiarch", "-nx", "-batch"] + [word for c in commands for word in ("-ex", c)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("FRAME")]
    return [(int(pc, 16), name) for _, pc, name in found], done.stdout + done.stderr
