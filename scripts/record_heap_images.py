#!/usr/bin/env python3
"""Records the heaps of tests/unit/images anew, or others: heap_list with 120 blocks, by heap_oracle.

    O=build scripts/record_heap_images.py FILE PROGRAM [ARGUMENT]...

PROGRAM is heap_list with 40 (blocks of each kind), also by another libc's loader:
    ... tests/unit/images/glibc-2.41 trixie/ld-linux-x86-64.so.2 --library-path trixie ./heap_list 40
PRELOAD=libjemalloc.so.2 is another allocator's.  Paths and the environment get into the image: run it
from a folder of its own.
"""
import os
import subprocess
import sys
import time


def is_asleep(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "S"


def main(image, *command):
    oracle = os.path.abspath(os.path.join(os.environ.get("O", "build"), "tests/e2e/heap_oracle"))
    preload = os.environ.get("PRELOAD")
    env = {"PATH": "/usr/bin", **({"LD_PRELOAD": preload} if preload else {})}
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
    assert program.stdout.readline() == b"ready\n"
    blocks = b"".join(iter(program.stdout.readline, b"end\n"))
    while not is_asleep(program.pid):
        time.sleep(0.01)
    done = subprocess.run([oracle, "-r", image, str(program.pid)], input=blocks, stdout=subprocess.PIPE)
    program.kill()
    program.wait()
    sys.stdout.write(done.stdout.decode())
    return done.returncode


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
