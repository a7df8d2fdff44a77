/*
 * The call stacks that move, a line each:
 *
 *     In use 12.3M in 1204 blocks, +1.2M in 60.0 s; 120.0 allocs/s, 118.2 frees/s
 *
 *       in use    change    +/hour  allocs/s  verdict       who
 *        12.3M     +1.2M    +41.0K      12.0  leaks         #7 handle() server.c:88
 *
 * Growth is since `top` began, rates are of the time since the table before.
 */
#include "report/top.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "heap/verdicts.h"
#include "report/aggregate.h"
#include "report/fold.h"
#include "report/print.h"
#include "report/sampling.h"
#include "report/utf8.h"

enum { BEFORE_WHO = 56, MIN_WHO = 24, MIN_NAME = 12 };

const char *const top_keys[] = {
	[TOP_BY_GROWTH] = "growth", [TOP_BY_RATE] = "rate", [TOP_BY_BYTES] = "bytes", NULL};

static int64_t in_use(const struct mark_counters *c)
{
	return (int64_t)(c->allocated_bytes - c->freed_bytes);
}

static struct mark_counters now_of(const struct snapshot *s, uint32_t id)
{
	const struct region_context *c = &s->contexts[id];

	return (struct mark_counters){c->allocs, c->frees, c->allocated_bytes, c->freed_bytes};
}

static struct mark_counters then_of(const struct mark *mark, uint32_t id)
{
	static const struct mark_counters none;

	return id < mark->context_count ? mark->contexts[id] : none;
}

static int64_t grown(const struct report_top *top, const struct snapshot *s, uint32_t id)
{
	const struct mark_counters now = now_of(s, id), then = then_of(top->begin, id);

	return in_use(&now) - in_use(&then);
}

static uint64_t allocated(const struct report_top *top, const struct snapshot *s, uint32_t id)
{
	return now_of(s, id).allocs - then_of(top->last, id).allocs;
}

/* ---- the order --------------------------------------------------------------------------- */

struct ranked {
	int64_t key, bytes;
	uint32_t id;
};

static int compare(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->key != y->key)
		return x->key > y->key ? -1 : 1;
	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

void top_sort(const struct report_top *top, const struct snapshot *snapshot, uint32_t *ids,
	      size_t count)
{
	scope_free struct ranked *at = malloc((count + 1) * sizeof(*at));

	for (size_t i = 0; at && i < count; i++) {
		const struct mark_counters now = now_of(snapshot, ids[i]);

		at[i] = (struct ranked){in_use(&now), in_use(&now), ids[i]};
		if (top->key == TOP_BY_GROWTH)
			at[i].key = grown(top, snapshot, ids[i]);
		else if (top->key == TOP_BY_RATE)
			at[i].key = (int64_t)allocated(top, snapshot, ids[i]);
	}
	if (at)
		qsort(at, count, sizeof(*at), compare);
	for (size_t i = 0; at && i < count; i++)
		ids[i] = at[i].id;
}

/* ---- the table --------------------------------------------------------------------------- */

static double seconds_since(const struct snapshot *s, const struct mark *mark)
{
	double seconds = (double)(s->taken.tv_sec - mark->taken.tv_sec) +
			 (double)(s->taken.tv_nsec - mark->taken.tv_nsec) / 1e9;

	return seconds > 0 ? seconds : 0;
}

/* "+5.6M", in ten columns. */
static void print_change(FILE *out, double change)
{
	char text[PRINT_SHORT_SIZE];

	print_short_text((uint64_t)(change < 0 ? -change : change), text);
	fprintf(out, "%*s%c%s", (int)(9 - strlen(text)), "", change < 0 ? '-' : '+', text);
}

static void print_rate(FILE *out, uint64_t count, double seconds)
{
	fprintf(out, " %9.1f", seconds > 0 ? (double)count / seconds : 0);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* "#7 handle() server.c:88"; the function's name gives way where the line is short. */
static void print_who(FILE *out, const struct report_job *job, const struct names *names,
		      uint32_t id)
{
	unsigned columns = job->options->top->columns;
	size_t room = columns > BEFORE_WHO + MIN_WHO ? columns - BEFORE_WHO : MIN_WHO;
	scope_free char *where = NULL, *name = NULL;
	struct names_line line;
	size_t len, used;
	FILE *side;

	used = (size_t)fprintf(out, "#%" PRIu32 " ", id);
	if (!aggregate_who(job, names, id, &line)) {
		fputs("(unknown)", out);
		return;
	}
	side = open_memstream(&where, &len);
	if (!side)
		return;
	if (line.name.file)
		fprintf(side, "%s:%" PRIu32, last_part(line.name.file), line.name.line);
	else
		fprintf(side, "%s", line.module ? module_id_name(&line.module->id) : "");
	if (!line.name.function)
		fprintf(side, "+0x%" PRIx64, frame_offset(line.frame));
	fclose(side);
	used += utf8_columns(where ? where : "");
	name = fold_name(line.name.function ? line.name.function : "",
			 used + MIN_NAME < room ? room - used : MIN_NAME);
	utf8_print(out, name ? name : line.name.function ? line.name.function : "");
	fputs(line.name.function ? " " : "", out);
	utf8_print(out, where ? where : "");
}

static void print_row(FILE *out, const struct report_job *job, const struct names *names,
		      uint32_t id)
{
	const struct report_top *top = job->options->top;
	const struct snapshot *s = job->snapshot;
	const struct verdict *v = verdicts_of(s->verdicts, id);
	double seconds = seconds_since(s, top->begin);
	double change = (double)grown(top, s, id);

	print_short(out, report_in_use_bytes(&s->contexts[id]));
	print_change(out, change);
	print_change(out, seconds > 0 ? change * 3600 / seconds : 0);
	print_rate(out, allocated(top, s, id), seconds_since(s, top->last));
	fprintf(out, "  %-14s ", v ? verdict_name(v->word) : "");
	print_who(out, job, names, id);
	putc('\n', out);
}

static void print_head(FILE *out, const struct report_top *top, const struct snapshot *s)
{
	const struct region_totals *t = &s->totals;
	double seconds = seconds_since(s, top->last);

	fputs(sampling_estimates(s) ? "(estimates, by a sample) In use" : "In use", out);
	print_short(out, t->allocated_bytes - t->freed_bytes);
	fputs(" in ", out);
	print_count(out, t->allocs - t->frees, "block");
	fputs(", ", out);
	print_change(out, (double)(int64_t)(t->allocated_bytes - t->freed_bytes) -
				  (double)in_use(&top->begin->total));
	fprintf(out, " in %.1f s;", seconds_since(s, top->begin));
	print_rate(out, t->allocs - top->last->total.allocs, seconds);
	fputs(" allocs/s,", out);
	print_rate(out, t->frees - top->last->total.frees, seconds);
	fputs(" frees/s\n\n"
	      "    in use    change    +/hour  allocs/s  verdict        who\n",
	      out);
}

int top_write(struct report_job *job, FILE *out, struct err *err)
{
	struct names *names;
	int failed = report_names_create(job, &names, err);

	if (failed)
		return failed;
	print_head(out, job->options->top, job->snapshot);
	for (size_t i = 0; i < job->shown; i++)
		print_row(out, job, names, job->ids[i]);
	names_destroy(names);
	return report_check(out, err);
}
