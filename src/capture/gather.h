/*
 * Finds out, before the capture begins and while the process still runs as ever, what its
 * modules lack (unwind data; the symbols of a stripped static program), and asks
 * memtrace-fs for it.  Of the caller's thread: the tracer only ever gets the result.
 */
#ifndef MEMTRACE_GATHER_H
#define MEMTRACE_GATHER_H

#include "symbols/resolver.h"
#include "unwind/external.h"

struct gather;

int gather_create(struct gather **ret, struct err *err) MUST_CHECK;
void gather_destroy(struct gather *gather); /* NULL is allowed */

/* Looks at the modules of a process.  What can't be read is passed over. */
void gather_process(struct gather *gather, int pid);
/* Looks at the file that a PROGRAM will be, and the libraries it will load. */
void gather_program(struct gather *gather, const char *name);

/* The program itself, for asking a server whether it knows it; NULL: not known. */
const struct resolver_module *gather_main(const struct gather *gather);

/* Whether a module of those that were looked at is a LeakSanitizer, or has one in it. */
bool gather_has_lsan(const struct gather *gather);

/* Whether hardly a stack would be whole (the program lacks rows, or most modules do), or
 * the allocator wouldn't be found. */
bool gather_lacks(const struct gather *gather);

/*
 * Asks for what is lacking and was not asked for before, in one conversation.  `wanted`
 * (may be NULL) is the path of a module that does lack rows whatever it looks like.  What
 * came is appended to *ret; a server that fails gives what it gave until then.
 */
void gather_ask(struct gather *gather, struct resolver *resolver, const char *wanted,
		struct externals *ret);

/* Another server: what was asked in vain may be asked again. */
void gather_forget(struct gather *gather);

#endif
