"""For gdb: prints the stacks of the next calls of some functions, absolute addresses, leaf first.

    STACKS="COUNT ADDRESS..." gdb-multiarch -x gdb_stacks.py
"""
import os

import gdb


def stack():
    frame, found = gdb.newest_frame(), []
    while frame is not None and len(found) < 64:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            found.append(frame.pc())
        try:
            frame = frame.older()
        except gdb.error:
            break
    return found


count, *addresses = os.environ["STACKS"].split()
for address in addresses:
    gdb.Breakpoint(f"*{address}")
for _ in range(int(count)):
    gdb.execute("continue", to_string=True)
    print("STACK", *map(hex, stack()), flush=True)
gdb.execute("delete")
gdb.execute("detach")
