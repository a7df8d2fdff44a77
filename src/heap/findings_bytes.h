/*
 * Findings as bytes: of a look that memtrace-fs makes for memtrace (doc/protocol.md, FOUND).
 * What a look does not know is not in them: pause_ns, why, at_end.
 */
#ifndef MEMTRACE_FINDINGS_BYTES_H
#define MEMTRACE_FINDINGS_BYTES_H

#include "base/fields.h"
#include "heap/findings.h"

/* Into fields.  False: no memory. */
bool findings_write(struct fields *fields, const struct findings *findings);
/* -EINVAL: they contradict themselves, or are of another number of contexts; -ENOMEM.  What is read
 * is for findings_destroy(). */
int findings_read(const uint8_t *bytes, size_t len, uint32_t context_count,
		  struct findings **ret, struct err *err) MUST_CHECK;

#endif
