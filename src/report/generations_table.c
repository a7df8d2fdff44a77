/*
 * history CONTEXT: what a call stack had in use, and of what it allocated in each generation how
 * much still is. A bar is the part of a generation that is.
 *
 *          time    in use      born     alive
 *       0:00:01      1.2K        12        10 |#############
 *
 *     leaks: 29 of 30 generations kept 3.0% of their blocks; ...
 */
#include <errno.h>
#include <inttypes.h>

#include "heap/verdicts.h"
#include "report/evidence.h"
#include "report/job.h"
#include "report/print.h"

enum { BAR = 16 };

static void print_row(FILE *out, double seconds, uint64_t in_use, uint64_t born, uint32_t alive)
{
	unsigned long s = (unsigned long)seconds;
	int bar = born ? (int)((double)alive * BAR / (double)born + 0.5) : 0;

	fprintf(out, "%6lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
	print_short(out, in_use);
	fprintf(out, " %9" PRIu64 " %9" PRIu32 " |%.*s\n", born, alive, bar < BAR ? bar : BAR,
		"################");
}

int report_generations(const struct snapshot *s, uint32_t id, FILE *out, struct err *err)
{
	const struct verdicts *v = s->verdicts;
	const struct generations *g = v ? v->generations : NULL;
	struct mark_counters changes[GENERATIONS_MAX], sum = {0};
	struct generations_walk walk;
	const uint32_t *alive;

	if (!id || id >= s->context_count)
		return err_set(err, -ENOENT, "no call stack has the id %" PRIu32, id);
	if (!g)
		return err_set(err, -ENOMEM, "what it allocated when is not known");
	alive = births_of(&v->births, id);
	generations_walk_begin(&walk, g);
	generations_walk_to(&walk, id, changes);
	fputs("      time    in use      born     alive\n", out);
	for (size_t i = 0; i < g->count; i++) {
		sum.allocs += changes[i].allocs;
		sum.allocated_bytes += changes[i].allocated_bytes;
		sum.freed_bytes += changes[i].freed_bytes;
		print_row(out, (double)(g->at[i].end - g->begin) / 100,
			  sum.allocated_bytes - sum.freed_bytes, changes[i].allocs, alive[i]);
	}
	print_row(out, (double)(s->ticks_now - g->begin) / 100,
		  report_in_use_bytes(&s->contexts[id]), s->contexts[id].allocs - sum.allocs,
		  alive[g->count]);
	fprintf(out, "%s: ", verdict_name(v->at[id].word));
	evidence_print(out, &v->at[id]);
	putc('\n', out);
	return report_check(out, err);
}
