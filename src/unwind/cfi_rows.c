/*
 * Every row of a file, for who can't have the file: memtrace on a target whose own copy
 * was stripped of its unwind data.
 *
 * The FDEs of both sections are walked side by side, in the order of their addresses;
 * where both describe a function .eh_frame wins, as in cfi_row().  An FDE's program is run
 * once, with a halt at each place where the rules change, so what is sent is what cfi_row()
 * would have said there.
 */
#include <elf.h>
#include <stddef.h>

#include "unwind/cfi_parts.h"

enum {
	ROWS_PER_FDE = 1 << 14, /* the largest real ones have some hundred */
	MANY_FDES = 64,
	USUAL_FUNCTION = 512, /* bytes */
	START_FILES = 300,    /* bytes of _init, frame_dummy and their like: never described */
};

struct rows_walk {
	struct cfi *cfi;
	uint64_t begin, end; /* what is asked for */
	uint64_t done;	     /* rows up to here were visited */
	bool open;	     /* the last row holds up to `done` and needs an end */
	bool enough;	     /* said visit */
	const struct cfi_fde *fde;
	unsigned rows; /* of it */
	bool (*visit)(void *arg, uint64_t vaddr, const struct row *row);
	void *arg;
};

static bool emit(struct rows_walk *w, uint64_t vaddr, const struct row *row)
{
	return w->visit(w->arg, vaddr, row);
}

/* Says that what was visited last has ended.  True: enough. */
static bool close_gap(struct rows_walk *w)
{
	static const struct row none = {.cfa = ROW_CFA_NONE};
	bool was_open = w->open;

	w->open = false;
	return was_open && w->done < w->end && emit(w, w->done, &none);
}

/* One row of the FDE.  True: enough, of it or of all. */
static bool visit_rules(void *arg, uint64_t begin, uint64_t end, const struct cfi_rules *rules)
{
	struct rows_walk *w = arg;
	struct row row = {.cfa = ROW_CFA_NONE};

	if (rules)
		cfi_row_reduce(w->cfi, w->fde, rules, &row);
	w->enough = emit(w, begin, &row);
	w->done = end;
	return w->enough || end >= w->end || ++w->rows == ROWS_PER_FDE;
}

/* The rows of one FDE that lie in the range.  True: enough. */
static bool visit_fde(struct rows_walk *w, const struct cfi_fde *fde)
{
	uint64_t at = fde->begin > w->done ? fde->begin : w->done;

	if (at < w->begin)
		at = w->begin;
	if (at >= fde->end || at >= w->end || cfi_is_untrue(w->cfi, fde->begin))
		return false;
	if (at > w->done && close_gap(w))
		return true;
	w->fde = fde;
	w->rows = 0;
	cfi_program_each(w->cfi, fde, at, visit_rules, w);
	w->open = true;
	return w->enough;
}

void cfi_rows(struct cfi *cfi, uint64_t begin, uint64_t end,
	      bool (*visit)(void *arg, uint64_t vaddr, const struct row *row), void *arg)
{
	const struct cfi_index *eh = cfi_table_index(cfi, &cfi->eh_frame, &cfi->eh_index);
	const struct cfi_index *debug =
		cfi_table_index(cfi, &cfi->debug_frame, &cfi->debug_index);
	struct rows_walk w = {
		.cfi = cfi, .begin = begin, .end = end, .visit = visit, .arg = arg};
	size_t i = 0, k = 0;

	while (i < eh->ranges.len || k < debug->ranges.len) {
		bool first = k == debug->ranges.len ||
			     (i < eh->ranges.len &&
			      eh->ranges.at[i].begin <= debug->ranges.at[k].begin);
		const struct cfi_range *range =
			first ? &eh->ranges.at[i++] : &debug->ranges.at[k++];
		const struct cfi_section *section = first ? &cfi->eh_frame : &cfi->debug_frame;
		struct cfi_fde fde;

		if (range->end <= begin || range->begin >= end)
			continue;
		if (!cfi_entry_fde(cfi, section, range->offset, &fde) && visit_fde(&w, &fde))
			return;
	}
	close_gap(&w);
}

static uint64_t covered(const struct cfi_index *index)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < index->ranges.len; i++)
		sum += index->ranges.at[i].end - index->ranges.at[i].begin;
	return sum;
}

bool cfi_is_sparse(struct cfi *cfi)
{
	uint64_t code = image_code_size(cfi->image), sum;

	/* Many functions of a usual size: don't sort the tables to know better. */
	if (cfi->hdr_count > MANY_FDES && code / cfi->hdr_count < USUAL_FUNCTION)
		return false;
	sum = covered(cfi_table_index(cfi, &cfi->eh_frame, &cfi->eh_index)) +
	      covered(cfi_table_index(cfi, &cfi->debug_frame, &cfi->debug_index));
	return code - sum > START_FILES && sum < code / 100 * 85;
}
