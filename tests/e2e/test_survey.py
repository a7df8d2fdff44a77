"""`heap`: what the memory of a process is made of, against a program that knows."""
import glob
import os
import re
import shutil
import subprocess

import pytest

import memtrace

# 10000 blocks of 200 bytes, each behind one of 4000 that is freed again, and 30 MiB by mmap(); of 2 MiB
# that are one mapping to the kernel the second half is mapped later.
SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define KEEP __attribute__((noinline, noclone))

static char *all[20000];

KEEP char *pin(void)
{
	return memset(malloc(200), 1, 200);
}

KEEP char *large(void)
{
	return memset(malloc(4000), 1, 4000);
}

KEEP void *map(void)
{
	return memset(mmap(NULL, 30 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 30 << 20);
}

KEEP void *extend(char *end)
{
	munmap(end, 1 << 20);
	return memset(mmap(end, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), 1, 1 << 20);
}

int main(void)
{
	void *mapped;
	char *joined = mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* room around it */

	joined += 1 << 20;
	mprotect(joined, 2 << 20, PROT_READ | PROT_WRITE);
	memset(joined, 1, 2 << 20);
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("READY");
	getchar();
	for (int i = 0; i < 20000; i += 2) {
		all[i] = large();
		all[i + 1] = pin();
	}
	for (int i = 0; i < 20000; i += 2)
		free(all[i]);
	mapped = map();
	extend(joined + (1 << 20));
	puts("OK");
	getchar();
	getchar();
	return mapped == all[1];
}
"""


def surveyed(tmp_path, started, *options, compiler="cc", env=None):
    """The lines of `heap`, in one, and the whole session."""
    (tmp_path / "fragments.c").write_text(SOURCE)
    subprocess.run([compiler, "-g", "-O1", "-rdynamic", "-o", tmp_path / "fragments", tmp_path / "fragments.c"], check=True)
    program = memtrace.Process([tmp_path / "fragments"], env=dict(os.environ, **(env or {})))
    started.append(program)
    program.wait_line("^READY$")
    tracer = memtrace.Process([memtrace.MEMTRACE, "-q", "--mmap", *options, "-p", program.pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("peak:")
    program.send()
    program.wait_line("^OK$")
    tracer.send("heap")
    tracer.send("heap -n 1")
    tracer.send("quit")
    assert tracer.wait() == 0, tracer.story()
    text = "\n".join(tracer.out)
    whole, short = re.findall(r"\nELSEWHERE.*\n\n((?:    .*\n)+)", text)
    assert whole.count("\n") > 2 and short.count("\n") == 2 and "(-n 0 shows all)" in short, text
    return text


@pytest.mark.parametrize("engine", ["auto", "trap"])
def test_glibc(tmp_path, started, engine):
    text = surveyed(tmp_path, started, f"--engine={engine}")
    found = re.search(r"RSS ([\d.]+) MiB: 1\.9 MiB in use, 38\.\d MiB free in the allocator, of which 38\.\d MiB are pinned by "
                      r"(\d+) blocks of #(\d+)(?: and \d+ others?)?; malloc_trim\(0\) would give .* back; 32\.\d MiB in \d+ anonymous mappings? "
                      r"that malloc does not own\.", " ".join(text.split()))
    assert found, text
    assert 72 <= float(found[1]) <= 78
    pins = re.search(rf"38\.\d MiB by (\d+) blocks of #{found[3]}\n", text)
    assert 9990 <= int(pins[1]) <= 10000 and found[2] == pins[1]  # those of libc are told apart
    # chunks of 4000 bytes take 4016; the first ones are in the thread's cache or joined to nothing
    assert re.search(r"\n    1025 to 16384 +40160000 bytes in 10000 pieces\n", text), text
    mapped = re.search(r"31457280 bytes resident of 31457280: anonymous, at 0x[0-9a-f]+, mapped by #(\d+)\n", text)
    assert mapped, text
    part = re.search(r" 2097152 bytes resident of 2097152: anonymous, at 0x[0-9a-f]+, 1048576 bytes of it mapped by #(\d+)\n", text)
    assert part and part[1] != mapped[1], text
    assert re.search(rf"\n\d\. #{mapped[1]}  31457280 bytes in 1 mapping", text)
    assert re.search(r"stack of thread \d+ \(fragments\)", text)
    if engine == "trap":
        assert "At the peak 40.0 MiB" in " ".join(text.split())
    else:  # its memory is in none of the sums
        assert re.search(r"\n +\d+ bytes resident of \d+: memtrace's agent \(", text), text
    pinned_by = text.split("Most is pinned by")[1]
    assert pinned_by.index(f"#{found[3]}  2000000 bytes in 10000 blocks") < pinned_by.index("pin() in ")


def test_musl(tmp_path, started):
    if not shutil.which("musl-gcc"):
        pytest.skip("no musl-gcc")
    text = surveyed(tmp_path, started, compiler="musl-gcc")
    assert re.search(r"\nmusl arena at", text), text
    pins = re.search(r"PINNED.*\n\n.* MiB by \d+ blocks of #(\d+)\n", text)
    sizes = {what: int(size) for what, size in re.findall(r"\n    (of the system|in use|free) +(\d+) bytes", text)}
    assert sizes["in use"] >= 10000 * 200 and sizes["in use"] + sizes["free"] <= sizes["of the system"], text
    assert pins is None or pins[1]


def test_jemalloc(tmp_path, started):
    libraries = glob.glob("/usr/lib/*/libjemalloc.so.2")
    if not libraries:
        pytest.skip("no libjemalloc.so.2")
    text = surveyed(tmp_path, started, env={"LD_PRELOAD": libraries[0]})
    assert re.search(r"\njemalloc arena at", text), text
    sizes = {what: int(size) for what, size in re.findall(r"\n    (of the system|in use|free) +(\d+) bytes", text)}
    # blocks of 200 bytes are of 224; those of 4000, of 4096, lie apart: none of their pages is pinned
    assert sizes["in use"] >= 10000 * 224 and sizes["in use"] + sizes["free"] <= sizes["of the system"], text
    assert sizes["free"] >= 9000 * 4096, text
    cached = re.search(r"\njemalloc keeps of that for threads' next calls (\d+) bytes in (\d+) blocks", text)
    assert 8 * int(cached[2]) <= int(cached[1]) <= sizes["in use"], text


# 1 MiB in blocks, of which the kernel is asked to put half into swap, and half of 2 MiB that are mapped.
SWAPPED = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static char *all[256];

int main(void)
{
	char *mapped = memset(mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 2 << 20);

	for (int i = 0; i < 256; i++)
		all[i] = memset(malloc(4072), 1, 4072);
	madvise(mapped, 1 << 20, MADV_PAGEOUT);
	madvise((void *)(((uintptr_t)all[0] + 4095) & ~(uintptr_t)4095), 1 << 19, MADV_PAGEOUT);
	puts("READY");
	fflush(stdout);
	return getchar() == 'x';
}
"""


def test_swap(swap, tmp_path, started):
    """What is in swap is not resident, and is in use and mapped nevertheless."""
    (tmp_path / "swapped.c").write_text(SWAPPED)
    subprocess.run(["cc", "-O1", "-o", tmp_path / "swapped", tmp_path / "swapped.c"], check=True)
    program = memtrace.Process([tmp_path / "swapped"])
    started.append(program)
    program.wait_line("^READY$")
    swapped = int(re.search(r"VmSwap:\s+(\d+) kB", open(f"/proc/{program.pid}/status").read())[1])
    if swapped != 1536:
        pytest.skip(f"{swapped} KiB went to swap")
    tracer = memtrace.Process([memtrace.MEMTRACE, "-q", "--no-symbols", "-x", "heap", "-b", "-o", "/dev/null", "-p", program.pid])
    started.append(tracer)
    assert tracer.wait() == 0, tracer.story()
    text = "\n".join(tracer.out)
    assert re.match(r"RSS [\d.]+ MiB and 1\.5 MiB in swap: 1\.0 MiB in use.*; 1\.0 MiB and 1\.0 MiB in swap in \d anonymous mappings? ",
                    " ".join(text.split())), text
    assert re.search(r"\n +1048576 bytes resident of 2097152, 1048576 in swap: anonymous, at ", text), text
