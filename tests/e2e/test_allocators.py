"""What the allocators have of the kernel, in the course: by their own word, to the byte."""
import glob
import re
import shutil
import subprocess
import sys

import memtrace
import pytest

# By malloc_info(), or by jemalloc's statistics; "exec": another program, whose memory lies elsewhere.
PYTHON = """
import ctypes, os, re, sys
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.open_memstream.restype = ctypes.c_void_p
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
def of_glibc():
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    stream = libc.open_memstream(ctypes.byref(text), ctypes.byref(size))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    told = text.value.decode()
    return int(re.findall('<system type="current" size="([0-9]+)"', told)[-1]) + int(re.findall('"mmap" count="[0-9]+" size="([0-9]+)"', told)[-1])
def of_jemalloc():
    def control(name):
        value, size = ctypes.c_size_t(1), ctypes.c_size_t(8)
        if name == "epoch":
            return libc.mallctl(b"epoch", None, None, ctypes.byref(value), size)
        assert not libc.mallctl(name.encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0))
        return value.value
    control("epoch")
    return control("arenas.page") * sum(control("stats.arenas.4096." + what) for what in ("pactive", "pdirty", "pmuzzy"))
for ask in (1, 2): # (what is made by the first is there by the second)
    of_jemalloc() if hasattr(libc, "mallctl") else of_glibc()
print("READY", flush=True)
for line in sys.stdin:
    if line == "exec\\n":
        os.execv(sys.executable, [sys.executable, "-c", open("/proc/self/cmdline").read().split("\\0")[2]])
    for i in range(20):
        libc.malloc(ctypes.c_size_t(int(line)))
    print("HAS", of_jemalloc() if hasattr(libc, "mallctl") else of_glibc(), flush=True)
"""

# musl says it nowhere: all of its writable memory but two pages of libc's own is malloc's.  (free() makes it link the real one.)
MUSL = """
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
	char line[64];

	setvbuf(stdout, NULL, _IONBF, 0);
	puts("READY");
	while (fgets(line, sizeof(line), stdin)) {
		void *volatile p = malloc(1);

		free(p);
		for (int i = 0; i < 20; i++)
			p = malloc(atoi(line));
		puts("DONE");
	}
	return 0;
}
"""


class Watched:
    """A program and a memtrace at its console."""

    def __init__(self, started, argv, **popen):
        self.program = memtrace.Process(argv, **popen)
        started.append(self.program)
        self.program.wait_line("^READY$")
        self.console = memtrace.Process([memtrace.MEMTRACE, "--no-symbols", "-q", "-p", self.program.pid])
        started.append(self.console)
        self.history()

    def history(self):
        self.console.send("history -n 2")
        return self.console.wait_line("allocators have").string

    def has(self):
        """Of the JSON, which is of the last sample: history has just taken one."""
        self.history()
        self.console.send("report --json -n 1")
        told = self.console.wait_line(r'^  "allocator_bytes": (\d+|null),$')[1]
        return None if told == "null" else int(told)

    def end(self):
        self.console.send("quit")
        assert self.console.wait() == 0, self.console.story()


def of_python(started, tmp_path, **popen):
    watched = Watched(started, [sys.executable, "-c", PYTHON], **popen)
    for order in ("10", "300000", "exec", "3000", "1000000"):
        watched.program.send(order)
        if order == "exec":
            watched.program.wait_line("^READY$")
            continue
        told = int(watched.program.wait_line(r"^HAS (\d+)$")[1])
        assert watched.has() == told, order
    for name, found in (("massif", r"mem_heap_B=(\d+)\nmem_heap_extra_B=(\d+)"), ("html", r'"allocators":\[.*?(\d+)\](a?)')):
        watched.console.send(f"export {name} {tmp_path / name}")
        watched.history()
        assert sum(int(number or 0) for number in re.findall(found, (tmp_path / name).read_text())[-1]) == told
    watched.end()
    text = " ".join(watched.console.out)
    size = re.search(r"The allocators have ([\d.]+) MiB of the kernel\.", text)
    assert size and abs(float(size[1]) * (1 << 20) - told) <= (1 << 20) / 10


def test_glibc(started, tmp_path):
    of_python(started, tmp_path)


def test_jemalloc(started, tmp_path):
    libraries = glob.glob("/usr/lib/*/libjemalloc.so.2")
    if not libraries:
        pytest.skip("no libjemalloc.so.2")
    # (what is free stays dirty: not given back by the clock, between the program's word and ours)
    of_python(started, tmp_path, env={"LD_PRELOAD": libraries[0], "MALLOC_CONF": "dirty_decay_ms:-1"})


def test_musl(started, tmp_path):
    if not shutil.which("musl-gcc"):
        pytest.skip("no musl-gcc")
    (tmp_path / "obtains.c").write_text(MUSL)
    subprocess.run(["musl-gcc", "-o", tmp_path / "obtains", tmp_path / "obtains.c"], check=True)
    watched = Watched(started, [tmp_path / "obtains"])
    for order in ("10", "3000", "300000"):
        watched.program.send(order)
        watched.program.wait_line("^DONE$")
        mapped = 0
        with open(f"/proc/{watched.program.pid}/maps") as maps:
            for line in maps:
                fields = line.split()
                if "w" in fields[1] and (len(fields) < 6 or fields[5] == "[heap]"):
                    mapped += int(fields[0].split("-")[1], 16) - int(fields[0].split("-")[0], 16)
        assert watched.has() == mapped - 8192
    watched.end()


def test_one_that_is_not_known(started):
    """glibc's own figure, of the few bytes that somebody has from it, is not given for another's."""
    libraries = glob.glob("/usr/lib/*/libtcmalloc_minimal.so.4")
    if not libraries:
        pytest.skip("no libtcmalloc_minimal.so.4")
    program = PYTHON.replace('hasattr(libc, "mallctl")', "1").replace("of_jemalloc() if", "0 if").replace(
        'print("READY"', 'ctypes.CDLL("libc.so.6").__libc_malloc(10); print("READY"')
    watched = Watched(started, [sys.executable, "-c", program], env={"LD_PRELOAD": libraries[0]})
    assert watched.has() > 100000  # (nothing of tcmalloc's is in use that was seen)
    watched.program.send("1000000")
    watched.program.wait_line("^HAS 0$")
    assert "not known" in watched.history() and watched.has() is None
    watched.end()
