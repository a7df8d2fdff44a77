"""Two hosts for the tests: network namespaces with a veth pair between them, and what
lives on each: a stripped target on one, staging directories and memtrace-fs on the other.
"""
import ctypes
import itertools
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

from memtrace import BUILD, Process

FS = BUILD / "memtrace-fs"

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include "part.h"

static inline __attribute__((always_inline)) void *inner(unsigned n)
{
	return keep(malloc(n));
}

__attribute__((noinline)) void work(unsigned n)
{
	inner(n);
	part_call(inner, n + 1);
	part_make(n + 2);
}

__attribute__((noinline)) void *keep(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
	return p;
}

#ifdef ALL_REGISTERS /* a frame that hangs on rbx, which work() saves */
__asm__(".cfi_sections .debug_frame\n"
	".type by_rbx, @function\n"
	"by_rbx: .cfi_startproc\n"
	"	push %rbx\n"
	"	.cfi_def_cfa_offset 16\n"
	"	.cfi_offset %rbx, -16\n"
	"	mov %rsp, %rbx\n"
	"	.cfi_def_cfa %rbx, 16\n"
	"	sub $80, %rsp\n"
	"	and $-64, %rsp\n"
	"	call work\n"
	"	mov %rbx, %rsp\n"
	"	pop %rbx\n"
	"	.cfi_def_cfa %rsp, 8\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size by_rbx, . - by_rbx");
void by_rbx(unsigned n);
#else
#define by_rbx work
#endif

int main(void)
{
	char line[64];

	setvbuf(stdout, NULL, _IONBF, 0);
	printf("READY %d\n", (int)sizeof(line));
	while (fgets(line, sizeof(line), stdin)) {
		for (unsigned i = 0; i < 3; i++)
			by_rbx(100 * i + 10);
		printf("DONE\n");
	}
	return 0;
}
"""

PART = r"""
#include <stdlib.h>
#include "part.h"

static __attribute__((noinline)) void *deeper(void *(*call)(unsigned), unsigned n)
{
	char room[64 + (n & 1)];

	keep(room);
	return keep(call(n));
}

void *part_call(void *(*call)(unsigned), unsigned n)
{
	return keep(deeper(call, n));
}

void *part_make(unsigned n)
{
	return keep(calloc(1, n));
}
"""

HEADER = """
void *keep(void *p);
void *part_call(void *(*call)(unsigned), unsigned n);
void *part_make(unsigned n);
"""

NO_UNWIND = ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"]


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True, **more)


class Host:
    """A network namespace; a process is put into it without another change."""

    def __init__(self, name):
        self.name = name
        run("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *argv):
        run("ip", "-n", self.name, *argv)

    def argv(self, *argv):
        return ["nsenter", f"--net=/run/netns/{self.name}", *argv]

    def start(self, *argv, **popen):
        return Process(self.argv(*argv), **popen)

    def wait_free(self, port):
        """Until nobody listens there: workers of a memtrace-fs that was ended have its socket a moment longer."""
        end = time.monotonic() + 30
        while subprocess.run(self.argv("ss", "-Hltn", f"sport = :{port}"), capture_output=True, check=True).stdout:
            assert time.monotonic() < end, f"somebody listens on {port} of {self.name}"
            time.sleep(0.05)

    def end(self):
        subprocess.run(["ip", "netns", "del", self.name], check=False)


class Network:
    """host 10.77.0.1, fd77::1 --- veth --- target 10.77.0.2, fd77::2"""
    made = itertools.count()

    def __init__(self):
        name = f"mt{os.getpid()}n{next(Network.made)}"
        self.host, self.target = Host(f"{name}h"), Host(f"{name}t")
        run("ip", "link", "add", "veth0", "netns", self.host.name, "type", "veth", "peer", "name",
            "veth0", "netns", self.target.name)
        for number, end in ((1, self.host), (2, self.target)):
            end.ip("addr", "add", f"10.77.0.{number}/24", "dev", "veth0")
            end.ip("addr", "add", f"fd77::{number}/64", "dev", "veth0", "nodad")
            end.ip("link", "set", "veth0", "up")

    def cut(self, up=False):
        self.host.ip("link", "set", "veth0", "up" if up else "down")

    def end(self):
        self.host.end()
        self.target.end()


def allowed():
    """Whether namespaces can be made here."""
    if os.geteuid() or not shutil.which("ip") or not shutil.which("nsenter"):
        return False
    name = f"mt{os.getpid()}x"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    if made.returncode == 0:
        subprocess.run(["ip", "netns", "del", name], check=False)
    return made.returncode == 0


def sstrip(path):
    """Removes the section headers and whatever lies behind the last segment."""
    data = bytearray(path.read_bytes())
    (phoff,) = struct.unpack_from("<Q", data, 32)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    end = 64 + phnum * phentsize
    for i in range(phnum):
        offset, _, _, size = struct.unpack_from("<QQQQ", data, phoff + i * phentsize + 8)
        end = max(end, offset + size)
    struct.pack_into("<Q", data, 40, 0)
    struct.pack_into("<HHH", data, 58, 0, 0, 0)
    path.write_bytes(data[:end])


class Made:
    """A program and its library, unstripped below `full`, stripped on the `device`."""

    def __init__(self, where, name="prog", cflags=(), ldflags=(), static=False, headers=True):
        where = pathlib.Path(where)
        self.name = name
        self.source = where / "src"
        self.full = where / "full"
        self.device = where / "device"
        self.source.mkdir(parents=True)
        for directory in (self.full, self.device):
            (directory / "usr/bin").mkdir(parents=True)
            (directory / "usr/lib").mkdir(parents=True)
        (self.source / "prog.c").write_text(PROGRAM)
        (self.source / "part.c").write_text(PART)
        (self.source / "part.h").write_text(HEADER)
        self.program = self.full / "usr/bin" / name
        self.library = None if static else self.full / "usr/lib/libpart.so.1"
        flags = ["-g", "-O2", "-fno-builtin", *cflags]
        link = [*ldflags, "-Wl,-rpath,$ORIGIN/../lib"]
        if static:
            run("gcc", *flags, "-static", "-o", self.program, self.source / "prog.c",
                self.source / "part.c", *ldflags)
        else:
            run("gcc", *flags, "-fPIC", "-shared", "-o", self.library, self.source / "part.c",
                "-Wl,-soname,libpart.so.1", *ldflags)
            run("gcc", *flags, "-rdynamic", "-o", self.program, self.source / "prog.c",
                self.library, *link)
        for file in filter(None, (self.program, self.library)):
            copy = self.on_device(file)
            run("strip", "--strip-all", "-o", copy, file)
            if not headers:
                sstrip(copy)

    def on_device(self, file):
        return self.device / file.relative_to(self.full)

    def files(self):
        return [f for f in (self.program, self.library) if f]


def build_id(path):
    match = re.search(r"Build ID: (\w+)", run("readelf", "-n", path).stdout)
    return match and match.group(1)
