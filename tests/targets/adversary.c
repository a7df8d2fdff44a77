/*
 * adversary ROUNDS: call stacks that look alike.  Two frames split the same sum of
 * bytes differently, so that return addresses lie at the same places on the stack with
 * other frames between them, and callee-saved registers are spilt at varying depth.  A
 * walk that trusts what it remembers of the last stack is wrong on half of these.
 */
#include <alloca.h>

#include "target.h"

static volatile int sink;

/* What a function must spill that calls another, by the CPU's ABI. */
#if defined(__x86_64__)
#define CALLEE_SAVED "rbx", "r12", "r13", "r14", "r15"
#elif defined(__aarch64__)
#define CALLEE_SAVED "x19", "x20", "x21", "x22", "x23"
#elif defined(__arm__)
#define CALLEE_SAVED "r4", "r5", "r6", "r8", "r9"
#elif defined(__riscv)
#define CALLEE_SAVED "s1", "s2", "s3", "s4", "s5"
#elif defined(__mips__)
#define CALLEE_SAVED "$16", "$17", "$18", "$19", "$20"
#endif

/* Bytes of stack that stay until the caller returns. */
#define SPLIT(n)                                                                               \
	char *room = alloca(n);                                                                \
	__asm__ volatile("" ::"r"(room))

NOINLINE static void leaf(int size)
{
	void *block = malloc(size);
	__asm__ volatile("" ::"r"(block) : "memory");
	free(block);
	sink++;
}

NOINLINE static void spilling_leaf(int a)
{
	int kept = a * 3 + 1;
	void *first = malloc(a + 1);
	__asm__ volatile("" : "+r"(kept)::CALLEE_SAVED, "memory");
	void *second = malloc(a + 2);
	free(first);
	free(second);
	__asm__ volatile("" : "+r"(kept)::CALLEE_SAVED, "memory");
	sink += kept;
}

NOINLINE static void inner(int bytes, int which)
{
	SPLIT(bytes);
	if (which & 2)
		spilling_leaf(which);
	else
		leaf(which + 8);
	sink++;
}

NOINLINE static void outer(int which)
{
	if (which & 1) {
		SPLIT(192);
		inner(576, which);
		sink++;
	} else {
		SPLIT(576);
		inner(192, which);
		sink += 2;
	}
}

/* Three splits of one sum, the middle one twice. */
NOINLINE static void deeper(int which, int left)
{
	SPLIT(64 + (which % 3) * 64);
	if (left)
		deeper((which + 1) % 3, left - 1);
	else
		outer(which);
	sink++;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 2000;
	target_ready();
	for (int i = 0; i < rounds; i++) {
		outer(i & 3);
		deeper(i % 3, 2);
		outer((i & 2) | ((i >> 2) & 1));
	}
	target_done();
	return target_result(NULL);
}
