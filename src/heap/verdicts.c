/* One pass by id over all that is known of the contexts. */
#include "heap/verdicts.h"

#include <errno.h>
#include <stdlib.h>

#include "heap/survival.h"

/* Of those before the last one, which has not ended, and has the rest. */
static void times(const struct generations *g, uint32_t now, struct survival *s)
{
	s->begin = (double)g->begin / 100;
	s->count = g->count + 1;
	for (size_t i = 0; i < g->count; i++)
		s->end[i] = (double)g->at[i].end / 100;
	s->end[g->count] = (double)now / 100;
}

static uint64_t scaled(uint64_t count, uint64_t part, uint64_t whole)
{
	return (uint64_t)((double)count * (double)part / (double)whole + 0.5);
}

static void fill(const struct region_context *c, const struct mark_counters *changes,
		 const uint32_t *alive, struct survival *s)
{
	struct mark_counters sum = {0};
	size_t last = s->count - 1;

	for (size_t i = 0; i < last; i++) {
		sum.allocs += changes[i].allocs;
		sum.frees += changes[i].frees;
		sum.allocated_bytes += changes[i].allocated_bytes;
		sum.freed_bytes += changes[i].freed_bytes;
		s->born[i] = changes[i].allocs;
		s->blocks[i] = sum.allocs - sum.frees;
		s->in_use[i] = sum.allocated_bytes - sum.freed_bytes;
	}
	s->born[last] = c->allocs > sum.allocs ? c->allocs - sum.allocs : 0;
	s->in_use[last] = c->allocated_bytes - c->freed_bytes;
	for (size_t i = 0; i < s->count; i++)
		s->alive[i] = alive[i];
	s->blocks[last] = c->allocs - c->frees;
	s->freed = c->frees > 0;
}

/* Of a sample: what is in use is known block by block, so many of them; and what was allocated and
 * freed stands in the counters as what it stands for.  Divided by how many each stands for, a
 * verdict is as certain as so few blocks make it; their sizes are as much larger. */
static void thin_out(struct survival *s)
{
	uint64_t sampled = 0, blocks = s->blocks[s->count - 1];

	for (size_t i = 0; i < s->count; i++)
		sampled += s->alive[i];
	for (size_t i = 0; i < s->count && sampled && sampled < blocks; i++) {
		s->born[i] = scaled(s->born[i], sampled, blocks);
		s->blocks[i] = scaled(s->blocks[i], sampled, blocks);
	}
}

static void add(struct verdict *process, const struct verdict *v)
{
	if (v->word < VERDICT_GROWS || v->word < process->word)
		return;
	if (v->word > process->word)
		*process = (struct verdict){.word = v->word, .seconds = process->seconds};
	process->contexts++;
	process->per_hour += v->per_hour;
	process->lowest += v->lowest;
	process->highest += v->highest;
	process->scanned |= v->scanned;
}

/* The process' own. */
static void conclude(struct verdicts *v)
{
	uint64_t limit = v->process.limit, left = v->process.left;

	v->process = (struct verdict){.word = VERDICT_TOO_EARLY, .seconds = v->totals.seconds};
	for (uint32_t id = 0; id < v->count; id++)
		add(&v->process, &v->at[id]);
	if (!v->process.contexts)
		v->process = v->totals;
	v->process.limit = limit;
	v->process.left = left;
}

static size_t count_in_use(const struct snapshot *s)
{
	size_t count = 0;

	for (uint32_t i = 0; i < s->context_count; i++)
		count += s->contexts[i].allocs > s->contexts[i].frees;
	return count;
}

static void judge(const struct snapshot *snapshot, const struct generations *g,
		  const struct births *births, struct verdicts *v)
{
	double sigma = trend_sigma_of(count_in_use(snapshot));
	struct mark_counters changes[GENERATIONS_MAX];
	struct generations_walk walk;
	struct survival s = {0};

	times(g, snapshot->ticks_now, &s);
	generations_walk_begin(&walk, g);
	for (uint32_t id = 0; id < v->count; id++) {
		generations_walk_to(&walk, id, changes);
		fill(&snapshot->contexts[id], changes, births_of(births, id), &s);
		if (snapshot->sampling.coarsest)
			thin_out(&s);
		v->at[id] = survival_verdict(&s, sigma);
	}
}

int verdicts_create(const struct snapshot *snapshot, const struct generations *g,
		    struct births *births, const struct course *course,
		    struct verdicts **ret, struct err *err)
{
	struct verdicts *v = calloc(1, sizeof(*v));

	if (v)
		v->at = calloc((size_t)snapshot->context_count + 1, sizeof(*v->at));
	if (!v || !v->at) {
		births_deinit(births);
		verdicts_destroy(v);
		return err_set(err, -ENOMEM, "out of memory for %u verdicts",
			       snapshot->context_count);
	}
	v->count = snapshot->context_count;
	v->generations = g;
	v->course = course;
	v->births = *births;
	*births = (struct births){0};
	v->totals = verdict_of_course(course);
	judge(snapshot, g, &v->births, v);
	conclude(v);
	*ret = v;
	return 0;
}

void verdicts_destroy(struct verdicts *verdicts)
{
	if (!verdicts)
		return;
	births_deinit(&verdicts->births);
	free(verdicts->at);
	free(verdicts);
}

static void see_context(struct verdict *v, const struct findings_sums *sums, bool earlier)
{
	uint64_t lost = sums->lost.blocks + sums->through.blocks;

	if (lost) {
		if (v->word != VERDICT_LEAKS)
			*v = (struct verdict){.word = VERDICT_LEAKS, .seconds = v->seconds};
		v->scanned = true;
		v->alive = lost;
		v->grown = findings_gone(sums);
	} else if (!earlier && v->word == VERDICT_LEAKS && sums->held.blocks) {
		v->word = VERDICT_GROWS;
		v->scanned = true;
	}
}

void verdicts_see(struct verdicts *verdicts, const struct findings *findings, bool earlier)
{
	for (uint32_t id = 0; id < verdicts->count && id < findings->context_count; id++)
		see_context(&verdicts->at[id], &findings->contexts[id].sums, earlier);
	conclude(verdicts);
}
