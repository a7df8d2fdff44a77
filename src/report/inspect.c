/* Blocks and the heap, in text; see inspect.h. */
#include "report/inspect.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/print.h"

enum { PLACES = 50, LINKS = 64, WORDS = 8 };

static const char *const classes[] = {
	[LEAK_LOST] = "lost: nothing leads to it",
	[LEAK_LOST_THROUGH] = "lost: only a lost block leads to it",
	[LEAK_HELD] = "held",
};

static void print_sum(FILE *out, const struct leak_sum *sum)
{
	print_count(out, sum->bytes, "byte");
	fputs(" in ", out);
	print_count(out, sum->blocks, "block");
}

static void print_name(FILE *out, const struct leak_block *b)
{
	fprintf(out, "0x%" PRIx64 " (%" PRIu64 " byte%s", b->addr, b->size,
		b->size == 1 ? "" : "s");
	if (b->context)
		fprintf(out, ", #%" PRIu32, b->context);
	putc(')', out);
}

/* ---- why ----------------------------------------------------------------- */

static void print_lost(FILE *out, struct leak *leak, const struct leak_block *b)
{
	struct leak_block leader;

	fputs("    ", out);
	fputs(classes[b->class], out);
	if (b->leader != LEAK_NONE) {
		leak_block(leak, b->leader, &leader);
		fputs(", ", out);
		print_name(out, &leader);
	}
	putc('\n', out);
}

static void print_links(FILE *out, const struct path_names *names, struct leak *leak,
			const struct leak_link *links, size_t count)
{
	struct leak_block block;
	struct leak_content content;

	for (size_t i = 0; i < count; i++) {
		leak_block(leak, links[i].block, &block);
		leak_content(leak, links[i].block, &content);
		fputs(i ? "      " : "    ", out);
		path_place(out, names, &links[i].place);
		fputs(" -> ", out);
		print_name(out, &block);
		if (content.kind == LEAK_CLASS || content.kind == LEAK_TEXT) {
			fputs(", ", out);
			path_content(out, &content, 1);
		}
		putc('\n', out);
	}
}

void inspect_why(FILE *out, const struct path_names *names, struct leak *leak,
		 const uint32_t *blocks, size_t count)
{
	struct leak_link links[LINKS];
	struct leak_block block;
	struct leak_sum retained;
	size_t share = 0, found = leak_why(leak, blocks, count, links, LINKS, &share);

	if (!found) {
		for (size_t i = 0; i < count && i < 1; i++) {
			leak_block(leak, blocks[i], &block);
			print_name(out, &block);
			putc('\n', out);
			print_lost(out, leak, &block);
		}
		return;
	}
	if (count > 1) {
		fprintf(out, "%zu of ", share);
		print_count(out, count, "block");
		fputs(share == 1 ? " is held by\n" : " are held by\n", out);
	} else {
		fputs("It is held by\n", out);
	}
	print_links(out, names, leak, links, found < LINKS ? found : LINKS);
	if (found > LINKS)
		fprintf(out, "    ... and %zu more links\n", found - LINKS);
	if (leak_retained(leak, blocks, count, &retained)) {
		fputs(count > 1 ? "Without them, " : "Without it, ", out);
		print_sum(out, &retained);
		fputs(" would be reached no longer.\n", out);
	}
}

/* ---- who ------------------------------------------------------------------ */

void inspect_who(FILE *out, const struct path_names *names, struct leak *leak, taddr_t addr)
{
	struct leak_place places[PLACES];
	size_t count = leak_who(leak, addr, places, PLACES);
	struct leak_block block;

	if (!count)
		fputs("Nothing points to it.\n", out);
	for (size_t i = 0; i < count && i < PLACES; i++) {
		fputs("    ", out);
		if (places[i].kind == LEAK_IN_BLOCK) {
			leak_block(leak, places[i].block, &block);
			print_name(out, &block);
			putc(' ', out);
		}
		path_place(out, names, &places[i]);
		putc('\n', out);
	}
	if (count > PLACES)
		fprintf(out, "    ... and %zu more places\n", count - PLACES);
}

/* ---- block ----------------------------------------------------------------- */

static void print_words(FILE *out, struct memory *memory, unsigned word, struct leak *leak,
			const struct leak_block *b)
{
	uint64_t left = b->size / word;

	for (unsigned i = 0; i < WORDS && i < left; i++) {
		uint64_t value = 0;
		uint8_t bytes[8];
		uint32_t to;

		if (memory_read(memory, b->addr + (taddr_t)i * word, &value, word))
			return;
		memcpy(bytes, &value, sizeof(bytes));
		fprintf(out, "    +0x%02x  0x%0*" PRIx64 "  ", i * word, (int)word * 2, value);
		for (unsigned k = 0; k < word; k++)
			putc(bytes[k] < 0x7f && isprint(bytes[k]) ? bytes[k] : '.', out);
		to = value ? leak_find(leak, value) : LEAK_NONE;
		if (to != LEAK_NONE) {
			struct leak_block target;

			leak_block(leak, to, &target);
			fputs("  -> ", out);
			print_name(out, &target);
		}
		putc('\n', out);
	}
}

void inspect_block(FILE *out, struct memory *memory, unsigned word, struct leak *leak,
		   uint32_t index)
{
	struct leak_block block;
	struct leak_content content;

	leak_block(leak, index, &block);
	leak_content(leak, index, &content);
	print_name(out, &block);
	fputs("\n", out);
	print_lost(out, leak, &block);
	fputs("    ", out);
	path_content(out, &content, 1);
	putc('\n', out);
	print_words(out, memory, word, leak, &block);
}

/* ---- heap ------------------------------------------------------------------- */

struct pins {
	uint64_t blocks;
};

static void count_pin(void *arg, uint32_t block, uint64_t pinned)
{
	struct pins *pins = arg;

	(void)block;
	(void)pinned;
	pins->blocks++;
}

static void size(FILE *out, uint64_t bytes)
{
	if (!print_size(out, bytes))
		print_count(out, bytes, "byte");
}

struct heap_sums {
	uint64_t used, free, cached, top, trimmable, mapped, system;
};

static struct heap_sums add_up(struct leak *leak)
{
	struct heap_sums sums = {0};
	struct leak_sum mapped = {0, 0};
	size_t count;
	const struct leak_arena *arenas = leak_arenas(leak, &count, &mapped);

	for (size_t i = 0; i < count; i++) {
		sums.used += arenas[i].used.bytes;
		sums.free += arenas[i].free.bytes;
		sums.cached += arenas[i].cached.bytes;
		sums.top += arenas[i].top;
		sums.trimmable += arenas[i].trimmable;
		sums.system += arenas[i].system;
	}
	sums.mapped = mapped.bytes;
	return sums;
}

static void verdict(FILE *out, const struct heap_sums *sums, uint64_t resident, uint64_t pinned,
		    uint64_t pins)
{
	char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);

	if (!side)
		return;
	fputs("RSS ", side);
	size(side, resident);
	fputs(": ", side);
	size(side, sums->used + sums->mapped);
	fputs(" in use", side);
	if (sums->free + sums->cached + sums->top) {
		fputs(", ", side);
		size(side, sums->free + sums->cached + sums->top);
		fputs(" free in the allocator", side);
	}
	if (pinned) {
		fputs(", of which ", side);
		size(side, pinned);
		fputs(" are pinned by ", side);
		print_count(side, pins, "block");
	}
	if (sums->trimmable) {
		fputs("; malloc_trim(0) would give ", side);
		size(side, sums->trimmable);
		fputs(" back", side);
	}
	if (resident > sums->system + sums->mapped) {
		fputs("; ", side);
		size(side, resident - sums->system - sums->mapped);
		fputs(" are not the allocator's", side);
	}
	putc('.', side);
	fclose(side);
	if (text)
		print_wrapped(out, text);
	free(text);
}

static void print_arena(FILE *out, const struct leak_allocator *allocator,
			const struct leak_arena *a)
{
	fprintf(out, "%s%s arena at 0x%" PRIx64 "\n", allocator->name, a->main ? "'s main" : "",
		a->addr);
	fprintf(out, "    of the system %12" PRIu64 " bytes\n", a->system);
	fprintf(out, "    in use        %12" PRIu64 " bytes in %" PRIu64 " blocks\n", a->used.bytes,
		a->used.blocks);
	fprintf(out, "    kept for threads %9" PRIu64 " bytes in %" PRIu64 " blocks\n",
		a->cached.bytes, a->cached.blocks);
	fprintf(out, "    free          %12" PRIu64 " bytes in %" PRIu64 " pieces\n",
		a->free.bytes, a->free.blocks);
	fprintf(out, "    at its end    %12" PRIu64 " bytes\n", a->top);
	fprintf(out, "    to be trimmed %12" PRIu64 " bytes\n", a->trimmable);
}

void inspect_heap(FILE *out, struct leak *leak, uint64_t resident)
{
	struct heap_sums sums = add_up(leak);
	struct pins pins = {0};
	struct leak_sum mapped = {0, 0};
	size_t count, allocators;
	const struct leak_allocator *all = leak_allocators(leak, &allocators);
	const struct leak_arena *arenas = leak_arenas(leak, &count, &mapped);
	uint64_t pinned = leak_for_each_pin(leak, count_pin, &pins);

	verdict(out, &sums, resident, pinned, pins.blocks);
	for (size_t i = 0; i < count; i++)
		print_arena(out, &all[arenas[i].allocator], &arenas[i]);
	if (mapped.blocks) {
		fputs("mapped one by one: ", out);
		print_sum(out, &mapped);
		putc('\n', out);
	}
	for (size_t i = 0; i < allocators; i++)
		if (!all[i].read)
			fprintf(out, "%s could not be read: %s\n", all[i].name, all[i].why);
}
