/* What an agent in the process is known by, to who puts it there (inject.c) and to who takes it
 * out (inject_remove.c). */
#ifndef MEMTRACE_INJECT_PARTS_H
#define MEMTRACE_INJECT_PARTS_H

#include "agent/blob.h"
#include "region/shared.h"

enum { INJECT_CODE_BYTES = BLOB_BYTES + BLOB_CONTROL };

/* The lower part of the code's address, by which it is known before there are any bytes. */
#if __SIZEOF_POINTER__ == 8
#define INJECT_MARK	  0x6d740000ull
#define INJECT_MARK_EVERY (1ull << 32)
#else
#define INJECT_MARK	  0x740000ull
#define INJECT_MARK_EVERY (1ull << 24)
#endif

_Static_assert(INJECT_MARK % BLOB_CONTROL == 0 && BLOB_BYTES % BLOB_CONTROL == 0,
	       "code, control and memory are whole pages");

#endif
