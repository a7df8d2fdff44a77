/*
 * Functions whose call frame information is untrue: those of Go's runtime that go over to another
 * stack.  By asmcgocall goes all that Go calls in C.
 *
 * Each leaves the goroutine's stack for the thread's first one, and calls.  Go's assembler does
 * not follow that, and says that the CFA is sp + 8 from the first instruction to the last (seen
 * in 1.19).  What lies there is what was there before: one place that allocates becomes many call
 * stacks, of stale return addresses.  So their FDEs count as broken, and stacks end in them, or
 * go on by the frame pointer, as guesses.
 *
 * The symbols are looked for only in files with a .debug_frame, as Go's assembler writes no
 * .eh_frame, and only where Go calls C; what strips one strips the other.
 */
#include "unwind/cfi_parts.h"

/* Since Go 1.17 a function in assembler has ".abi0" behind its name, and the bare name is a
 * wrapper's, if there is one; mcall has none. */
static bool find(struct cfi *cfi, const char *abi0, const char *bare)
{
	struct image_symbol symbol;

	if (!image_symbol_find(cfi->image, abi0, &symbol) &&
	    !image_symbol_find(cfi->image, bare, &symbol))
		return false;
	cfi->switches[cfi->switch_count++] =
		(struct cfi_switch){.begin = symbol.value, .len = symbol.size};
	return true;
}

void cfi_switch_open(struct cfi *cfi)
{
	if (!cfi->debug_frame.data.bytes ||
	    !find(cfi, "runtime.asmcgocall.abi0", "runtime.asmcgocall"))
		return;
	find(cfi, "runtime.systemstack.abi0", "runtime.systemstack");
	find(cfi, "runtime.mcall.abi0", "runtime.mcall");
	find(cfi, "runtime.morestack.abi0", "runtime.morestack");
}

bool cfi_is_untrue(const struct cfi *cfi, uint64_t vaddr)
{
	for (size_t i = 0; i < cfi->switch_count; i++)
		if (vaddr - cfi->switches[i].begin < cfi->switches[i].len)
			return true;
	return false;
}
