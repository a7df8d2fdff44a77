/*
 * .debug_cu_index of a .dwp (DWARF 5, 7.3.5.3; version 2, of GCC's DWARF 4, has other numbers
 * of sections):
 *
 *     version, columns, units, slots      u32 each (version 5: u16 and two bytes of padding)
 *     ids[slots]                          u64, 0 and row 0: free
 *     rows[slots]                         u32, from 1
 *     section[columns]                    u32: which section a column is about
 *     offset[units][columns]              u32
 *     length[units][columns]              u32
 *
 * The ids are a hash table; it is read from end to end, once a unit that is looked up.
 */
#include "serve/dwp_index.h"

#include "base/cursor.h"

enum { MAX_COLUMNS = 16 };

struct table {
	uint32_t version, columns, units, slots;
	struct cursor ids, rows, sections, offsets, lengths;
};

/* The next `len` bytes as a reader of their own. */
static struct cursor cut(struct cursor *c, uint64_t len)
{
	bool fits = !c->bad && len <= cursor_left(c);
	const uint8_t *at = fits ? cursor_bytes(c, (size_t)len) : c->at;

	c->bad |= !fits;
	return cursor_over(at, fits ? (size_t)len : 0);
}

static bool table_read(struct cursor *c, struct table *t)
{
	uint64_t cells;

	t->version = cursor_u32(c) & 0xffff;
	t->columns = cursor_u32(c);
	t->units = cursor_u32(c);
	t->slots = cursor_u32(c);
	cells = (uint64_t)t->units * t->columns;
	if ((t->version != 2 && t->version != 5) || t->columns > MAX_COLUMNS)
		return false;
	t->ids = cut(c, 8 * (uint64_t)t->slots);
	t->rows = cut(c, 4 * (uint64_t)t->slots);
	t->sections = cut(c, 4 * (uint64_t)t->columns);
	t->offsets = cut(c, 4 * cells);
	t->lengths = cut(c, 4 * cells);
	return !c->bad;
}

/* The row of an id, from 1; 0: it has none. */
static uint32_t row_of(struct table *t, uint64_t id)
{
	for (uint32_t i = 0; i < t->slots; i++) {
		uint32_t row = cursor_u32(&t->rows);
		if (cursor_u64(&t->ids) == id && row && row <= t->units)
			return row;
	}
	return 0;
}

static enum dwp_section section_of(uint32_t version, uint32_t number)
{
	switch (number) {
	case 1:
		return DWP_INFO;
	case 3:
		return DWP_ABBREV;
	case 4:
		return DWP_LINE;
	case 6:
		return DWP_STR_OFFSETS;
	case 8:
		return version == 5 ? DWP_RNGLISTS : DWP_SECTIONS;
	default:
		return DWP_SECTIONS;
	}
}

bool dwp_index_find(const uint8_t *bytes, size_t len, uint64_t id, struct dwp_unit *ret)
{
	struct cursor c = cursor_over(bytes, len);
	struct table t;
	uint32_t row;

	if (!table_read(&c, &t) || !(row = row_of(&t, id)))
		return false;
	cut(&t.offsets, 4 * (uint64_t)t.columns * (row - 1));
	cut(&t.lengths, 4 * (uint64_t)t.columns * (row - 1));
	*ret = (struct dwp_unit){};
	for (uint32_t i = 0; i < t.columns; i++) {
		enum dwp_section section = section_of(t.version, cursor_u32(&t.sections));
		uint32_t offset = cursor_u32(&t.offsets), length = cursor_u32(&t.lengths);

		if (section != DWP_SECTIONS) {
			ret->parts[section].offset = offset;
			ret->parts[section].len = length;
		}
	}
	return ret->parts[DWP_INFO].len && ret->parts[DWP_ABBREV].len;
}
