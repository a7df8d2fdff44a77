"""How much a process grew, and what of that its blocks explain."""
import re
import sys

import memtrace

PROGRAM = """
import ctypes, mmap, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
kept = []
print("READY", flush=True)
for line in sys.stdin:
    if line.startswith("malloc"):
        at = libc.malloc(ctypes.c_size_t(8 << 20))
        ctypes.memset(at, 1, 8 << 20)
    else:
        kept.append(mmap.mmap(-1, 8 << 20, flags=mmap.MAP_PRIVATE))
        kept[-1].write(bytes(8 << 20))
    print("OK", flush=True)
"""


def grown(started, how):
    program = memtrace.Process([sys.executable, "-c", PROGRAM])
    started.append(program)
    program.wait_line("^READY$")
    tracer = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "-p", program.pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("peak:")
    program.send(how)
    program.wait_line("^OK$")
    tracer.send("quit")
    assert tracer.wait() == 0, tracer.story()
    text = " ".join(tracer.out)
    found = re.search(r"RSS [\d.]+ MiB at the start, [\d.]+ MiB now: of the ([\d.]+) MiB between, blocks in use explain "
                      r"(less than 0.1|[\d.]+)%\.( The rest is not malloc's.*?PYTHONMALLOC=malloc)?", text)
    assert found, text
    return float(found[1]), float(found[2].split()[-1]), found[3]


def test_what_malloc_explains(started):
    size, percent, other = grown(started, "malloc")
    assert 7.9 <= size <= 9 and percent >= 90 and other is None


def test_what_it_does_not_explain(started):
    """Who is known for that is named."""
    size, percent, other = grown(started, "mmap")
    assert 7.9 <= size <= 18 and percent < 50 and other
