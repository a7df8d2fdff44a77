"""`why` and `block`: by whose frame, along which list, since when."""
import re
import subprocess

import pytest

import memtrace

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>

struct node {
	struct node *next;
	long value[5];
};

__attribute__((noinline, noclone)) struct node *push(struct node *head)
{
	struct node *node = calloc(1, sizeof(*node));

	node->next = head;
	return node;
}

__attribute__((noinline, noclone)) void stand(void)
{
	puts("OK");
	getchar();
	getchar();
}

__attribute__((noinline, noclone)) void tell(const struct node *node)
{
	printf("LAST %#lx\n", (unsigned long)node ^ 0x5555555555555555);
}

__attribute__((noinline, noclone)) void holder(int count)
{
	struct node *volatile head = push(NULL);

	tell(head);
	for (int i = 1; i < count; i++)
		head = push(head);
	tell(head);
	stand();
	(void)head;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("READY");
	getchar();
	holder(3000);
	return 0;
}
"""


def watched(started, path):
    """(the program, sent on from READY; its memtrace, attached before)"""
    program = memtrace.Process([path])
    started.append(program)
    program.wait_line("^READY$")
    tracer = memtrace.Process([memtrace.MEMTRACE, "-q", "--no-symbols", "-p", program.pid])
    started.append(tracer)
    tracer.send("status")
    tracer.wait_line("peak:")
    program.send()
    return program, tracer


def test_list_of_a_frame(tmp_path, started):
    (tmp_path / "list.c").write_text(SOURCE)
    subprocess.run(["cc", "-g", "-O1", "-o", tmp_path / "list", tmp_path / "list.c"], check=True)
    program, tracer = watched(started, tmp_path / "list")
    last = int(program.wait_line("^LAST (0x[0-9a-f]+)$")[1], 16) ^ 0x5555555555555555
    head = int(program.wait_line("^LAST (0x[0-9a-f]+)$")[1], 16) ^ 0x5555555555555555
    program.wait_line("^OK$")
    tracer.send(f"who {head:#x}")
    tracer.send(f"why {last:#x}")
    tracer.send(f"block {last:#x}")
    tracer.send("quit")
    assert tracer.wait() == 0, tracer.story()
    text = "\n".join(tracer.out)
    assert re.search(r"\n    holder\(\)'s frame on the stack of thread \d+ \(list\), sp\+0x[0-9a-f]+\n", text), text
    # an old copy of the head, or the node behind it, in a frame or a register may be as near
    node = r"0x[0-9a-f]+ \(\d+ bytes, #2\)\n"
    found = re.search(r"It is held by\n    .* of thread \d+ \(list\).* -> " + node +
                      r"      \+0x0 -> " + node + r"      \.\.\. and (\d+) more steps like that\n      \+0x0 -> " + node +
                      rf"      \+0x0 -> {last:#x} \(\d+ bytes, #1\)\n", text)
    assert found, text
    assert int(found[1]) in (2996, 2995)  # of 3000
    assert re.search(r"allocated \d+\.\d\d s ago, 48 bytes\n", text), text


TABLE = r"""
#include <stdio.h>
#include <stdlib.h>

static char *cache[1000];
extern "C" __attribute__((noinline, noclone)) void fill(int i) { cache[i] = (char *)malloc(100 + i % 2); }

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("READY");
	getchar();
	for (int i = 0; i < 1000; i++)
		fill(i);
	puts("OK");
	getchar();
	for (int i = 0; i < 1000; i++)
		free(cache[i]);
	return 0;
}
"""


@pytest.mark.parametrize("strip", [False, True])
def test_table(tmp_path, started, strip):
    """A table holds each block from another place: it is said of all of it, by the variable's plain name."""
    (tmp_path / "table.cc").write_text(TABLE)
    subprocess.run(["c++", "-g", "-O1", *(["-s"] if strip else []), "-o", tmp_path / "table", tmp_path / "table.cc"],
                   check=True)
    program, tracer = watched(started, tmp_path / "table")
    program.wait_line("^OK$")
    tracer.send("why #1")
    tracer.send("quit")
    assert tracer.wait() == 0, tracer.story()
    text = "\n".join(tracer.out)
    name = r"table \.bss" if strip else "cache"
    place = r"table \.bss 0x[0-9a-f]+" if strip else r"cache(\+0x[0-9a-f]+)? \(table \.bss 0x[0-9a-f]+\)"
    # a copy of one of the pointers may be left in a register
    found = re.search(rf"^(\d+) of 1000 blocks are held by {name}, 1 of them so:\n    {place} -> 0x", text, re.M)
    assert found and int(found[1]) >= 998, text
