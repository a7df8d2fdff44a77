/*
 * Slack: room for stubs in memory that the target has mapped already.
 *
 * An executable segment ends in the middle of a page; the rest of that page is
 * mapped, executable, and nobody's:
 *
 *      text ......... | file bytes end here | slack ................ | page end
 *
 * Never the slack of a writable mapping (musl gives it to its malloc), nor of a
 * module that may be unmapped while others use it.
 */
#ifndef MEMTRACE_PADDING_H
#define MEMTRACE_PADDING_H

#include "elf/module.h"
#include "tracer/tracee.h"

enum { HOME_PAGE = 0 }; /* no module has this instance */

struct slack {
	taddr_t base; /* 16-byte aligned */
	uint32_t room;
	uint32_t
		home; /* instance; HOME_PAGE: zeros, in a page of ours or the vdso's (page.h) */
};

/* The slack behind a module's executable segment.  False: none, or not usable. */
bool slack_of(const struct module *module, const struct maps *maps, struct slack *ret);

/* What the file says is there (zeros behind its end): room bytes into old. */
int slack_original(const struct module *module, const struct slack *slack, uint8_t *old,
		   size_t len);

#endif
