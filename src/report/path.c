/*
 * Places and contents in words; see path.h.  A type's name is decoded as far as it is a list of
 * plain names; one with arguments of templates stays as the compiler wrote it.
 */
#include "report/path.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "elf/image.h"
#include "report/cxx_name.h"
#include "report/path_data.h"
#include "report/print.h"
#include "report/utf8.h"

/* ---- places -------------------------------------------------------------- */

static void of_thread(FILE *out, const struct path_names *names, int tid)
{
	const char *name = names->thread ? names->thread(names->arg, tid) : NULL;

	fprintf(out, " of thread %d", tid);
	if (!name || !*name)
		return;
	fputs(" (", out);
	utf8_print(out, name);
	putc(')', out);
}

/* "handle()'s frame on ", where it is known. */
static void function_of(FILE *out, const struct path_names *names,
			const struct leak_place *place)
{
	const struct module *module = NULL;
	struct image_symbol symbol;
	uint64_t vaddr;

	if (!names->frame || !names->frame(names->arg, place->tid, place->at, &module, &vaddr))
		return;
	if (module->image && image_symbol_at(module->image, vaddr, &symbol)) {
		utf8_print(out, symbol.name);
		fputs("()", out);
	} else {
		utf8_print(out, module_id_name(&module->id));
		fprintf(out, "+0x%" PRIx64, vaddr);
	}
	fputs("'s frame on ", out);
}

static void register_place(FILE *out, const struct path_names *names, uint64_t index)
{
	const struct arch *arch = names->arch;

	if (index == UINT64_MAX) {
		fputs("a vector register", out);
		return;
	}
	for (int i = 0; i < arch->reg_count; i++)
		if (arch->reg_offset[i] == (int64_t)index * arch->word_size) {
			fprintf(out, "register %s", arch->reg_name[i]);
			return;
		}
	fprintf(out, "register %" PRIu64, index);
}

static void signed_offset(FILE *out, const char *base, int64_t offset)
{
	fprintf(out, "%s%c0x%" PRIx64, base, offset < 0 ? '-' : '+',
		offset < 0 ? 0 - (uint64_t)offset : (uint64_t)offset);
}

static void mapping_place(FILE *out, const struct leak_place *place)
{
	const struct mapping *mapping = place->mapping;

	if (!mapping) {
		fprintf(out, "memory at 0x%" PRIx64, place->at);
		return;
	}
	if (*mapping->path)
		utf8_print(out, mapping->path);
	else
		fprintf(out, "the mapping at 0x%" PRIx64, mapping->begin);
	fprintf(out, "+0x%" PRIx64, place->offset);
}

void path_place(FILE *out, const struct path_names *names, const struct leak_place *place)
{
	switch (place->kind) {
	case LEAK_IN_DATA:
		path_data_place(out, place);
		break;
	case LEAK_IN_STACK:
		function_of(out, names, place);
		fputs("the stack", out);
		of_thread(out, names, place->tid);
		fprintf(out, ", sp+0x%" PRIx64, place->offset);
		break;
	case LEAK_IN_REGISTER:
		register_place(out, names, place->offset);
		of_thread(out, names, place->tid);
		break;
	case LEAK_IN_TLS:
		fputs("thread-local data", out);
		of_thread(out, names, place->tid);
		signed_offset(out, ", tp", (int64_t)place->offset);
		break;
	case LEAK_IN_MAPPING:
		mapping_place(out, place);
		break;
	case LEAK_IN_BLOCK:
		if (place->offset == UINT64_MAX)
			fputs("in it", out);
		else
			fprintf(out, "+0x%" PRIx64, place->offset);
		break;
	}
}

void path_print(FILE *out, const struct path_names *names, struct leak *leak,
		const struct leak_link *links, size_t count)
{
	struct leak_block block;

	for (size_t i = 0; i < count; i++) {
		if (i)
			fputs(" -> ", out);
		path_place(out, names, &links[i].place);
		leak_block(leak, links[i].block, &block);
		fprintf(out, " -> 0x%" PRIx64 " (%" PRIu64 ")", block.addr, block.size);
	}
}

/* ---- contents ------------------------------------------------------------ */

static void class_name(FILE *out, const struct leak_content *content)
{
	if (!cxx_name_print(out, content->text, sizeof(content->text)))
		utf8_print(out, content->text);
}

void path_content(FILE *out, const struct leak_content *content, uint64_t blocks)
{
	const char *s = blocks == 1 ? "" : "s";

	switch (content->kind) {
	case LEAK_CLASS:
		fprintf(out, "object%s of class ", s);
		class_name(out, content);
		break;
	case LEAK_OWNED:
		fprintf(out, "block%s of objects of class ", s);
		class_name(out, content);
		break;
	case LEAK_TEXT:
		fputs("text \"", out);
		utf8_print(out, content->text);
		putc('"', out);
		break;
	case LEAK_LIST_NODE:
		fprintf(out, "node%s of a list headed by ", s);
		utf8_print(out, content->text);
		break;
	case LEAK_NODE:
		fputs("with ", out);
		print_count(out, content->pointers, "pointer");
		fputs(" to other blocks", out);
		break;
	case LEAK_ZERO:
		fputs("all zeros", out);
		break;
	case LEAK_UNKNOWN:
		fputs("of unknown content", out);
		break;
	}
}

static void head_place(FILE *out, const struct path_names *names, struct leak *leak,
		       const struct leak_place *place)
{
	struct leak_block block;

	if (place->kind != LEAK_IN_BLOCK) {
		path_place(out, names, place);
		return;
	}
	leak_block(leak, place->block, &block);
	fprintf(out, "%s0x%" PRIx64, block.class == LEAK_HELD ? "" : "the lost ", block.addr);
	if (place->offset && place->offset != UINT64_MAX)
		fprintf(out, "+0x%" PRIx64, place->offset);
}

void path_content_of(const struct path_names *names, struct leak *leak, uint32_t block,
		     struct leak_content *ret)
{
	struct leak_place head;
	char *text = NULL;
	size_t len;
	FILE *out;

	leak_content(leak, block, ret);
	if (ret->kind != LEAK_LIST_NODE || !leak_list_head(leak, block, &head) ||
	    !(out = open_memstream(&text, &len)))
		return;
	head_place(out, names, leak, &head);
	fclose(out);
	if (text)
		snprintf(ret->text, sizeof(ret->text), "%s", text);
	free(text);
}

char *path_text(const struct path_names *names, struct leak *leak, const uint32_t *blocks,
		size_t count)
{
	struct leak_link links[8];
	size_t most = ARRAY_SIZE(links), len;
	size_t found = leak_why(leak, blocks, count, links, most, NULL);
	char *text = NULL;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	path_print(out, names, leak, links, found < most ? found : most);
	if (found > most)
		fputs(" -> ...", out);
	fclose(out);
	return text;
}
