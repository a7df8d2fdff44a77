/*
 * The memory of a process in text:
 *
 *     RSS 640.0 MiB: 180.0 MiB in use, 390.0 MiB free in the allocator, of which 310.0 MiB
 *     are pinned by 2100 blocks of #4; 70.0 MiB in 12 anonymous mappings that malloc does not own.
 *
 *     PINNED     who keeps mostly free pages from going back
 *     ARENAS     the allocators' own books
 *     FREE       by the size of the pieces
 *     ELSEWHERE  mappings that are no allocator's
 */
#include "report/heap_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/scope.h"
#include "report/print.h"
#include "report/utf8.h"

static void size(FILE *out, uint64_t bytes)
{
	if (!print_size(out, bytes))
		print_count(out, bytes, "byte");
}

struct sums {
	uint64_t used, cached, free, top, trimmable, away;
};

static struct sums add_up(struct leak *leak)
{
	struct sums sums = {0};
	size_t count, allocators;
	const struct leak_allocator *all = leak_allocators(leak, &allocators);
	const struct leak_arena *arenas = leak_arenas(leak, &count, NULL);

	for (size_t i = 0; i < allocators; i++) {
		sums.used += all[i].read ? all[i].used.bytes : 0;
		sums.cached += all[i].read ? all[i].cached.bytes : 0;
	}
	for (size_t i = 0; i < count; i++) {
		sums.free += arenas[i].free.bytes;
		sums.top += arenas[i].top;
		sums.trimmable += arenas[i].trimmable;
		sums.away += arenas[i].away;
	}
	return sums;
}

/* ---- the verdict ------------------------------------------------------------------- */

/* "2100 blocks of #4 and 3 others", where nine tenths are of one; "9000 blocks, 4000 of them of #4" */
static void print_pinners(FILE *out, const struct survey *s)
{
	const struct survey_pin *first = &s->pins.at[0];
	bool before = s->before.bytes >= s->pinned - s->pinned / 10;
	bool one = first->context && first->bytes >= s->pinned - s->pinned / 10;
	uint64_t blocks = one ? first->blocks : before ? s->before.blocks : s->pin_blocks;

	print_count(out, blocks, "block");
	if (one)
		fprintf(out, " of #%" PRIu32, first->context);
	else if (before)
		fputs(" from before the attach", out);
	else if (first->context)
		fprintf(out, ", %" PRIu64 " of them of #%" PRIu32, first->blocks, first->context);
	if (blocks < s->pin_blocks) {
		fputs(" and ", out);
		print_count(out, s->pin_blocks - blocks, "other");
	}
}

static void print_free(FILE *out, const struct survey *s, const struct sums *sums)
{
	uint64_t free = sums->free + sums->top + sums->cached;

	free -= sums->away < free ? sums->away : free;
	if (free) {
		fputs(", ", out);
		size(out, free);
		fputs(" free in the allocator", out);
	}
	if (s->pinned && free) {
		fputs(", of which ", out);
		size(out, s->pinned < free ? s->pinned : free);
		fputs(" are pinned by ", out);
		print_pinners(out, s);
	}
	if (sums->trimmable) {
		fputs("; malloc_trim(0) would give ", out);
		size(out, sums->trimmable);
		fputs(" back", out);
	}
}

/* Why what is in use is not known; NULL: it is. */
static const char *why_unknown(struct leak *leak)
{
	size_t count;
	const struct leak_allocator *all = leak_allocators(leak, &count);

	for (size_t i = 0; i < count; i++)
		if (!all[i].read && !strcmp(all[i].name, LEAK_UNKNOWN_ALLOCATOR))
			return all[i].why;
	return NULL;
}

static void print_swapped(FILE *out, uint64_t bytes)
{
	if (!bytes)
		return;
	fputs(" and ", out);
	size(out, bytes);
	fputs(" in swap", out);
}

static void print_anonymous(FILE *out, const struct survey *s, const char *why, const char *other)
{
	if (!s->anonymous)
		return;
	fputs("; ", out);
	size(out, s->anonymous_resident);
	print_swapped(out, s->anonymous_swapped);
	fputs(" in ", out);
	print_count(out, s->anonymous, "anonymous mapping");
	fputs(why ? ", of whatever allocator" : " that malloc does not own", out);
	if (other)
		fprintf(out, " (%s)", other);
}

static void print_verdict(FILE *out, const struct survey *s, struct leak *leak,
			  const char *other)
{
	const struct sums sums = add_up(leak);
	const char *why = why_unknown(leak);

	fputs("RSS ", out);
	size(out, s->resident);
	print_swapped(out, s->swapped);
	fputs(": ", out);
	size(out, sums.used);
	fputs(leak_totals(leak)->traced_only ? " in use were allocated while memtrace watched"
					     : " in use", out);
	print_free(out, s, &sums);
	print_anonymous(out, s, why, other);
	putc('.', out);
	if (leak_totals(leak)->traced_only)
		fputs(" Of the heap nothing else is known", out);
	if (why) {
		fputs(leak_totals(leak)->traced_only ? ": " : " ", out);
		utf8_print(out, why);
	}
	if (why || leak_totals(leak)->traced_only)
		putc('.', out);
}

/* ---- who pins ---------------------------------------------------------------------- */

static void print_pins(FILE *out, const struct survey *s, size_t rows)
{
	if (!s->pins.len)
		return;
	fputs("\nPINNED pages, of which three quarters or more are free\n\n", out);
	for (size_t i = 0; i < s->pins.len && i < rows; i++) {
		const struct survey_pin *pin = &s->pins.at[i];

		fputs("    ", out);
		size(out, pin->bytes);
		fputs(" by ", out);
		print_count(out, pin->blocks, "block");
		if (pin->context)
			fprintf(out, " of #%" PRIu32 "\n", pin->context);
		else
			fprintf(out, " of %" PRIu64 " bytes from before the attach\n", pin->size);
	}
	if (s->pins.len > rows)
		fprintf(out, "    ... and %zu more (-n 0 shows all)\n", s->pins.len - rows);
}

/* ---- arenas ------------------------------------------------------------------------ */

static void print_line(FILE *out, const char *what, uint64_t bytes, uint64_t pieces,
		       const char *of)
{
	fprintf(out, "    %-16s %14" PRIu64 " bytes", what, bytes);
	if (of) {
		fputs(" in ", out);
		print_count(out, pieces, of);
	}
	putc('\n', out);
}

static void print_arena(FILE *out, const struct leak_allocator *allocator,
			const struct leak_arena *a)
{
	fprintf(out, "%s%s arena at 0x%" PRIx64 "\n", allocator->name,
		a->main ? "'s main" : "", a->addr);
	print_line(out, "of the system", a->system, 0, NULL);
	print_line(out, "in use", a->used.bytes, a->used.blocks, "block");
	print_line(out, "free", a->free.bytes, a->free.blocks, "piece");
	if (a->top)
		print_line(out, "at its end", a->top, 0, NULL);
	if (a->trimmable)
		print_line(out, "to be trimmed", a->trimmable, 0, NULL);
	if (a->away)
		print_line(out, "given back", a->away, 0, NULL);
}

/* A program with many threads has many: the largest. */
static void print_arenas(FILE *out, struct leak *leak, size_t rows)
{
	struct leak_sum mapped = {0, 0};
	size_t count, allocators;
	const struct leak_allocator *all = leak_allocators(leak, &allocators);
	const struct leak_arena *arenas = leak_arenas(leak, &count, &mapped);

	if (!count && why_unknown(leak))
		return;
	fputs("\nARENAS\n\n", out);
	for (size_t i = 0; i < count && i < rows; i++)
		print_arena(out, &all[arenas[i].allocator], &arenas[i]);
	if (count > rows)
		fprintf(out, "... and %zu more arenas (-n 0 shows all)\n", count - rows);
	for (size_t i = 0; i < allocators; i++) {
		if (all[i].read && all[i].cached.blocks) {
			fprintf(out, "%s keeps of that for threads' next calls ", all[i].name);
			print_count(out, all[i].cached.bytes, "byte");
			fputs(" in ", out);
			print_count(out, all[i].cached.blocks, "block");
			putc('\n', out);
		}
		if (!all[i].read && strcmp(all[i].name, LEAK_UNKNOWN_ALLOCATOR))
			fprintf(out, "%s could not be read: %s\n", all[i].name, all[i].why);
	}
	if (mapped.blocks) {
		fputs("mapped one by one ", out);
		print_count(out, mapped.bytes, "byte");
		fputs(" in ", out);
		print_count(out, mapped.blocks, "block");
		putc('\n', out);
	}
}

/* ---- free memory ------------------------------------------------------------------- */

static void print_free_sizes(FILE *out, struct leak *leak)
{
	struct leak_sum sums[LEAK_FREE_CLASSES] = {0};
	size_t count;
	const struct leak_arena *arenas = leak_arenas(leak, &count, NULL);
	uint64_t from = 1;
	bool any = false;

	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < LEAK_FREE_CLASSES; k++) {
			sums[k].blocks += arenas[i].free_by[k].blocks;
			sums[k].bytes += arenas[i].free_by[k].bytes;
			any |= arenas[i].free_by[k].blocks != 0;
		}
	if (any)
		fputs("\nFREE by the size of the pieces\n\n", out);
	for (size_t k = 0; k < LEAK_FREE_CLASSES; from = leak_free_sizes[k++] + 1) {
		char what[48];

		if (!sums[k].blocks)
			continue;
		if (leak_free_sizes[k] == UINT64_MAX)
			snprintf(what, sizeof(what), "%" PRIu64 " and more", from);
		else
			snprintf(what, sizeof(what), "%" PRIu64 " to %" PRIu64, from, leak_free_sizes[k]);
		print_line(out, what, sums[k].bytes, sums[k].blocks, "piece");
	}
}

/* ---- elsewhere ---------------------------------------------------------------------- */

static void print_mapping(FILE *out, const struct path_names *names,
			  const struct survey_mapping *m)
{
	const char *thread = m->tid && names->thread ? names->thread(names->arg, m->tid) : NULL;

	fprintf(out, "    %12" PRIu64 " bytes resident of %" PRIu64, m->resident, m->bytes);
	if (m->swapped)
		fprintf(out, ", %" PRIu64 " in swap", m->swapped);
	fputs(": ", out);
	if (m->kind == SURVEY_STACK)
		fprintf(out, "stack of thread %d", m->tid);
	else if (m->kind == SURVEY_AGENT)
		fputs("memtrace's agent (not the program's, and in no sum above)", out);
	else if (m->kind == SURVEY_NAMED)
		utf8_print(out, m->path);
	else
		fprintf(out, "anonymous, at 0x%" PRIx64, m->begin);
	if (thread && *thread) {
		fputs(" (", out);
		utf8_print(out, thread);
		putc(')', out);
	}
	if (m->context) {
		fputs(", ", out);
		if (m->by_context < m->bytes)
			fprintf(out, "%" PRIu64 " bytes of it ", m->by_context);
		fprintf(out, "mapped by #%" PRIu32, m->context);
	}
	putc('\n', out);
}

static void print_elsewhere(FILE *out, const struct path_names *names, const struct survey *s,
			    struct leak *leak, size_t rows)
{
	uint64_t rest = 0;

	fprintf(out, "\nELSEWHERE, in mappings that are no allocator's%s\n\n",
		why_unknown(leak) ? " that is known" : "");
	for (size_t i = 0; i < s->mappings.len; i++) {
		if (i < rows)
			print_mapping(out, names, &s->mappings.at[i]);
		else
			rest += s->mappings.at[i].resident;
	}
	if (s->mappings.len > rows)
		fprintf(out, "    %12" PRIu64 " bytes resident in %zu more (-n 0 shows all)\n", rest,
			s->mappings.len - rows);
}

void heap_text(FILE *out, const struct path_names *names, const struct survey *survey,
	       struct leak *leak, const char *other, size_t rows)
{
	scope_free char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);

	rows = rows ? rows : SIZE_MAX;
	if (side) {
		print_verdict(side, survey, leak, other);
		fclose(side);
	}
	if (text)
		print_wrapped(out, text);
	print_pins(out, survey, rows);
	print_arenas(out, leak, rows);
	print_free_sizes(out, leak);
	print_elsewhere(out, names, survey, leak, rows);
}
