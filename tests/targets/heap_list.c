/*
 * Blocks of which it knows what they are: says "ready", then each of its blocks as
 * "held|lost|through ADDRESS SIZE", then "end".  The addresses are kept in disguise.
 *
 *   heap_list [BLOCKS]     of each kind, at most and else 1000
 */
#include "target.h"

enum { BLOCKS = 1000, MASK = 0x5a };

static struct {
	uintptr_t addr; /* ^ all ones */
	size_t size;
	const char *kind;
} list[3 * BLOCKS];
static unsigned count;
static void *volatile kept[BLOCKS];

NOINLINE static void **block(const char *kind, size_t size)
{
	void **p = calloc(1, size);

	list[count].addr = ~(uintptr_t)p;
	list[count].size = size;
	list[count++].kind = kind;
	return p;
}

NOINLINE static void make(unsigned blocks)
{
	for (unsigned i = 0; i < blocks; i++) {
		void **through, **lost;

		kept[i] = block("held", 16 + i % 50 * 24 + (i % 100 == 0 ? 300000 : 0));
		lost = block("lost", 40 + i % 30 * 8);
		through = block("through", 24 + i % 20 * 16);
		lost[1] = through;
		free(malloc(i % 700));
	}
}

/* Where make() had its pointers. */
NOINLINE static void wipe(void)
{
	volatile char stack[4096];

	for (unsigned i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

int main(int argc, char **argv)
{
	make(argc > 1 && atoi(argv[1]) < BLOCKS ? (unsigned)atoi(argv[1]) : BLOCKS);
	wipe();
	say("ready\n");
	for (unsigned i = 0; i < count; i++)
		say("%s %lx %zu\n", list[i].kind, (unsigned long)~list[i].addr, list[i].size);
	say("end\n");
	await_test();
	return 0;
}
