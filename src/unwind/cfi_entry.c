/*
 * CIEs and FDEs.  DWARF 5, 6.4.1 and 7.24; LSB 5, "Exception Frames".
 *
 *   CIE  [length][id][version][augmentation\0][v4: address, segment size][code align][data
 * align] [ra register][z: length, then as its letters say][instructions] FDE
 * [length][CIE][begin][range][z: length, LSDA][instructions]
 *
 * The two sections differ: in .eh_frame the id of a CIE is 0 and an FDE's CIE field
 * counts backwards from itself; in .debug_frame it is all ones, and an offset in
 * the section.  A length of 0xffffffff announces the 64-bit form.
 */
#include <errno.h>
#include <string.h>

#include "unwind/cfi_parts.h"

enum { /* DW_EH_PE_* */
       PE_ABSPTR = 0x00,
       PE_ULEB128 = 0x01,
       PE_UDATA2 = 0x02,
       PE_UDATA4 = 0x03,
       PE_UDATA8 = 0x04,
       PE_SIGNED = 0x08,
       PE_SLEB128 = 0x09,
       PE_SDATA2 = 0x0a,
       PE_SDATA4 = 0x0b,
       PE_SDATA8 = 0x0c,
       PE_FORMAT = 0x0f,
       PE_PCREL = 0x10,
       PE_TEXTREL = 0x20,
       PE_DATAREL = 0x30,
       PE_FUNCREL = 0x40,
       PE_ALIGNED = 0x50,
       PE_RELATIVE = 0x70,
       PE_INDIRECT = 0x80,
       PE_OMIT = 0xff,
};

/* Each FDE's reading begins with that of its CIE, so a long one would be read a million times.
 * Real ones have 20 to 40 bytes. */
enum { LIMIT_CIE = 1024 };

int cfi_entry_read(const struct cfi *cfi, const struct cfi_section *section, size_t offset,
		   struct cfi_entry *ret)
{
	struct cursor c;
	uint64_t length, id, cie_id;
	size_t id_at;

	if (offset >= section->data.len)
		return -ENOENT;
	c = cfi_cursor(cfi, section->data.bytes + offset, section->data.len - offset);
	ret->offset_size = 4;
	length = cursor_u32(&c);
	if (length == UINT32_MAX) {
		ret->offset_size = 8;
		length = cursor_u64(&c);
	}
	if (c.bad || length > cursor_left(&c))
		return -EINVAL;
	if (length == 0)
		return -ENOENT;
	c.end = c.at + length;
	id_at = (size_t)(c.at - section->data.bytes);
	/* .eh_frame has 4-byte ids in either form. */
	id = cursor_uint(&c, section->eh ? 4 : ret->offset_size);
	cie_id = section->eh ? 0 : ret->offset_size == 4 ? UINT32_MAX : UINT64_MAX;
	ret->offset = offset;
	ret->next = id_at + length;
	ret->is_cie = id == cie_id;
	ret->cie_offset = 0;
	if (c.bad)
		return -EINVAL;
	if (!ret->is_cie) {
		if (section->eh ? id > id_at : id > section->data.len)
			return -EINVAL;
		ret->cie_offset = (size_t)(section->eh ? id_at - id : id);
	}
	ret->body = c;
	return 0;
}

/* The number itself, without what it is relative to. */
static bool read_number(struct cursor *c, uint8_t format, uint8_t address_size, uint64_t *ret)
{
	switch (format) {
	case PE_ABSPTR:
	case PE_SIGNED:
		if (address_size != 4 && address_size != 8)
			return false;
		*ret = cursor_uint(c, address_size);
		break;
	case PE_ULEB128:
		*ret = cursor_uleb(c);
		break;
	case PE_UDATA2:
		*ret = cursor_u16(c);
		break;
	case PE_UDATA4:
		*ret = cursor_u32(c);
		break;
	case PE_UDATA8:
	case PE_SDATA8:
		*ret = cursor_u64(c);
		break;
	case PE_SLEB128:
		*ret = (uint64_t)cursor_sleb(c);
		break;
	case PE_SDATA2:
		*ret = (uint64_t)(int16_t)cursor_u16(c);
		break;
	case PE_SDATA4:
		*ret = (uint64_t)(int32_t)cursor_u32(c);
		break;
	default:
		return false;
	}
	return !c->bad;
}

bool cfi_entry_pointer(const struct cfi *cfi, const struct cfi_section *section,
		       struct cursor *c, uint8_t encoding, uint8_t address_size, uint64_t *ret)
{
	uint64_t at = section->data.vaddr + (uint64_t)(c->at - section->data.bytes), base = 0;

	switch (encoding & PE_RELATIVE) {
	case 0:
		break;
	case PE_PCREL:
		base = at;
		break;
	case PE_DATAREL: /* of the exception tables: .eh_frame_hdr */
		base = cfi->hdr_vaddr;
		break;
	case PE_ALIGNED:
		cursor_bytes(c, (address_size - at % address_size) % address_size);
		break;
	case PE_TEXTREL: /* what LuaJIT shows to debuggers */
		base = cfi->text;
		if (!base)
			return false;
		break;
	default: /* funcrel: nothing writes it into an FDE's address */
		return false;
	}
	if (!read_number(c, encoding & PE_FORMAT, address_size, ret))
		return false;
	*ret = (*ret + base) & cfi->mask;
	return true;
}

/* A pointer whose value is of no interest (personality, LSDA), but whether there is one: 0 is
 * none, whatever it is relative to. */
static bool skip_pointer(const struct cfi_section *section, struct cursor *c, uint8_t encoding,
			 uint8_t address_size, bool *is_there)
{
	uint64_t at = section->data.vaddr + (uint64_t)(c->at - section->data.bytes), value = 0;

	*is_there = false;
	if (encoding == PE_OMIT)
		return true;
	if ((encoding & PE_RELATIVE) == PE_ALIGNED)
		cursor_bytes(c, (address_size - at % address_size) % address_size);
	if (!read_number(c, encoding & PE_FORMAT, address_size, &value))
		return false;
	*is_there = value != 0;
	return true;
}

/* The letters behind 'z'. */
static int parse_augmentation(const struct cfi_section *section, const char *letters,
			      struct cursor *c, struct cfi_cie *cie)
{
	uint64_t length = cursor_uleb(c);
	const uint8_t *end;
	uint8_t encoding;
	bool ignored;

	if (c->bad || length > cursor_left(c))
		return -EINVAL;
	end = c->at + length;
	cie->has_length = true;
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->encoding = cursor_u8(c);
			break;
		case 'L':
			cie->lsda_encoding = cursor_u8(c);
			break;
		case 'P':
			encoding = cursor_u8(c);
			if (!skip_pointer(section, c, encoding, cie->address_size, &ignored))
				return -EINVAL;
			break;
		case 'S':
			cie->signal = true;
			break;
		default: /* 'B', 'G' have no data; what isn't known is passed over by length */
			break;
		}
	}
	if (c->bad || c->at > end)
		return -EINVAL;
	c->at = end;
	return 0;
}

static int parse_cie(const struct cfi *cfi, const struct cfi_section *section, size_t offset,
		     struct cfi_cie *ret)
{
	struct cfi_entry entry;
	struct cursor *c = &entry.body;
	const char *augmentation;
	uint8_t version;

	if (cfi_entry_read(cfi, section, offset, &entry) || !entry.is_cie ||
	    cursor_left(c) > LIMIT_CIE)
		return -EINVAL;
	*ret = (struct cfi_cie){.offset = offset,
				.address_size = cfi->arch->word_size,
				.lsda_encoding = PE_OMIT};
	version = cursor_u8(c);
	augmentation = cursor_string(c);
	if (!augmentation || (version != 1 && version != 3 && version != 4))
		return -EINVAL;
	if (!strncmp(augmentation, "eh", 2)) { /* gcc 2: a pointer to its own tables */
		cursor_bytes(c, ret->address_size);
		augmentation += 2;
	}
	if (version >= 4) {
		ret->address_size = cursor_u8(c);
		ret->segment_size = cursor_u8(c);
	}
	ret->code_align = cursor_uleb(c);
	ret->data_align = cursor_sleb(c);
	ret->ra_reg = version == 1 ? cursor_u8(c) : cursor_uleb(c);
	if (c->bad || (ret->address_size != 4 && ret->address_size != 8) ||
	    ret->segment_size > 8)
		return -EINVAL;
	if (*augmentation == 'z') {
		if (parse_augmentation(section, augmentation + 1, c, ret))
			return -EINVAL;
	} else if (*augmentation) {
		return -EINVAL; /* without its length it can't be passed over */
	}
	ret->program = c->at;
	ret->end = c->end;
	return 0;
}

int cfi_entry_fde(const struct cfi *cfi, const struct cfi_section *section, size_t offset,
		  struct cfi_fde *ret)
{
	struct cfi_entry entry;
	struct cursor *c = &entry.body;
	uint64_t range, length;

	if (cfi_entry_read(cfi, section, offset, &entry) || entry.is_cie ||
	    parse_cie(cfi, section, entry.cie_offset, &ret->cie))
		return -EINVAL;
	ret->section = section;
	cursor_bytes(c, ret->cie.segment_size);
	if ((ret->cie.encoding & PE_INDIRECT) ||
	    !cfi_entry_pointer(cfi, section, c, ret->cie.encoding, ret->cie.address_size,
			       &ret->begin) ||
	    !read_number(c, ret->cie.encoding & PE_FORMAT, ret->cie.address_size, &range) ||
	    range > cfi->mask - ret->begin)
		return -EINVAL;
	ret->end = ret->begin + range;
	ret->handlers = false;
	if (ret->cie.has_length) {
		struct cursor data;

		length = cursor_uleb(c);
		data = *c;
		cursor_bytes(c, length);
		skip_pointer(section, &data, ret->cie.lsda_encoding, ret->cie.address_size,
			     &ret->handlers);
	}
	if (c->bad)
		return -EINVAL;
	ret->program = c->at;
	ret->program_end = c->end;
	return 0;
}
