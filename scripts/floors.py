#!/usr/bin/env python3
"""Holds the rooms of src/ to their floors: an #include goes down or stays in its
room, only one of them calls ptrace(), only the undo log writes to a target, and no file is longer
than can be read at a time.  The one table; ARCHITECTURE.md quotes it."""
import pathlib
import re
import sys

FLOORS = {
    "base": 0, "region": 0,
    "arch": 1, "elf": 1, "agent": 1,
    "unwind": 2, "heap": 2, "symbols": 2, "tracer": 2,
    "hook": 3,
    "capture": 4, "report": 4,
    "cli": 5, "serve": 5,
}
# These run in the target, too: they may use nothing else.
ALONE = {"region": (), "agent": ("region",)}
# base/ has no word of the domain.
# What a room may reach besides the floors below (none today).
EXTRA = set()
# The one file of region/ that is not freestanding (see region.h).
HOSTED = {"src/region/private_space.c"}
FREESTANDING = {"stdint.h", "stddef.h", "stdbool.h", "stdatomic.h", "limits.h"}

# The one room that may call ptrace().
PTRACE = re.compile(r"(?<![\w\"/*])ptrace\(\s*(?:PTRACE_|\w+,|\()")
PTRACE_ROOM = "tracer"

# Who writes to a target's memory, and in whose words; all others go by tracer/undo.c.
WRITE = re.compile(r"(?<![\w\"/*])(?:(?:target_write|process_vm_writev|pwrite(?:v|64)?)\(|ptrace\(PTRACE_POKE)")
WRITERS = {
    "src/tracer/target.c": "is target_write()",
    "src/tracer/target.h": "declares it",
    "src/tracer/undo.c": "writes down what it writes",
    "src/tracer/children.c": "tries a word below a child's stack, which nobody relies on",
    "src/hook/predecessor.c": "puts back a file's own bytes, which need no undoing",
    "src/capture/case.c": "writes into a file of our own",
    "src/cli/history.c": "writes into a file of our own",
}

# A longer file has two ideas: each gets its own.
MOST_LINES = 500

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def complaints(root):
    for path in sorted((root / "src").rglob("*.[ch]")):
        name = path.relative_to(root).as_posix()
        room = path.relative_to(root / "src").parts[0]
        if room not in FLOORS:
            yield f"{name}: room '{room}' is not in the table"
            continue
        lines = path.read_text().splitlines()
        if len(lines) > MOST_LINES:
            yield f"{name}: {len(lines)} lines, of {MOST_LINES} at most"
        for number, line in enumerate(lines, 1):
            if room != PTRACE_ROOM and PTRACE.search(line):
                yield f"{name}:{number}: ptrace() outside {PTRACE_ROOM}/"
            if name not in WRITERS and WRITE.search(line):
                yield f"{name}:{number}: writes to a target, not by the undo log"
            match = INCLUDE.match(line)
            if not match:
                continue
            own, system = match.groups()
            if system and room in ALONE and name not in HOSTED and system not in FREESTANDING:
                yield f"{name}:{number}: {room}/ is freestanding, but includes <{system}>"
            if not own:
                continue
            other = own.split("/")[0]
            if other not in FLOORS:
                yield f'{name}:{number}: "{own}": write the room in front'
            elif other == room or (room, other) in EXTRA:
                continue
            elif other not in ALONE.get(room, FLOORS) or FLOORS[other] >= FLOORS[room]:
                yield f"{name}:{number}: {room} (floor {FLOORS[room]}) may not include {other} (floor {FLOORS[other]})"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = list(complaints(root))
    for line in found:
        print(line)
    print(f"floors: {'kept' if not found else f'{len(found)} broken'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
