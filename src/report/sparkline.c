/*
 * What a call stack had in use until now, in a line: a character for each generation, and one for
 * now, of the most that it had.
 *
 *     in use until now: |  .:-=+*#@|
 *
 * By block elements (Unicode 2581 to 2588) where the terminal has them, else in 7 bits.
 */
#include "heap/verdicts.h"
#include "report/job.h"

enum { LEVELS = 8, FEWEST = 3 };

static const char *const bits7[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
static const char *const blocks[] = {" ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585",
				     "\u2586", "\u2587", "\u2588"};

/* At the end of each generation, and now; returns how many. */
static size_t in_use(const struct snapshot *s, const struct generations *g, uint32_t id,
		     uint64_t values[GENERATIONS_MAX + 1])
{
	struct mark_counters changes[GENERATIONS_MAX];
	struct generations_walk walk;
	uint64_t sum = 0;

	generations_walk_begin(&walk, g);
	generations_walk_to(&walk, id, changes);
	for (size_t i = 0; i < g->count; i++) {
		sum += changes[i].allocated_bytes - changes[i].freed_bytes;
		values[i] = sum;
	}
	values[g->count] = report_in_use_bytes(&s->contexts[id]);
	return g->count + 1;
}

void sparkline_print(FILE *out, const struct report_job *job, uint32_t id)
{
	const struct verdicts *v = job->snapshot->verdicts;
	uint64_t values[GENERATIONS_MAX + 1], most = 0;
	size_t count;

	if (!v || !v->generations || v->generations->count + 1 < FEWEST)
		return;
	count = in_use(job->snapshot, v->generations, id, values);
	for (size_t i = 0; i < count; i++)
		most = values[i] > most ? values[i] : most;
	if (!most)
		return;
	fputs("    in use until now: |", out);
	for (size_t i = 0; i < count; i++) {
		size_t level = (size_t)((double)values[i] * LEVELS / (double)most);

		level = values[i] && !level ? 1 : level;
		fputs(job->options->utf8 ? blocks[level] : bits7[level], out);
	}
	fputs("|\n", out);
}
