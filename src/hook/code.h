/* The code of a function that is to be hooked: how much of it is known, and is its own. */
#ifndef MEMTRACE_CODE_H
#define MEMTRACE_CODE_H

#include "hook/process.h"

struct code {
	uint8_t *bytes; /* as the module's file and its relocations make it */
	uint8_t *there; /* as it was in memory */
	size_t len;
	size_t whole;	 /* up to there, from where a patch may begin, is in memory what is in
			    `bytes`, or a predecessor's patch over it */
	size_t patched, patched_len; /* a predecessor's patch, from that byte on; 0, 0: there is none */
	bool breakpoint; /* of somebody's, on the first instruction (which counts as whole) */
};

void code_deinit(struct code *code);

/*
 * Reads the function at vaddr of the module, at most len bytes.  -EFAULT: nothing is there in
 * memory; -ENOEXEC: nor in the file.  -ENOMEM.
 */
int code_read(struct code *ret, const struct hook_process *process, const struct module *module,
	      uint64_t vaddr, bool thumb, size_t len);

/* How many bytes at vaddr are a function's and the padding behind it, at most: a short one of
 * `size` bytes (0: unknown) may be covered with what pads it, a neighbour's code not. */
size_t code_size(const struct module *module, uint64_t vaddr, uint64_t size);

/* Has it no room for a patch, by the file? */
bool code_is_too_short(const struct arch *arch, const struct module *module,
		       const struct image_symbol *symbol);

/* A function that is nothing but a jump, and too short for a patch, becomes the one that it leads to. */
void code_follow(const struct arch *arch, const struct module *module, struct image_symbol *symbol);

#endif
