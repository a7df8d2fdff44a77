/*
 * What another region had counted, in this one: a memtrace goes on where another has left.
 */
#include "region/arrays.h"
#include "region/layout.h"
#include "region/region.h"
#include "region/sequence.h"

bool region_restore(struct region *region, uint32_t context, const struct region_context *counters)
{
	struct region_context *c = (struct region_context *)region_context_at(region, context);
	struct region_totals *totals = &region->totals;

	if (!c || c->allocs || counters->allocs < counters->frees ||
	    counters->allocated_bytes < counters->freed_bytes ||
	    counters->peak_bytes < counters->allocated_bytes - counters->freed_bytes)
		return false;
	sequence_begin(&region->totals_sequence);
	totals->allocs += counters->allocs;
	totals->frees += counters->frees;
	totals->allocated_bytes += counters->allocated_bytes;
	totals->freed_bytes += counters->freed_bytes;
	totals->live_blocks += counters->allocs - counters->frees;
	if (totals->peak_bytes < totals->allocated_bytes - totals->freed_bytes)
		totals->peak_bytes = totals->allocated_bytes - totals->freed_bytes;
	sequence_begin(&c->sequence);
	c->allocs = counters->allocs;
	c->frees = counters->frees;
	c->allocated_bytes = counters->allocated_bytes;
	c->freed_bytes = counters->freed_bytes;
	c->peak_bytes = counters->peak_bytes;
	c->first_time = counters->first_time;
	c->last_time = counters->last_time;
	sequence_end(&c->sequence);
	sequence_end(&region->totals_sequence);
	return true;
}

/* (Some calls have come to an end meanwhile.) */
void region_keep_times(struct region *region, uint32_t context, const struct region_context *before)
{
	struct region_context *c = (struct region_context *)region_context_at(region, context);

	if (!c || !before->allocs)
		return;
	sequence_begin(&c->sequence);
	c->first_time = before->first_time;
	if (c->allocs == before->allocs)
		c->last_time = before->last_time;
	if (c->peak_bytes < before->peak_bytes)
		c->peak_bytes = before->peak_bytes;
	sequence_end(&c->sequence);
}

void region_restore_totals(struct region *region, const struct region_totals *totals)
{
	sequence_begin(&region->totals_sequence);
	region->totals.peak_bytes = totals->peak_bytes;
	region->totals.frees_of_unknown = totals->frees_of_unknown;
	region->totals.lost_events = totals->lost_events;
	region->totals.overflow_blocks = totals->overflow_blocks;
	sequence_end(&region->totals_sequence);
}
