/*
 * Which FDE covers an address.
 *
 * .eh_frame_hdr ends with a table sorted by address, made by the linker:
 *
 *   [ version 1 | encodings 3 ][ .eh_frame ][ count ][ address, FDE ][ address, FDE ]...
 *
 * Only the form that linkers write is used (4-byte signed, relative to the header).
 * It is a claim: the table must be ascending, and an FDE found through it must begin
 * where the table says.  Where it finds nothing, it is compared with all FDEs, once.
 * One contradiction, and it is never used again.  Without it (.debug_frame never has
 * one) all FDEs are read once and sorted.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/order.h"
#include "unwind/cfi_parts.h"

enum {
	HDR_VERSION = 1,
	HDR_TABLE_FORM = 0x3b, /* DW_EH_PE_datarel | DW_EH_PE_sdata4 */
	HDR_ENTRY = 8,
	PE_OMIT = 0xff,
};

/* ---- .eh_frame_hdr --------------------------------------------------------------- */

static uint64_t hdr_address(const struct cfi *cfi, size_t index, size_t field)
{
	struct cursor c = cfi_cursor(cfi, cfi->hdr_table + index * HDR_ENTRY + field, 4);

	return (cfi->hdr_vaddr + (uint64_t)(int32_t)cursor_u32(&c)) & cfi->mask;
}

static bool hdr_is_ascending(const struct cfi *cfi)
{
	for (size_t i = 1; i < cfi->hdr_count; i++) {
		if (hdr_address(cfi, i - 1, 0) > hdr_address(cfi, i, 0))
			return false;
	}
	return true;
}

static void hdr_open(struct cfi *cfi, const struct image_bytes *hdr)
{
	/* Addresses in the header are relative to the header. */
	struct cfi_section section = {.data = *hdr, .eh = true};
	struct cursor c = cfi_cursor(cfi, hdr->bytes, hdr->len);
	uint8_t version = cursor_u8(&c), frame_form = cursor_u8(&c), count_form = cursor_u8(&c);
	uint8_t table_form = cursor_u8(&c);
	uint64_t ignored, count;

	cfi->hdr_vaddr = hdr->vaddr;
	if (version != HDR_VERSION || table_form != HDR_TABLE_FORM || count_form == PE_OMIT ||
	    frame_form == PE_OMIT ||
	    !cfi_entry_pointer(cfi, &section, &c, frame_form, cfi->arch->word_size, &ignored) ||
	    !cfi_entry_pointer(cfi, &section, &c, count_form, cfi->arch->word_size, &count) ||
	    count == 0 || count > cursor_left(&c) / HDR_ENTRY)
		return;
	cfi->hdr_table = c.at;
	cfi->hdr_count = (size_t)count;
	if (!hdr_is_ascending(cfi))
		cfi->hdr_table = NULL;
}

/* The FDE of an entry; false: there is none that begins there. */
static bool hdr_fde(const struct cfi *cfi, size_t index, struct cfi_fde *ret)
{
	const struct cfi_section *section = &cfi->eh_frame;
	uint64_t offset = hdr_address(cfi, index, 4) - section->data.vaddr;

	return offset < section->data.len &&
	       !cfi_entry_fde(cfi, section, (size_t)offset, ret) &&
	       ret->begin == hdr_address(cfi, index, 0);
}

/* Whether every entry is true and no FDE is missing: what an address without an FDE
 * can't show by itself. */
static bool hdr_is_complete(const struct cfi *cfi)
{
	struct cfi_entry entry;
	struct cfi_fde fde;
	size_t count = 0;

	for (size_t i = 0; i < cfi->hdr_count; i++) {
		if (!hdr_fde(cfi, i, &fde))
			return false;
	}
	for (size_t at = 0; !cfi_entry_read(cfi, &cfi->eh_frame, at, &entry); at = entry.next)
		count += !entry.is_cie;
	return count <= cfi->hdr_count;
}

/* How many entries begin at or in front of vaddr. */
static size_t hdr_count_to(const struct cfi *cfi, uint64_t vaddr)
{
	return order_count(cfi->hdr_count, i, hdr_address(cfi, i, 0) <= vaddr);
}

/* -ENOENT: no FDE.  -EINVAL: the table lies. */
static int hdr_find(struct cfi *cfi, uint64_t vaddr, struct cfi_fde *ret)
{
	size_t low = hdr_count_to(cfi, vaddr);

	if (low && !hdr_fde(cfi, low - 1, ret))
		return -EINVAL;
	if (low && vaddr < ret->end)
		return 0;
	if (!cfi->hdr_complete && !hdr_is_complete(cfi))
		return -EINVAL;
	cfi->hdr_complete = true;
	return -ENOENT;
}

/* ---- the index ------------------------------------------------------------------- */

static int by_begin(const void *a, const void *b)
{
	const struct cfi_range *left = a, *right = b;

	return order_u64(left->begin, right->begin) ?: order_u64(left->offset, right->offset);
}

/* Linkers leave FDEs of dropped functions in .debug_frame, at address 0. */
static bool is_code(const struct cfi *cfi, uint64_t vaddr)
{
	size_t count;
	const struct image_segment *s;

	if (!cfi->image)
		return true;
	s = image_segments(cfi->image, &count);
	for (size_t i = 0; i < count; i++) {
		if ((s[i].flags & PF_X) && vaddr >= s[i].vaddr &&
		    vaddr - s[i].vaddr < s[i].mem_size)
			return true;
	}
	return false;
}

static void index_build(const struct cfi *cfi, const struct cfi_section *section,
			struct cfi_index *index)
{
	struct cfi_entry entry;
	struct cfi_fde fde;

	index->built = true;
	for (size_t at = 0; !cfi_entry_read(cfi, section, at, &entry); at = entry.next) {
		struct cfi_range range;

		if (entry.is_cie || cfi_entry_fde(cfi, section, at, &fde) ||
		    fde.begin == fde.end || !is_code(cfi, fde.begin))
			continue;
		range = (struct cfi_range){fde.begin, fde.end, at};
		if (!vec_push(&index->ranges, range))
			break;
	}
	if (index->ranges.len)
		qsort(index->ranges.at, index->ranges.len, sizeof(index->ranges.at[0]),
		      by_begin);
}

const struct cfi_index *cfi_table_index(const struct cfi *cfi,
					const struct cfi_section *section,
					struct cfi_index *index)
{
	if (!index->built && section->data.bytes)
		index_build(cfi, section, index);
	return index;
}

static size_t index_count_to(const struct cfi *cfi, const struct cfi_section *section,
			     struct cfi_index *index, uint64_t vaddr)
{
	return order_count(cfi_table_index(cfi, section, index)->ranges.len, i,
			   index->ranges.at[i].begin <= vaddr);
}

static int index_find(const struct cfi *cfi, const struct cfi_section *section,
		      struct cfi_index *index, uint64_t vaddr, struct cfi_fde *ret)
{
	size_t low = index_count_to(cfi, section, index, vaddr);

	if (low == 0 || vaddr >= index->ranges.at[low - 1].end)
		return -ENOENT;
	return cfi_entry_fde(cfi, section, index->ranges.at[low - 1].offset, ret);
}

/* ---- both ------------------------------------------------------------------------ */

void cfi_table_open(struct cfi *cfi)
{
	const struct image_bytes *hdr = image_eh_frame_hdr(cfi->image);

	if (hdr->bytes && cfi->eh_frame.data.bytes)
		hdr_open(cfi, hdr);
}

void cfi_table_close(struct cfi *cfi)
{
	vec_deinit(&cfi->eh_index.ranges);
	vec_deinit(&cfi->debug_index.ranges);
}

int cfi_table_find(struct cfi *cfi, uint64_t vaddr, struct cfi_fde *ret)
{
	int failed = -ENOENT;

	if (cfi_is_untrue(cfi, vaddr))
		return -EINVAL;
	if (cfi->hdr_table) {
		failed = hdr_find(cfi, vaddr, ret);
		if (failed == -EINVAL)
			cfi->hdr_table = NULL;
	}
	if (cfi->eh_frame.data.bytes && !cfi->hdr_table)
		failed = index_find(cfi, &cfi->eh_frame, &cfi->eh_index, vaddr, ret);
	if (failed == -ENOENT && cfi->debug_frame.data.bytes)
		failed = index_find(cfi, &cfi->debug_frame, &cfi->debug_index, vaddr, ret);
	return failed;
}

static bool index_begin(struct cfi *cfi, const struct cfi_section *section,
			struct cfi_index *index, uint64_t vaddr, uint64_t *ret)
{
	size_t count = section->data.bytes ? index_count_to(cfi, section, index, vaddr) : 0;

	if (count && index->ranges.at[count - 1].begin > *ret)
		*ret = index->ranges.at[count - 1].begin;
	return count;
}

bool cfi_begin(struct cfi *cfi, uint64_t vaddr, uint64_t *ret)
{
	size_t count = cfi->hdr_table ? hdr_count_to(cfi, vaddr) : 0;
	struct cfi_fde fde = {.begin = 0};
	bool found = count && hdr_fde(cfi, count - 1, &fde);

	*ret = found ? fde.begin : 0;
	if (!found && index_begin(cfi, &cfi->eh_frame, &cfi->eh_index, vaddr, ret))
		found = true;
	if (index_begin(cfi, &cfi->debug_frame, &cfi->debug_index, vaddr, ret))
		found = true;
	return found;
}

bool cfi_has_handlers(struct cfi *cfi, uint64_t vaddr)
{
	struct cfi_fde fde;

	return cfi_table_find(cfi, vaddr, &fde) == 0 && fde.handlers;
}
