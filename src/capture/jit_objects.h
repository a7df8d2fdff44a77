/*
 * Code that the program shows to debuggers by gdb's JIT interface: each piece is unwound by what it has
 * with it, exactly, and called what it says.
 */
#ifndef MEMTRACE_JIT_OBJECTS_H
#define MEMTRACE_JIT_OBJECTS_H

#include "arch/cpu.h"
#include "elf/jit_object.h"
#include "elf/module.h"
#include "unwind/cfi.h"

enum { JIT_LISTS = 4 };

struct jit_shown {
	taddr_t entry, at; /* its struct jit_code_entry, and the file in memory */
	uint64_t size;
	struct jit_object object;
	struct cfi *cfi; /* NULL: it has no unwind data */
};

struct jit_list { /* a struct jit_descriptor: each library may have one */
	taddr_t at;
	uint32_t instance; /* of that library */
	uint8_t was[64]; /* it, and its latest entry, as they were read last */
};

struct jit_objects {
	struct jit_list lists[JIT_LISTS];
	size_t count;
	VEC(struct jit_shown *) shown;
	uint64_t bytes; /* of the files of those */
	bool read; /* what there was is known */
	bool told; /* each change is told, and rows are exact */
};

/* A static memtrace is for a device and must be small: it does without (Makefile, MEMTRACE_SMALL). */
static inline bool jit_objects_there(void)
{
#ifdef MEMTRACE_SMALL
	return false;
#else
	return true;
#endif
}

/* Modules came or went: which of them keep a list. */
void jit_objects_locate(struct jit_objects *objects, const struct modules *modules);
/* Reads what has changed since, if nobody tells (told: somebody does, from now on).  True: something has,
 * and what was learned of such code holds no more. */
bool jit_objects_update(struct jit_objects *objects, struct memory *process, const struct arch *arch,
			bool told);
/* The program is just telling debuggers of a change: its thread is at the begin of that function, of the
 * library `instance`. */
void jit_objects_told(struct jit_objects *objects, struct memory *process, const struct arch *arch,
		      uint32_t instance);
/* The one around pc, or NULL; valid until the next update. */
struct jit_shown *jit_objects_find(const struct jit_objects *objects, taddr_t pc);
void jit_objects_clear(struct jit_objects *objects);

#endif
