/* How frames of a module are unwound, from one of its files. */
#ifndef MEMTRACE_ROWS_H
#define MEMTRACE_ROWS_H

#include "region/row.h"
#include "serve/elffile.h"
#include "unwind/cfi.h"

struct rows;

/* -ENOENT: the file has no unwind data, or is for a CPU that is not known.  The file must
 * stay open. */
int rows_create(const struct elffile *file, struct rows **ret, struct err *err) MUST_CHECK;
void rows_destroy(struct rows *rows); /* NULL is allowed */

/* What rows can't hold of [begin, end): as cfi_copy(). */
void rows_copy(struct rows *rows, uint64_t begin, uint64_t end, size_t max,
	       struct cfi_bytes *ret);

/* All rows of [begin, end): as cfi_rows(). */
void rows_for_each(struct rows *rows, uint64_t begin, uint64_t end,
		   bool (*visit)(void *arg, uint64_t vaddr, const struct row *row), void *arg);

#endif
