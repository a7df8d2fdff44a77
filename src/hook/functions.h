/*
 * The functions that are watched: the whole knowledge of what an allocator offers, and of
 * the few other calls that concern us.
 */
#ifndef MEMTRACE_FUNCTIONS_H
#define MEMTRACE_FUNCTIONS_H

#include <stddef.h>

#include "arch/trap.h"

/* What a call means: for the heap, for us. */
enum call_kind {
	CALL_ALLOC,	   /* size = argument `size`, result = return value */
	CALL_CALLOC,	   /* size = argument 0 x argument 1 */
	CALL_POSIX_ALIGN,  /* size = argument 2, result = *argument 0 if 0 is returned */
	CALL_REALLOC,	   /* block = argument 0, size = argument 1 */
	CALL_REALLOCARRAY, /* block = argument 0, size = argument 1 x argument 2 */
	CALL_FREE,	   /* block = argument 0 */
	CALL_PRCTL,	   /* argument 0: what the process asks of itself */
	CALL_SIGACTION,	   /* argument 0: the signal that is handled otherwise */
	CALL_SECCOMP,	   /* a seccomp filter is about to be installed */
	CALL_PTRACE,	   /* argument 0: who asks to be traced */
	CALL_JIT,	   /* debuggers are told of generated code */
	CALL_LOADER,	   /* _dl_debug_state: the list of modules changes */
	/* --mmap */
	CALL_MMAP,   /* argument 1: bytes; result = return value */
	CALL_MUNMAP, /* arguments 0, 1: what */
	CALL_MREMAP, /* arguments 0, 1: the old; 2: bytes of the new; 3: flags */
	CALL_BRK,    /* argument 0: where data is to end */
};

/* In which modules a name counts; see evidence.h. */
enum who {
	WHO_ANY,
	WHO_ALLOCATOR, /* that have malloc and free */
	WHO_OLD,       /* the same, and something shows that it is theirs: no part of C */
	WHO_JEMALLOC,
	WHO_LIBC, /* the C library's, where mappings are followed */
};

/* What is not counted if this can't be followed is nothing; frames of generated code are marked. */
#define FUNCTIONS_JIT "__jit_debug_register_code"

struct function { /* a name that is looked for in modules */
	const char *name;
	enum call_kind call;
	enum stub_kind kind;
	uint8_t size;	     /* CALL_ALLOC: which argument */
	const char *instead; /* STUB_INSTEAD: what is run; a name earlier in the table */
	bool swap;	     /* with its first two arguments exchanged */
	enum who who;
};

/* Does it allocate or free? */
static inline bool function_is_allocators(const struct function *function)
{
	return function->call <= CALL_FREE;
}

/* Has it more than four arguments? */
static inline bool function_has_many_arguments(const struct function *function)
{
	return function->call == CALL_MMAP || function->call == CALL_MREMAP;
}

/* The table: of the loader, or of all others. */
const struct function *functions_table(bool loader, size_t *count);

/* What is followed in place of the loader's: see loader_caller.h. */
const struct function *functions_loader_caller(void);

#endif
