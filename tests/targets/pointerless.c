/*
 * pointerless ROUNDS: a thread that has no thread pointer for a while (arch_prctl(ARCH_SET_FS, 0)) calls
 * an allocator that is preloaded, and needs none.  It would see a SIGSEGV.
 */
#include <signal.h>

#include "target.h"

#ifdef __x86_64__
enum { ARCH_PRCTL = 158, SET_FS = 0x1002, GET_FS = 0x1003 };

static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile release)(void *) = free;
static volatile unsigned faults;

static inline long arch_prctl(long what, unsigned long value)
{
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"(ARCH_PRCTL), "D"(what), "S"(value)
			 : "rcx", "r11", "memory");
	return ret;
}

/* (Nothing here may use the thread pointer.) */
NOINLINE static unsigned pairs(int rounds)
{
	unsigned failed = 0;

	for (int i = 0; i < rounds; i++) {
		void *block = allocate(40);

		failed += !block;
		release(block);
	}
	return failed;
}

NOINLINE static unsigned pairs_without(int rounds)
{
	unsigned long pointer = 0;
	unsigned failed;

	arch_prctl(GET_FS, (unsigned long)&pointer);
	arch_prctl(SET_FS, 0);
	failed = pairs(rounds);
	arch_prctl(SET_FS, pointer);
	return failed;
}

static void on_fault(int signo)
{
	(void)signo;
	faults++;
}

static void round_of(int rounds)
{
	unsigned failed = pairs(rounds) + pairs_without(rounds) + pairs(rounds);

	tally_allocs += 3ul * rounds;
	tally_frees += 3ul * rounds;
	tally_bytes += 120ul * rounds;
	tally_freed += 120ul * rounds;
	if (failed || faults)
		target_fail("%u failed, %u faults", failed, faults);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 100;

	signal(SIGSEGV, on_fault);
	target_ready();
	round_of(rounds);
	target_done();
	round_of(rounds);
	return target_result(NULL);
}
#else
int main(void)
{
	return 2;
}
#endif
