/*
 * What /proc/PID/smaps alone says of mappings (proc(5), VmFlags): how they can be read, and what
 * becomes of them in a copy.  Reading it takes some milliseconds a GB, so while the process runs.
 */
#ifndef MEMTRACE_SMAPS_H
#define MEMTRACE_SMAPS_H

#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"
#include "elf/maps.h"

struct smaps {
	struct ranges absent; /* not there, or zeros, in a child: MADV_DONTFORK, MADV_WIPEONFORK */
	struct ranges device; /* of a device: reading has effects, or fails */
	bool lazy;	      /* a page server (userfaultfd) brings some pages */
	bool direct; /* asynchronous I/O that may write past copy-on-write (see smaps.c) */
	uint64_t resident_bytes, huge_bytes; /* huge: in anonymous huge pages */
	VEC(struct mapping_use) uses; /* of each mapping, ascending */
	uint64_t absent_bytes; /* resident ones of absent */
};

/* Of a thread that has not ended.  -errno in words: /proc says nothing of it. */
int smaps_read(pid_t pid, struct smaps *ret, struct err *err) MUST_CHECK;
void smaps_deinit(struct smaps *look);
/* For tests: the text of the file. */
int smaps_parse(FILE *file, struct smaps *ret);

#endif
