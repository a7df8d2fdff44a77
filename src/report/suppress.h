/*
 * Suppressions: which call stacks nobody wants to hear of.
 *
 *     # a comment
 *     app_init; main                the function app_init, called by main
 *     *@libfontconfig.so*           anything directly in that library
 *     ...; dlopen                   anything below dlopen
 *
 * A pattern begins at the leaf, ways into the allocator left out or not; parts are parted by
 * semicolons: FUNCTION, FUNCTION@MODULE or @MODULE, each with * for any text (a C++ function
 * with or without its arguments), or ... for any frames.  What is above its last part does not
 * matter.
 */
#ifndef MEMTRACE_SUPPRESS_H
#define MEMTRACE_SUPPRESS_H

#include "base/vec.h"
#include "report/names.h"

struct suppress_pattern {
	char *text;   /* as it was written; its parts are cut out of a copy */
	char *parts;  /* part after part, each with a NUL */
	size_t count; /* of parts */
	unsigned line;
	bool is_known;			  /* one of memtrace's own: what starts a program up */
	uint64_t most;			  /* blocks in use of a call stack that it fits; 0: any */
	bool is_broad;			  /* says nothing: not used */
	uint64_t contexts, bytes, blocks; /* what it has left out */
};

struct suppressions { /* zeroed = none */
	VEC(struct suppress_pattern) patterns;
};

/* The blocks of C and C++ libraries that every program has.  -ENOMEM. */
int suppress_add_known(struct suppressions *suppressions, struct err *err) MUST_CHECK;

/* Appends those of a file.  -EINVAL (with the line), -ENOMEM, -errno of reading. */
int suppress_read(const char *path, struct suppressions *suppressions,
		  struct err *err) MUST_CHECK;

/* The first that a call stack fits, or NULL.  -ENOMEM: false. */
bool suppress_find(struct suppressions *suppressions, const struct snapshot *snapshot,
		   const struct names *names, uint32_t id, struct suppress_pattern **ret);

void suppress_deinit(struct suppressions *suppressions);

#endif
