/* Blocks, in text; see inspect.h. */
#include "report/inspect.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/path_data.h"
#include "report/print.h"

enum { PLACES = 50, LINKS = 64, WORDS = 8, FOLDED = 5 };

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

static void print_link(FILE *out, const struct path_names *names, struct leak *leak,
		       const struct leak_link *link, bool first)
{
	struct leak_block block;
	struct leak_content content;

	leak_block(leak, link->block, &block);
	leak_content(leak, link->block, &content);
	fputs(first ? "    " : "      ", out);
	path_place(out, names, &link->place);
	fputs(" -> ", out);
	print_name(out, &block);
	if (content.kind == LEAK_CLASS || content.kind == LEAK_TEXT) {
		fputs(", ", out);
		path_content(out, &content, 1);
	}
	putc('\n', out);
}

/* Two steps along a list: at the same offset, between blocks of the same kind. */
static bool is_alike(struct leak *leak, const struct leak_link *a, const struct leak_link *b)
{
	struct leak_block x, y;

	if (a->place.kind != LEAK_IN_BLOCK || b->place.kind != LEAK_IN_BLOCK ||
	    a->place.offset != b->place.offset)
		return false;
	leak_block(leak, a->block, &x);
	leak_block(leak, b->block, &y);
	return x.size == y.size && x.context == y.context;
}

/* A long list is its first step and its last one. */
static void print_links(FILE *out, const struct path_names *names, struct leak *leak,
			const struct leak_link *links, size_t count)
{
	size_t run;

	for (size_t i = 0; i < count; i += run) {
		for (run = 1; i + run < count && is_alike(leak, &links[i], &links[i + run]);)
			run++;
		if (run < FOLDED)
			run = 1;
		print_link(out, names, leak, &links[i], !i);
		if (run == 1)
			continue;
		fprintf(out, "      ... and %zu more steps like that\n", run - 2);
		print_link(out, names, leak, &links[i + run - 1], false);
	}
}

static void print_none(FILE *out, struct leak *leak, const uint32_t *blocks, size_t count)
{
	struct leak_block block;

	if (!count)
		return;
	leak_block(leak, blocks[0], &block);
	print_name(out, &block);
	putc('\n', out);
	print_lost(out, leak, &block);
}

static void print_retained(FILE *out, struct leak *leak, const uint32_t *blocks, size_t count)
{
	struct leak_sum retained;

	if (!leak_retained(leak, blocks, count, &retained))
		return;
	fputs(count > 1 ? "Without them, " : "Without it, ", out);
	print_sum(out, &retained);
	fputs(" would be reached no longer.\n", out);
}

/*
 * "230 of 230 blocks are held by cache, 1 of them so:".  A table of pointers holds each of its
 * blocks from another place: the whole of it is what counts.
 */
static void print_share(FILE *out, struct leak *leak, const struct leak_place *root,
			size_t share, const uint32_t *blocks, size_t count)
{
	taddr_t begin, end;
	size_t wide = 0;

	if (share <= count / 2 && path_data_area(root, &begin, &end))
		wide = leak_held_from(leak, blocks, count, begin, end);
	wide = wide / 2 >= share ? wide : 0;
	fprintf(out, "%zu of ", wide ? wide : share);
	print_count(out, count, "block");
	fputs((wide ? wide : share) == 1 ? " is held by" : " are held by", out);
	if (wide) {
		putc(' ', out);
		path_data_area_name(out, root);
		fprintf(out, ", %zu of them so:", share);
	}
	putc('\n', out);
}

void inspect_why(FILE *out, const struct path_names *names, struct leak *leak,
		 const uint32_t *blocks, size_t count)
{
	struct leak_link few[LINKS], *links = few;
	size_t share = 0, most = LINKS, found;

	found = leak_why(leak, blocks, count, links, most, &share);
	if (!found) {
		print_none(out, leak, blocks, count);
		return;
	}
	if (found > LINKS && (links = calloc(found, sizeof(*links))))
		found = leak_why(leak, blocks, count, links, most = found, &share);
	links = links ? links : few;
	if (count > 1)
		print_share(out, leak, &links[0].place, share, blocks, count);
	else
		fputs("It is held by\n", out);
	print_links(out, names, leak, links, found < most ? found : most);
	if (found > most)
		fprintf(out, "    ... and %zu more links\n", found - most);
	print_retained(out, leak, blocks, count);
	if (links != few)
		free(links);
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

void inspect_block(FILE *out, const struct path_names *names, struct memory *memory, struct leak *leak,
		   uint32_t index)
{
	struct leak_block block;
	struct leak_content content;

	leak_block(leak, index, &block);
	path_content_of(names, leak, index, &content);
	print_name(out, &block);
	fputs("\n", out);
	print_lost(out, leak, &block);
	fputs("    ", out);
	path_content(out, &content, 1);
	putc('\n', out);
	print_words(out, memory, names->arch->word_size, leak, &block);
}
