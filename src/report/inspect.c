/* Blocks, in text; see inspect.h. */
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
