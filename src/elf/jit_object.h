/*
 * An ELF file that a program has made in its own memory of code that it generated, to show it to
 * debuggers (gdb's manual, "JIT Compilation Interface"): where the code is, what its functions are
 * called, how it is unwound.
 */
#ifndef MEMTRACE_JIT_OBJECT_H
#define MEMTRACE_JIT_OBJECT_H

#include "base/vec.h"
#include "elf/image.h"

struct jit_range {
	taddr_t begin, end;
};

struct jit_symbol {
	taddr_t begin, end;
	const char *name; /* in strings */
};

struct jit_object {
	VEC(struct jit_range) code;
	VEC(struct jit_symbol) symbols; /* functions in it */
	char *strings;
	uint8_t *frames; /* .eh_frame, or .debug_frame; NULL: it has none that can be used */
	size_t frames_len;
	taddr_t frames_at; /* its address, which pointers in it may be relative to */
	bool eh;
};

/*
 * image: of the file, opened as one (its addresses are those of the process).  process: what a
 * relocatable file leaves to be relocated is read there, where it was.  {0} and -ENOENT: no code.
 * -ENOMEM.
 */
int jit_object_read(struct image *image, struct memory *process, struct jit_object *ret);
void jit_object_deinit(struct jit_object *object);

bool jit_object_covers(const struct jit_object *object, taddr_t pc);
/* The function around pc; NULL: none is known. */
const struct jit_symbol *jit_object_symbol(const struct jit_object *object, taddr_t pc);

#endif
