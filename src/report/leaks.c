/*
 * What is lost, in text.
 *
 *     1000 blocks (48000 bytes) are lost; 2000 more (96000 bytes) only they lead to.  ...
 *
 *     1. #7  48000 bytes in 1000 blocks are lost
 *         they take 96000 bytes in 2000 more blocks along
 *         handle() in /src/server.c:41
 */
#include "report/leaks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"
#include "base/scope.h"
#include "report/path.h"
#include "report/print.h"
#include "report/sampling.h"
#include "report/utf8.h"

/* ---- order --------------------------------------------------------------- */

struct key {
	uint32_t id, rank, finding; /* its place among them, from 1 on */
};

static int by_finding(const void *a, const void *b)
{
	const struct key *x = a, *y = b;

	return order_u64(x->finding, y->finding) ?: order_u64(x->rank, y->rank);
}

static const struct findings_context *context_of(const struct findings *findings, uint32_t id)
{
	return id < findings->context_count ? &findings->contexts[id] : NULL;
}

void leaks_sort(const struct findings *findings, uint32_t *ids, size_t count)
{
	struct key *keys = calloc(count + 1, sizeof(*keys));

	for (size_t i = 0; keys && i < count; i++) {
		const struct findings_context *c = context_of(findings, ids[i]);

		keys[i] = (struct key){ids[i], (uint32_t)i, c && c->finding ? c->finding : UINT32_MAX};
	}
	if (!keys)
		return; /* the order stays that of the blocks in use */
	qsort(keys, count, sizeof(*keys), by_finding);
	for (size_t i = 0; i < count; i++)
		ids[i] = keys[i].id;
	free(keys);
}

/* ---- the verdict ---------------------------------------------------------- */

static void print_sum(FILE *out, const struct leak_sum *sum)
{
	print_count(out, sum->blocks, "block");
	fprintf(out, " (%" PRIu64 " byte%s)", sum->bytes, sum->bytes == 1 ? "" : "s");
}

static void print_lost(FILE *out, const struct findings *f)
{
	const struct findings_sums *all = &f->all;

	if (all->lost.blocks) {
		print_sum(out, &all->lost);
		fputs(all->lost.blocks == 1 ? " is lost: nothing leads to it"
					    : " are lost: nothing leads to them", out);
	} else {
		fputs("Nothing is lost", out);
	}
	if (all->through.blocks) {
		fputs("; ", out);
		print_sum(out, &all->through);
		fputs(" more can be reached from lost ones only", out);
	}
	fputs(". ", out);
	print_sum(out, &all->held);
	fputs(all->held.blocks == 1 ? " is held." : " are held.", out);
	if (all->perhaps.blocks) {
		putc(' ', out);
		print_sum(out, &all->perhaps);
		fputs(f->confirmed ? " may be lost: only the second look found no way to them."
				   : " may be lost, or in the hands of a call of the allocator: two looks"
				     " tell (--confirm=TIME).", out);
	}
}

static void print_pause(FILE *out, const struct findings *f)
{
	if (f->at_end)
		return;
	fprintf(out, " The process stood still for %.1f ms%s.", (double)f->pause_ns / 1e6,
		f->confirmed ? ", twice" : "");
	if (f->why[0])
		fprintf(out, " (It could not be copied: %s.)", f->why);
}

static bool is_unknown(const struct leak_allocator *a)
{
	return !strcmp(a->name, LEAK_UNKNOWN_ALLOCATOR);
}

static void print_allocator(FILE *out, const struct findings *f, const struct leak_allocator *a)
{
	if (a->read)
		return;
	putc(' ', out);
	if (f->totals.traced_only || !is_unknown(a)) {
		fputs("The heap ", out);
		if (!is_unknown(a)) {
			fputs("of ", out);
			utf8_print(out, a->name);
			putc(' ', out);
		}
		fputs("could not be read: ", out);
	}
	utf8_print(out, a->why);
	putc('.', out);
}

/* Blocks that memtrace saw, beside the heaps that were read. */
static void print_others(FILE *out, const struct findings *f)
{
	for (size_t i = 0; i < f->allocators.len; i++) {
		const struct leak_allocator *a = &f->allocators.at[i];

		if (strcmp(a->name, LEAK_TRACED))
			continue;
		putc(' ', out);
		print_sum(out, &a->used);
		fputs(" of an allocator that is not known ", out);
		fputs(a->used.blocks == 1 ? "was" : "were", out);
		fputs(" seen to be allocated.", out);
	}
}

static void print_limits(FILE *out, const struct findings *f)
{
	for (size_t i = 0; i < f->allocators.len; i++)
		print_allocator(out, f, &f->allocators.at[i]);
	if (f->totals.traced_only)
		fputs(" Only blocks that were allocated while memtrace watched are known.", out);
	else
		print_others(out, f);
	if (f->totals.unread_bytes)
		fprintf(out, " %" PRIu64 " bytes could not be read.", f->totals.unread_bytes);
}

/* "12.3 s ago", "2 h 5 min ago" */
static void print_when(FILE *out, const struct report_job *job)
{
	uint32_t now = job->snapshot->ticks_now, then = job->options->findings->ticks;

	print_duration(out, then < now ? (now - then) / 100.0 : 0);
	fputs(" ago", out);
}

void leaks_head(FILE *out, const struct report_job *job)
{
	const struct findings *f = job->options->findings;
	scope_free char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);

	if (!side)
		return;
	if (job->options->findings_earlier) {
		fputs("As of a look for leaks ", side);
		print_when(side, job);
		fputs(": ", side);
	}
	print_lost(side, f);
	print_limits(side, f);
	if (sampling_estimates(job->snapshot))
		fputs(" Of blocks that memtrace saw only those of the sample are known as such; the others "
		      "are among those from before.",
		      side);
	print_pause(side, f);
	fclose(side);
	if (text)
		print_wrapped(out, text);
}

/* ---- one ------------------------------------------------------------------ */

static void print_line(FILE *out, const struct leak_sum *sum, const char *what)
{
	if (!sum->blocks)
		return;
	fputs("    ", out);
	fputs(what, out);
	fputs(": ", out);
	print_count(out, sum->bytes, "byte");
	fputs(" in ", out);
	print_count(out, sum->blocks, "block");
	putc('\n', out);
}

static const struct finding *finding_of(const struct findings *findings, uint32_t id)
{
	uint32_t place = findings->contexts[id].finding;

	return place ? &findings->list.at[place - 1] : NULL;
}

/* Of one lost block, and of several. */
static const char *const shapes[][2] = {
	[LEAK_SINGLE] = {"takes", "take"},
	[LEAK_LIST] = {"a list: takes", "lists: take"},
	[LEAK_CYCLE] = {"a cycle: takes", "cycles: take"},
	[LEAK_TREE] = {"takes", "take"},
};

static void print_along(FILE *out, const struct finding *finding)
{
	if (!finding->along.blocks)
		return;
	fprintf(out, "    %s along ",
		shapes[finding->shape][finding->sums.lost.blocks + finding->sums.perhaps.blocks > 1]);
	print_count(out, finding->along.bytes, "byte");
	fputs(" in ", out);
	print_count(out, finding->along.blocks, "block");
	putc('\n', out);
}

void leaks_of_context(FILE *out, const struct report_job *job, uint32_t id)
{
	const struct findings *findings = job->options->findings;
	const struct findings_context *c = context_of(findings, id);
	const struct finding *finding = c ? finding_of(findings, id) : NULL;

	if (!c)
		return;
	if (job->options->findings_earlier && job->options->context) {
		fputs("    as of a look for leaks ", out);
		print_when(out, job);
		fputs(":\n", out);
	}
	print_line(out, &c->sums.lost, "lost");
	if (finding && c->sums.through.blocks && finding->through) {
		char what[48];

		snprintf(what, sizeof(what), "lost through #%" PRIu32, finding->through);
		print_line(out, &c->sums.through, what);
	} else {
		print_line(out, &c->sums.through, "lost through others");
	}
	if (finding)
		print_along(out, finding);
	print_line(out, &c->sums.perhaps, "perhaps lost");
	print_line(out, &c->sums.held, "held");
	if (c->held_by) {
		fputs("        by ", out);
		utf8_print(out, c->held_by); /* (another machine may have said it) */
		putc('\n', out);
	}
}

static void print_before(FILE *out, const struct finding *f)
{
	const struct leak_sum *sum = f->sums.lost.blocks ? &f->sums.lost : &f->sums.perhaps;

	fputs("\n- ", out);
	print_count(out, sum->bytes, "byte");
	fputs(" in ", out);
	print_count(out, sum->blocks, "block");
	fputs(sum == &f->sums.lost ? " lost, from before the attach"
				   : " perhaps lost, from before the attach", out);
	fputs("\n    ", out);
	path_content(out, &f->content, sum->blocks);
	fprintf(out, "; e.g. 0x%" PRIx64 " (%" PRIu64 " byte%s)\n", f->example, f->size,
		f->size == 1 ? "" : "s");
	print_along(out, f);
}

void leaks_before(FILE *out, const struct report_job *job)
{
	const struct findings *f = job->options->findings;
	size_t most = job->options->count ? job->options->count : SIZE_MAX, shown = 0;
	struct leak_sum rest = {0, 0};

	for (size_t i = 0; i < f->list.len; i++) {
		const struct finding *finding = &f->list.at[i];

		if (finding->context)
			continue;
		if (shown < most) {
			print_before(out, finding);
			shown++;
			continue;
		}
		rest.blocks += finding->sums.lost.blocks;
		rest.bytes += finding->sums.lost.bytes;
	}
	if (!rest.blocks)
		return;
	fputs("\nand ", out);
	print_sum(out, &rest);
	fputs(" more, lost from before the attach (-n 0 shows all)\n", out);
}
