/*
 * _dl_debug_state() does nothing: it is there for debuggers to break on.  Where its return takes
 * two bytes (RISC-V) and another function follows, no patch has room.
 *
 *    _dl_debug_change_state:  ... sw a1, 24(a0); c.j _dl_debug_state     glibc 2.41
 *
 * Its callers are found by their branches, and the functions that these are in by unwind data,
 * as no symbol of a stripped file names them.  One function that calls it last, like this one,
 * has done what is to be told when it returns.  Of several nobody knows that.
 */
#include "hook/loader_caller.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "arch/native.h"
#include "hook/code.h"
#include "unwind/cfi.h"

enum { WAYS = 32 };

/* Is it a branch to the function, not only its address that is taken? */
static bool is_call(const struct entries *entries, const struct way *way)
{
	struct callee callee;
	uint8_t code[8];

	return !image_read(entries->module->image, way->at, code, sizeof(code)) &&
	       entries->arch->trap->callees(code, sizeof(code), way->at, &callee, 1) &&
	       callee.target == way->target;
}

/* The one function of a segment's that calls: *ret, which is 0 before the first. */
static bool callers_find(const struct entries *entries, struct cfi *cfi,
			 const struct image_segment *segment, uint64_t function, uint64_t *ret)
{
	const struct covered covered = {function - 1, function + 1};
	uint8_t *code = malloc(segment->file_size);
	struct way ways[WAYS];
	size_t count = WAYS + 1;

	if (code && !image_read(entries->module->image, segment->vaddr, code, segment->file_size))
		count = entries->arch->trap->ways_in(code, segment->file_size, segment->vaddr,
						     true, &covered, 1, ways, WAYS);
	free(code);
	for (size_t i = 0; i < count && count <= WAYS; i++) {
		uint64_t begin;

		if (!is_call(entries, &ways[i]))
			continue;
		if (!cfi_begin(cfi, ways[i].at, &begin) || (*ret && *ret != begin))
			return false;
		*ret = begin;
	}
	return count <= WAYS;
}

bool loader_caller_find(const struct entries *entries, struct image_symbol *symbol)
{
	struct image *image = entries->module->image;
	size_t count = 0;
	const struct image_segment *segments = image_segments(image, &count);
	uint64_t caller = 0;
	struct cfi *cfi;
	bool one = true;

	if (!NATIVE_OR_ANY(NATIVE_RISCV64))
		return false; /* (of a device's memtrace for another CPU) */
	if (!entries->arch->trap->ways_in || !code_is_too_short(entries->arch, entries->module, symbol) ||
	    cfi_open(image, entries->arch, &cfi, NULL))
		return false;
	for (size_t i = 0; i < count && one; i++)
		if (segments[i].flags & PF_X)
			one = callers_find(entries, cfi, &segments[i], symbol->value, &caller);
	cfi_close(cfi);
	if (!one || !caller)
		return false;
	symbol->value = caller;
	symbol->size = 0;
	return true;
}
