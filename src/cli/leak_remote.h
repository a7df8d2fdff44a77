/*
 * A look for leaks for which this machine has no memory: memtrace-fs, on another one, looks at the
 * picture, and asks for what it needs of it (doc/protocol.md, LOOK).
 */
#ifndef MEMTRACE_LEAK_REMOTE_H
#define MEMTRACE_LEAK_REMOTE_H

#include "cli/leak_scan.h"
#include "heap/question.h"
#include "symbols/resolver_look.h"

/* Is there anybody who could? */
bool leak_remote_can(const struct leak_scan *scan);

/* question: what is asked; of the process it is filled in.  -EAGAIN: look again; -ECANCELED. */
int leak_remote_ask(struct leak_scan *scan, struct question *question,
		    const struct findings_addrs *confirmed, struct resolver_found *ret,
		    struct err *err) MUST_CHECK;

/* The answer to one in text, on out; *ret: what it leads to. */
int leak_remote_text(struct leak_scan *scan, const struct inquiry *inquiry, FILE *out,
		     struct inquiry_found *ret, struct err *err) MUST_CHECK;

#endif
