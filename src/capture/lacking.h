/*
 * Finds out, before the capture begins and while the process still runs as ever, what its
 * modules lack (unwind data; the symbols of a stripped static program), and asks
 * memtrace-fs for it.  Of the caller's thread: the tracer only ever gets the result.
 */
#ifndef MEMTRACE_LACKING_H
#define MEMTRACE_LACKING_H

#include "symbols/resolver.h"
#include "unwind/external.h"

struct lacking;

/* Of no modules yet.  -ENOMEM. */
int lacking_create(struct lacking **ret, struct err *err) MUST_CHECK;
void lacking_destroy(struct lacking *lacking); /* NULL is allowed */

/* Looks at the modules of a process.  What can't be read is passed over. */
void lacking_process(struct lacking *lacking, int pid);
/* Looks at the file that a PROGRAM will be, and the libraries it will load. */
void lacking_program(struct lacking *lacking, const char *name);

/* The program itself, for asking a server whether it knows it; NULL: not known. */
const struct resolver_module *lacking_main(const struct lacking *lacking);

/* Whether a module of those that were looked at is a LeakSanitizer, or has one in it. */
bool lacking_has_lsan(const struct lacking *lacking);

/* Whether hardly a stack would be whole (the program lacks rows, or most modules do), or
 * the allocator wouldn't be found. */
bool lacking_is_much(const struct lacking *lacking);

/*
 * Asks for what is lacking and was not asked for before, in one conversation.  `wanted`
 * (may be NULL) is the path of a module that does lack rows whatever it looks like.  What
 * came is appended to *ret; a server that fails gives what it gave until then.
 */
void lacking_ask(struct lacking *lacking, struct resolver *resolver, const char *wanted,
		 struct externals *ret);

/* Another server: what was asked in vain may be asked again. */
void lacking_forget(struct lacking *lacking);

#endif
