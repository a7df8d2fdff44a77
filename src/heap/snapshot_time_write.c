/*
 * What a snapshot file has of the time before it; not the verdicts, which follow from it
 * (snapshot_time_read.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "heap/snapshot_writer.h"
#include "heap/verdicts.h"

static void write_history(struct snapshot_writer *w, const struct course *course)
{
	snapshot_put_section(w, LAYOUT_HISTORY, LAYOUT_HISTORY_RECORD,
			     (uint64_t)course->count * LAYOUT_HISTORY_RECORD);
	for (size_t i = 0; i < course->count; i++) {
		const struct course_point *p = &course->points[i];

		snapshot_put_u64(w, (uint64_t)(p->ms - course->points[0].ms));
		snapshot_put_u64(w, p->allocs);
		snapshot_put_u64(w, p->frees);
		snapshot_put_u64(w, p->in_use);
		snapshot_put_u64(w, p->most_in_use);
		snapshot_put_u64(w, p->resident);
		snapshot_put_u32(w, p->samples);
		snapshot_put_u32(w, 0);
		snapshot_put_u64(w, p->pss);
		snapshot_put_u64(w, p->mapped);
		snapshot_put_u64(w, p->obtained);
	}
	snapshot_end_section(w);
}

static void write_generations(struct snapshot_writer *w, const struct generations *g)
{
	uint64_t sum = 0;

	snapshot_put_section(w, LAYOUT_GENERATIONS, LAYOUT_GENERATION_RECORD,
			     (uint64_t)g->count * LAYOUT_GENERATION_RECORD);
	for (size_t i = 0; i < g->count; i++) {
		snapshot_put_u32(w, i ? g->at[i - 1].end : g->begin);
		snapshot_put_u32(w, g->at[i].end);
		snapshot_put_u64(w, g->at[i].len);
		sum += g->at[i].len;
	}
	snapshot_end_section(w);
	snapshot_put_section(w, LAYOUT_CHANGES, 1, sum);
	for (size_t i = 0; i < g->count; i++)
		snapshot_put_bytes(w, g->at[i].changes, g->at[i].len);
	snapshot_end_section(w);
}

void snapshot_write_time(struct snapshot_writer *w)
{
	const struct verdicts *v = w->s->verdicts;
	uint8_t *bytes;
	size_t len;

	if (!v || !v->generations || !v->course)
		return;
	write_history(w, v->course);
	write_generations(w, v->generations);
	if (births_encode(&v->births, &bytes, &len)) {
		w->failed = w->failed ? w->failed : -ENOMEM;
		return;
	}
	snapshot_put_section(w, LAYOUT_BIRTHS, 1, len);
	snapshot_put_bytes(w, bytes, len);
	snapshot_end_section(w);
	free(bytes);
}
