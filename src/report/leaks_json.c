/* What a look for leaks found, in JSON: doc/json.md, "leaks". */
#include <inttypes.h>

#include "report/leaks.h"

static void print_sum(FILE *out, const char *name, const struct leak_sum *sum)
{
	fprintf(out, "\"%s\": {\"blocks\": %" PRIu64 ", \"bytes\": %" PRIu64 "}", name,
		sum->blocks, sum->bytes);
}

static void print_sums(FILE *out, const struct findings_sums *sums)
{
	print_sum(out, "lost", &sums->lost);
	fputs(", ", out);
	print_sum(out, "lost_through", &sums->through);
	fputs(", ", out);
	print_sum(out, "held", &sums->held);
	fputs(", ", out);
	print_sum(out, "perhaps", &sums->perhaps);
}

static const char *const kinds[] = {
	[LEAK_CLASS] = "class", [LEAK_OWNED] = "owned", [LEAK_TEXT] = "text",
	[LEAK_LIST_NODE] = "list", [LEAK_NODE] = "node", [LEAK_ZERO] = "zero",	[LEAK_UNKNOWN] = NULL,
};

/* {"kind": "class", "text": "N3app5CacheE"}; null: nothing is known of it. */
static void print_content(FILE *out, const struct leak_content *content)
{
	if (!kinds[content->kind]) {
		fputs("null", out);
		return;
	}
	fprintf(out, "{\"kind\": \"%s\"", kinds[content->kind]);
	if (content->text[0]) {
		fputs(", \"text\": ", out);
		json_string(out, content->text);
	}
	if (content->pointers)
		fprintf(out, ", \"pointers\": %" PRIu32, content->pointers);
	putc('}', out);
}

static void print_block(FILE *out, const struct findings_block *b)
{
	fprintf(out, "{\"address\": \"0x%" PRIx64 "\", \"size\": %" PRIu64 ", \"class\": \"%s\"",
		b->block.addr, b->block.size,
		b->perhaps			? "perhaps"
		: b->block.class == LEAK_LOST ? "lost"
					      : "lost_through");
	if (b->leader)
		fprintf(out, ", \"leader\": \"0x%" PRIx64 "\"", b->leader);
	else
		fputs(", \"leader\": null", out);
	if (b->block.context)
		fprintf(out, ", \"context\": %" PRIu32, b->block.context);
	else
		fputs(", \"context\": null", out);
	fputs(", \"content\": ", out);
	print_content(out, &b->content);
	putc('}', out);
}

static void print_allocators(FILE *out, const struct findings *f)
{
	fputs("    \"allocators\": [", out);
	for (size_t i = 0; i < f->allocators.len; i++) {
		const struct leak_allocator *a = &f->allocators.at[i];

		fprintf(out, "%s{\"name\": ", i ? ", " : "");
		json_string(out, a->name);
		fprintf(out, ", \"read\": %s, \"why\": ", a->read ? "true" : "false");
		json_string(out, a->why[0] ? a->why : NULL);
		fprintf(out, ", \"blocks\": %" PRIu64 ", \"bytes\": %" PRIu64 "}",
			a->used.blocks, a->used.bytes);
	}
	fputs("],\n", out);
}

void leaks_json(FILE *out, const struct findings *f)
{
	fputs("{\"time\": ", out);
	json_time(out, &f->taken, true);
	fprintf(out,
		", \"pause_ms\": %.3f, \"at_end\": %s, \"copied\": %s, \"confirmed\": %s, "
		"\"scanned_bytes\": %" PRIu64 ", \"unread_bytes\": %" PRIu64 ",\n    ",
		(double)f->pause_ns / 1e6, f->at_end ? "true" : "false", f->why[0] ? "false" : "true",
		f->confirmed ? "true" : "false", f->totals.scanned_bytes,
		f->totals.unread_bytes);
	print_sums(out, &f->all);
	fputs(",\n    \"before_attach\": {", out);
	print_sums(out, &f->before);
	fputs("},\n", out);
	print_allocators(out, f);
	fprintf(out, "    \"block_count\": %" PRIu64 ",\n    \"blocks\": [", f->block_count);
	for (size_t i = 0; i < f->blocks.len; i++) {
		fputs(i ? ",\n      " : "\n      ", out);
		print_block(out, &f->blocks.at[i]);
	}
	fputs("]}", out);
}

void leaks_json_of_context(FILE *out, const struct report_options *options, uint32_t id)
{
	static const struct findings_context none;
	const struct findings *f = options->findings;
	const struct findings_context *c = id < f->context_count ? &f->contexts[id] : &none;

	if (c == &none && options->findings_earlier)
		return;
	fprintf(out,
		",\"lost_blocks\":%" PRIu64 ",\"lost_bytes\":%" PRIu64
		",\"held_blocks\":%" PRIu64 ",\"held_bytes\":%" PRIu64
		",\"perhaps_blocks\":%" PRIu64 ",\"perhaps_bytes\":%" PRIu64
		",\"held_by\":",
		c->sums.lost.blocks + c->sums.through.blocks, findings_gone(&c->sums),
		c->sums.held.blocks, c->sums.held.bytes, c->sums.perhaps.blocks,
		c->sums.perhaps.bytes);
	json_string(out, c->held_by);
}
