/*
 * Return addresses that are none: a function that allocates while the word in the place of
 * its return address is something else, as on a stack whose outermost frame was entered by
 * a jump.  argv[1] times each of: an address of the heap, of the stack, of a variable of
 * the program, of nothing, and a small number; each time another one.
 */
#include "target.h"

static char variable[4096];

/* The frame record of x86-64 and AArch64: the caller's frame pointer, the return address. */
__attribute__((noinline, noclone, optimize("no-omit-frame-pointer"))) static void
stray(uintptr_t word, void *volatile *keep)
{
	volatile uintptr_t *place = (uintptr_t *)__builtin_frame_address(0) + 1;
	uintptr_t back = *place;

	*place = word;
	*keep = got(malloc(100), 100);
	*place = back;
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 20;
	char *heap = malloc((size_t)count * 16 + 16), *stack = (char *)&count;

	target_ready();
	for (int i = 0; i < count; i++) {
		stray((uintptr_t)heap + 16 + (uintptr_t)i * 8, &target_kept[0]);
		stray((uintptr_t)stack + (uintptr_t)i, &target_kept[1]);
		stray((uintptr_t)variable + 1 + (uintptr_t)i, &target_kept[2]);
		stray(UINTPTR_MAX / 16 * 7 + (uintptr_t)i, &target_kept[3]);
		stray(1 + (uintptr_t)i, &target_kept[4]);
	}
	target_done();
	return target_result(NULL);
}
