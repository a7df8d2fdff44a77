/*
 * Padding: space for stubs in memory that the target has mapped already.
 *
 * An executable segment ends in the middle of a page; the rest of that page is
 * mapped, executable, and nobody's:
 *
 *      text ......... | file bytes end here | padding .............. | page end
 *
 * Never the padding of a writable mapping (musl gives it to its malloc), nor of a
 * module that may be unmapped while others use it.
 */
#ifndef MEMTRACE_PADDING_H
#define MEMTRACE_PADDING_H

#include "elf/module.h"
#include "tracer/tracee.h"

enum { HOST_PAGE = 0 }; /* no module has this instance */

struct space {
	taddr_t base; /* 16-byte aligned */
	uint32_t len;
	uint32_t host; /* the module's instance; HOST_PAGE: zeros, in a page of ours or the
			  vdso's (page.h) */
};

/* The padding behind a module's executable segment.  False: none, or not usable. */
bool padding_of(const struct module *module, const struct maps *maps, struct space *ret);

/* What the file says is there (zeros behind its end): len bytes into old. */
int padding_original(const struct module *module, const struct space *space, uint8_t *old,
		     size_t len);

#endif
