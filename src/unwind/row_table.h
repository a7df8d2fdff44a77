/*
 * Rows that somebody else compiled (memtrace-fs, from a debug file that is not here): a
 * sorted table, each row in force from its address to the next one's.  The last one's end is
 * not known: whole tables end with ROW_CFA_NONE, others were cut.
 */
#ifndef MEMTRACE_ROW_TABLE_H
#define MEMTRACE_ROW_TABLE_H

#include "base/types.h"
#include "base/vec.h"
#include "region/row.h"

enum { ROW_TABLE_MAX = 1 << 20 };

struct row_table {
	VEC(uint64_t) vaddrs; /* ascending */
	VEC(struct row) rows;
	bool full; /* one of them is ROW_CFA_FULL */
	bool cut;  /* some were dropped */
};

/* Appends; vaddr is not below the last one (an equal one replaces it).  What no walk can
 * follow counts as ROW_CFA_NONE; from ROW_TABLE_MAX on, or once memory was short, rows are
 * dropped. */
void row_table_add(struct row_table *table, uint64_t vaddr, const struct row *row);

/* The row in force at vaddr; NULL: none, ROW_CFA_NONE, or not known. */
const struct row *row_table_find(const struct row_table *table, uint64_t vaddr);

void row_table_deinit(struct row_table *table);

#endif
