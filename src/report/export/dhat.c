/*
 * The data file of valgrind's DHAT, version 2 (dhat/dh_main.c), for its dh_view.html and the
 * Firefox profiler: a program point per call stack, frames by number.
 *
 *   {"pps": [{"tb", "tbk": all it allocated; "eb", "ebk": in use; "mb": the most it had; "fs"}],
 *    "ftbl": ["[root]", "0x401136: main (demo.c:28)", ...]}
 *
 * Not known is how long blocks lived ("tl" is left out, and the viewer says NaN), how many
 * there were when the bytes were most ("mbk", 0 unless that is now), and what each call stack
 * had when the whole process had most: the "t-gmax" of the file is its end.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/export/stacks.h"
#include "report/export/viewers.h"

struct dhat {
	struct exports exports;
	FILE *out;
	struct cut {
		char name[40];
	} cuts[WALK_ENDS + 1]; /* what stands for missing frames: behind all lines */
	size_t cut_count;
	bool first;
};

/* "[root]" is 0. */
static size_t number_of_line(const struct named_frame *named, uint32_t k)
{
	return 1 + named->first + k;
}

static size_t number_of_cut(struct dhat *d, const char *cut)
{
	size_t i = 0;

	while (i < d->cut_count && strcmp(d->cuts[i].name, cut))
		i++;
	if (i == d->cut_count && i < ARRAY_SIZE(d->cuts))
		snprintf(d->cuts[d->cut_count++].name, sizeof(d->cuts[0].name), "%s", cut);
	return 1 + d->exports.values->line_count + i;
}

static void write_frames(struct dhat *d, const struct export_stack *stack)
{
	const char *comma = "";

	for (size_t i = 0; i < stack->count; i++) {
		const struct named_frame *f = exports_frame(&d->exports, stack->frames[i]);

		for (uint32_t k = 0; k < f->count; k++, comma = ",")
			fprintf(d->out, "%s%zu", comma, number_of_line(f, k));
	}
	if (stack->cut[0])
		fprintf(d->out, "%s%zu", comma, number_of_cut(d, stack->cut));
}

static bool write_point(void *arg, const struct export_stack *stack)
{
	const struct region_context *c = &stack->counters;
	struct dhat *d = arg;

	fprintf(d->out,
		"%s{\"tb\":%" PRIu64 ",\"tbk\":%" PRIu64 ",\"mb\":%" PRIu64 ",\"mbk\":%" PRIu64
		",\"gb\":%" PRIu64 ",\"gbk\":%" PRIu64 ",\"eb\":%" PRIu64 ",\"ebk\":%" PRIu64
		",\"fs\":[",
		d->first ? "" : ",\n", c->allocated_bytes, c->allocs, c->peak_bytes,
		c->peak_bytes == stack->bytes ? stack->blocks : 0, stack->bytes, stack->blocks,
		stack->bytes, stack->blocks);
	write_frames(d, stack);
	fputs("]}", d->out);
	d->first = false;
	return true;
}

static void write_command(struct dhat *d)
{
	char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);

	for (char **arg = d->exports.snapshot->command; side && arg && *arg; arg++)
		fprintf(side, arg == d->exports.snapshot->command ? "%s" : " %s", *arg);
	if (side)
		fclose(side);
	json_string(d->out, text ? text : "");
	free(text);
}

static bool write_table(struct dhat *d)
{
	const struct frame_names *values = d->exports.values;
	bool ok = true;

	fputs("],\n\"ftbl\":[\"[root]\"", d->out);
	for (size_t i = 0; ok && i < values->frame_count; i++)
		for (uint32_t k = 0; ok && k < values->frames[i].count; k++) {
			struct names_line line =
				names_line(d->exports.names, &values->frames[i], k);
			char *place = exports_place(&d->exports, &line);

			ok = place != NULL;
			fputs(",\n", d->out);
			json_string(d->out, place);
			free(place);
		}
	for (size_t i = 0; i < d->cut_count; i++) {
		fputs(",\n", d->out);
		json_string(d->out, d->cuts[i].name);
	}
	fputs("]}\n", d->out);
	return ok;
}

static int write_all(struct dhat *d, struct err *err)
{
	const struct snapshot *s = d->exports.snapshot;
	uint64_t us = (uint64_t)(report_seconds(s) * 1e6);
	int failed;

	fputs("{\"dhatFileVersion\":2,\"mode\":\"heap\",\"verb\":\"Allocated\",\"bklt\":true,"
	      "\"bkacc\":false,\n\"tu\":\"us\",\"Mtu\":\"s\",\"tuth\":500,\n\"cmd\":",
	      d->out);
	write_command(d);
	fprintf(d->out, ",\"pid\":%d,\n\"te\":%" PRIu64 ",\"tg\":%" PRIu64 ",\n\"pps\":[",
		s->pid, us, us);
	d->first = true;
	failed = exports_for_each(&d->exports, write_point, d, d->out, err);
	if (!failed && !write_table(d))
		failed = exports_no_memory(err);
	return failed ? failed : report_check(d->out, err);
}

int dhat_write(struct report_job *job, FILE *out, struct err *err)
{
	struct dhat d = {.out = out};
	int failed = exports_begin(job, &d.exports, err);

	if (failed)
		return failed;
	failed = write_all(&d, err);
	exports_end(&d.exports);
	return failed;
}
