/*
 * What a snapshot file has of the time before it: the course of the totals, the generations of
 * contexts, when their blocks in use were allocated.  The verdicts are not in the file: they
 * follow from these as where it was written.
 */
#include <errno.h>
#include <string.h>

#include "heap/snapshot_reader.h"
#include "heap/verdicts.h"

/* By time; the first one is at 0. */
static int read_history(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_HISTORY];
	struct course *course = &r->file->course;
	bool bad = false;

	course->points = snapshot_allocate(r, section->count, sizeof(*course->points));
	for (size_t i = 0; course->points && i < section->count && !bad; i++) {
		uint8_t bytes[LAYOUT_HISTORY_RECORD];
		struct cursor c = snapshot_record(section, i, bytes, sizeof(bytes));
		struct course_point *p = &course->points[i];

		p->ms = (int64_t)cursor_u64(&c);
		p->allocs = cursor_u64(&c);
		p->frees = cursor_u64(&c);
		p->in_use = cursor_u64(&c);
		p->most_in_use = cursor_u64(&c);
		p->resident = cursor_u64(&c);
		p->samples = cursor_u32(&c);
		cursor_u32(&c);
		p->pss = cursor_u64(&c);
		p->mapped = cursor_u64(&c);
		p->obtained = cursor_u64(&c);
		bad = p->frees > p->allocs || p->ms < (i ? p[-1].ms : 0) ||
		      p->ms > INT64_MAX / 256 ||
		      (i && (p->allocs < p[-1].allocs || p->frees < p[-1].frees));
	}
	course->count = course->capacity = section->count;
	if (course->points && section->count)
		r->file->snapshot->obtained_bytes = course->points[section->count - 1].obtained;
	return bad || r->no_memory ? snapshot_broken(r, "its history") : 0;
}

/* With its bytes of CHANGES, from *at on. */
static bool read_generation(struct snapshot_reader *r, size_t i, size_t *at)
{
	const struct snapshot_section *changes = &r->sections[LAYOUT_CHANGES];
	uint8_t bytes[LAYOUT_GENERATION_RECORD];
	struct cursor c = snapshot_record(&r->sections[LAYOUT_GENERATIONS], i, bytes,
					  sizeof(bytes));
	struct generations *g = &r->file->generations;
	uint32_t begin = cursor_u32(&c), end = cursor_u32(&c);
	uint64_t len = cursor_u64(&c);

	if (!i)
		g->begin = begin;
	if (end <= begin || begin != (i ? g->at[i - 1].end : begin) ||
	    len > changes->count - *at ||
	    !generations_are_valid(changes->at + *at, (size_t)len,
				   r->file->snapshot->context_count))
		return false;
	g->at[i] = (struct generation){end, snapshot_allocate(r, (size_t)len, 1), (size_t)len};
	g->count = i + 1;
	if (g->at[i].changes)
		memcpy(g->at[i].changes, changes->at + *at, (size_t)len);
	*at += (size_t)len;
	return !r->no_memory;
}

static int read_generations(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_GENERATIONS];
	const struct snapshot_section *changes = &r->sections[LAYOUT_CHANGES];
	struct generations *g = &r->file->generations;
	bool bad = section->count > GENERATIONS_MAX ||
		   (section->count && (!changes->at || changes->record != 1));
	size_t at = 0;

	for (size_t i = 0; i < section->count && !bad; i++)
		bad = !read_generation(r, i, &at);
	bad = bad || (g->count && g->at[g->count - 1].end > r->file->snapshot->ticks_now);
	return bad ? snapshot_broken(r, "its generations") : 0;
}

int snapshot_read_time(struct snapshot_reader *r)
{
	const struct snapshot_section *section = &r->sections[LAYOUT_BIRTHS];
	struct snapshot *s = r->file->snapshot;
	struct births births;
	int e;

	if (!section->at) /* nobody knew */
		return 0;
	e = read_history(r);
	e = e ? e : read_generations(r);
	if (e)
		return e;
	e = section->record == 1 ? births_decode(section->at, section->count, s->context_count,
						 r->file->generations.count, &births)
				 : -EINVAL;
	r->no_memory |= e == -ENOMEM;
	if (e)
		return snapshot_broken(r, "the ages of its blocks");
	return verdicts_create(s, &r->file->generations, &births, &r->file->course,
			       &s->verdicts, r->err);
}
