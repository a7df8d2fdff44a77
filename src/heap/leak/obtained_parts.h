/* What each allocator adds to obtained.c; for heap/leak/ alone. */
#ifndef MEMTRACE_OBTAINED_PARTS_H
#define MEMTRACE_OBTAINED_PARTS_H

#include "heap/leak/parts.h"

struct obtained_source {
	/* Bytes that it has of the kernel.  False: its state is not as it should be. */
	bool (*read)(struct leak *leak, const struct obtained_source *source, uint64_t *bytes);
	taddr_t at[2];	 /* where its state lies */
	const void *row; /* its layout */
};

/* Is its state in data?  Where it is the source is filled in. */
typedef bool obtained_finder(struct leak *leak, const struct data *data,
			     struct obtained_source *ret);
obtained_finder glibc_obtained, musl_obtained, jemalloc_obtained;

#endif
