/*
 * Where a module lies: its load bias, which follows from one of its mappings and the file's own
 * program headers, so that any piece of the module will do (the first pages may be unmapped, or
 * split by mprotect):
 *
 *     mapping begins at address A, file offset O
 *     PT_LOAD with PF_X: file offset F at virtual address V, O within its pages
 *     bias = A + (F - O) - V
 */
#include <elf.h>
#include <string.h>

#include "elf/module_parts.h"

bool module_same_file(const struct module *module, const struct mapping *m)
{
	return module->dev == m->dev && module->inode == m->inode &&
	       !strcmp(module->id.path, m->path);
}

static bool segment_bias(const struct update *u, const struct image_segment *s,
			 const struct mapping *m, taddr_t *ret)
{
	uint64_t first = s->offset & ~(u->page - 1);
	taddr_t bias = m->begin + (s->offset - m->offset) - s->vaddr;

	if (s->file_size == 0 || m->offset < first || m->offset >= s->offset + s->file_size ||
	    bias & (u->page - 1))
		return false;
	*ret = bias;
	return true;
}

bool module_bias(const struct update *u, const struct image *image, const struct mapping *m,
		 taddr_t *ret)
{
	size_t count;
	const struct image_segment *s = image_segments(image, &count);

	for (size_t i = 0; i < count; i++) {
		if ((s[i].flags & PF_X) && segment_bias(u, &s[i], m, ret))
			return true;
	}
	/* Under the personality READ_IMPLIES_EXEC every mapping is executable. */
	for (size_t i = 0; i < count; i++) {
		if (segment_bias(u, &s[i], m, ret))
			return true;
	}
	return false;
}

/* From the first to the last page of what is loaded at this bias. */
static bool span(const struct update *u, struct module *module)
{
	const struct image_segment *s, *last;
	size_t count;

	s = image_segments(module->image, &count);
	if (count == 0)
		return false;
	last = &s[count - 1];
	module->begin = (s[0].vaddr + module->bias) & ~(u->page - 1);
	module->end =
		(last->vaddr + last->mem_size + module->bias + u->page - 1) & ~(u->page - 1);
	return true;
}

bool module_place(const struct update *u, struct module *module, const struct mapping *m)
{
	const struct image_segment *s;
	size_t count;

	if (!module->image) {
		/* Nothing is known of the file: its mappings in a row around this one. */
		const struct mapping *all = u->maps->list.at, *end = all + u->maps->list.len;
		const struct mapping *low = m, *high = m;

		while (low > all && low[-1].end == low->begin &&
		       module_same_file(module, &low[-1]))
			low--;
		while (high + 1 < end && high[1].begin == high->end &&
		       module_same_file(module, &high[1]))
			high++;
		module->bias = low->begin - low->offset;
		module->begin = low->begin;
		module->end = high->end;
		return true;
	}
	s = image_segments(module->image, &count);
	if (is_vdso(m))
		module->bias = count ? m->begin - (s[0].vaddr & ~(u->page - 1)) : 0;
	else if (!module_bias(u, module->image, m, &module->bias))
		return false;
	return span(u, module) && module->begin <= m->begin && m->begin < module->end;
}

/* Does `code` hold what the file has for this segment?  Pieces are compared all over it;
 * some may be patched. */
static bool holds_code(const struct update *u, const struct module *module,
		       const struct image_segment *s, const struct mapping *code)
{
	enum { PIECES = 32, PIECE = 64 };
	taddr_t begin = s->vaddr + module->bias, end = begin + s->file_size;
	uint8_t in_file[PIECE], in_process[PIECE];
	unsigned alike = 0;

	if (!(s->flags & PF_X) || code->begin >= end || code->end <= begin || !u->process)
		return false;
	begin = begin > code->begin ? begin : code->begin;
	end = end < code->end ? end : code->end;
	if (end - begin < PIECE)
		return false;
	for (unsigned i = 0; i < PIECES; i++) {
		taddr_t at = begin + (end - begin - PIECE) / PIECES * i;
		uint64_t offset = s->offset + (at - module->bias - s->vaddr);

		alike += !memory_read(module->source, offset, in_file, PIECE) &&
			 !memory_read(u->process, at, in_process, PIECE) &&
			 !memcmp(in_file, in_process, PIECE);
	}
	return alike >= PIECES - PIECES / 8;
}

bool module_place_copy(const struct update *u, struct module *module, const struct mapping *m,
		       const struct mapping *code)
{
	size_t count = 0;
	const struct image_segment *s =
		module->source ? image_segments(module->image, &count) : NULL;

	for (size_t i = 0; i < count; i++) {
		if (!segment_bias(u, &s[i], m, &module->bias))
			continue;
		for (size_t k = 0; k < count; k++)
			if (holds_code(u, module, &s[k], code))
				return span(u, module);
	}
	return false;
}
