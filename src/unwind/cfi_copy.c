/*
 * Call frame information for who has neither the file nor its addresses' neighbourhood: all
 * entries of both sections, written anew as one .debug_frame in its plainest form (32-bit,
 * version 4, absolute addresses; the instructions are copied).
 */
#include <elf.h>
#include <string.h>

#include "unwind/cfi_parts.h"

enum { CIE_ID = -1, VERSION = 4, CIES_KEPT = 16 };

struct known_cie {
	const struct cfi_section *section; /* NULL: none */
	size_t from, to;		   /* where it is, and where it was written */
};

struct copy {
	struct cfi *cfi;
	struct cfi_bytes *out;
	size_t max;
	bool full; /* no room, or no memory */
	struct known_cie cies[CIES_KEPT];
	size_t next_cie;
};

static void put(struct copy *c, const void *bytes, size_t len)
{
	if (c->full || !len)
		return;
	if (c->out->len + len > c->max || !vec_reserve(c->out, c->out->len + len)) {
		c->full = true;
		return;
	}
	memcpy(c->out->at + c->out->len, bytes, len);
	c->out->len += len;
}

/* In the CPU's byte order, which the copy is read in. */
static void uint_write(const struct copy *c, uint8_t *to, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++, value >>= 8)
		to[c->cfi->arch->big_endian ? len - 1 - i : i] = (uint8_t)value;
}

static void put_uint(struct copy *c, uint64_t value, size_t len)
{
	uint8_t bytes[8];

	uint_write(c, bytes, value, len);
	put(c, bytes, len);
}

static void put_uleb(struct copy *c, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		put_uint(c, 0x80 | (value & 0x7f), 1);
	put_uint(c, value, 1);
}

static void put_sleb(struct copy *c, int64_t value)
{
	for (; value < -64 || value > 63; value >>= 7)
		put_uint(c, 0x80 | (value & 0x7f), 1);
	put_uint(c, value & 0x7f, 1);
}

/* An entry begins with its length, which is known when it ends. */
static size_t begin(struct copy *c)
{
	put_uint(c, 0, 4);
	return c->out->len;
}

static void end(struct copy *c, size_t at)
{
	size_t len = c->out->len - at;

	if (!c->full)
		uint_write(c, c->out->at + at - 4, len, 4);
}

/* Where the CIE is in the copy. */
static size_t put_cie(struct copy *c, const struct cfi_section *section,
		      const struct cfi_cie *cie)
{
	struct known_cie *known = &c->cies[c->next_cie];
	size_t at, offset = c->out->len;

	for (size_t i = 0; i < CIES_KEPT; i++)
		if (c->cies[i].section == section && c->cies[i].from == cie->offset)
			return c->cies[i].to;
	*known = (struct known_cie){section, cie->offset, offset};
	c->next_cie = (c->next_cie + 1) % CIES_KEPT;
	at = begin(c);
	put_uint(c, (uint64_t)CIE_ID, 4);
	put_uint(c, VERSION, 1);
	put(c, cie->signal ? "zS" : "", cie->signal ? 3 : 1);
	put_uint(c, c->cfi->arch->word_size, 1);
	put_uint(c, 0, 1);
	put_uleb(c, cie->code_align);
	put_sleb(c, cie->data_align);
	put_uleb(c, cie->ra_reg);
	if (cie->signal)
		put_uleb(c, 0);
	put(c, cie->program, (size_t)(cie->end - cie->program));
	end(c, at);
	return offset;
}

static void put_fde(struct copy *c, const struct cfi_fde *fde)
{
	size_t cie = put_cie(c, fde->section, &fde->cie), at = begin(c);
	unsigned word = c->cfi->arch->word_size;

	put_uint(c, cie, 4);
	put_uint(c, fde->begin, word);
	put_uint(c, fde->end - fde->begin, word);
	if (fde->cie.signal)
		put_uleb(c, 0);
	put(c, fde->program, (size_t)(fde->program_end - fde->program));
	end(c, at);
}

static void copy_section(struct copy *c, const struct cfi_section *section,
			 const struct cfi_index *index, uint64_t begin, uint64_t end)
{
	for (size_t i = 0; i < index->ranges.len && !c->full; i++) {
		const struct cfi_range *range = &index->ranges.at[i];
		size_t before = c->out->len;
		struct cfi_fde fde;

		if (range->end <= begin || range->begin >= end ||
		    cfi_is_untrue(c->cfi, range->begin) ||
		    cfi_entry_fde(c->cfi, section, range->offset, &fde) ||
		    cfi_program_names_places(c->cfi, &fde))
			continue;
		put_fde(c, &fde);
		if (c->full) /* no half entries */
			c->out->len = before;
	}
}

void cfi_copy(struct cfi *cfi, uint64_t begin, uint64_t end, size_t max, struct cfi_bytes *ret)
{
	struct copy c = {.cfi = cfi, .out = ret, .max = max};

	/* Where both describe a function, .eh_frame is found first: they say the same. */
	copy_section(&c, &cfi->eh_frame, cfi_table_index(cfi, &cfi->eh_frame, &cfi->eh_index),
		     begin, end);
	copy_section(&c, &cfi->debug_frame,
		     cfi_table_index(cfi, &cfi->debug_frame, &cfi->debug_index), begin, end);
}
