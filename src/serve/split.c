/*
 * -gsplit-dwarf leaves the functions of a unit in a file of the build, NAME.dwo, or (=single)
 * in the object file, or dwp has put all of them into one PROGRAM.dwp; the program has a
 * skeleton with the unit's id, its line table and its addresses (DWARF 5, 3.1.3 and 7.3).
 *
 * libdw 0.188 reads only the first of the three, opens it by itself, by whatever name the
 * program gives, and takes addresses for those of another unit when it is not there.  So the
 * parts that belong to the unit are looked for here, compared by its id, and given to libdw
 * as a file of that one unit (packed.h), its addresses among them:
 *
 *    of the split file     .debug_info  _abbrev  _str  _str_offsets  _line  _rnglists
 *    of the program        .debug_addr, cut where the unit's begin;  _line_str
 *
 * What libdw cannot know of such a unit is its base address, which is the skeleton's: lists of
 * ranges are read here.
 */
#include "serve/split.h"

#include <dwarf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/text.h"
#include "base/vec.h"
#include "serve/dwp_index.h"
#include "serve/file_index.h"
#include "serve/packed.h"
#include "serve/search.h"

enum { MAX_SPLIT_BYTES = 1 << 30 }; /* of one unit */

struct bytes {
	const uint8_t *at;
	size_t len;
};

struct split {
	struct packed packed;
	Dwarf *dwarf;
	Dwarf_Die tree;
	uint64_t base; /* of lists of ranges */
	uint8_t width; /* of an address */
	uint8_t offset_width;
	uint16_t version;
	struct bytes addresses;
	struct bytes ranges; /* .debug_rnglists, or .debug_ranges from the unit's on */
};

struct splits {
	struct search_dirs dirs;
	struct elffile *file;
	Elf *elf;		 /* that dw reads */
	struct elffile *package; /* PROGRAM.dwp; NULL: none, or not looked for yet */
	bool looked;
	VEC(struct split *) list;
};

struct splits *splits_create(const struct search_dirs *dirs, struct elffile *file, Dwarf *dw)
{
	struct splits *splits = calloc(1, sizeof(*splits));

	if (splits) {
		splits->dirs = *dirs;
		splits->file = file;
		splits->elf = dwarf_getelf(dw);
	}
	return splits;
}

static void split_destroy(struct split *split)
{
	dwarf_end(split->dwarf);
	packed_deinit(&split->packed);
	free(split);
}

void splits_destroy(struct splits *splits)
{
	if (!splits)
		return;
	for (size_t i = 0; i < splits->list.len; i++)
		split_destroy(splits->list.at[i]);
	vec_deinit(&splits->list);
	elffile_close(splits->package);
	free(splits);
}

/* ---- finding the file ------------------------------------------------------------------- */

static struct elffile *open_at(struct splits *s, struct files_where where, const char *path)
{
	struct elffile *file;

	return elffile_open(&s->dirs, where, path, NULL, &file, NULL) ? NULL : file;
}

/* PROGRAM.dwp, beside the program. */
static struct elffile *package(struct splits *s)
{
	char path[PATH_MAX];
	size_t len = s->file->at ? strlen(s->file->at) : 0;

	if (s->looked || !len || len + sizeof(".dwp") > sizeof(path))
		return s->package;
	s->looked = true;
	snprintf(path, sizeof(path), "%s.dwp", s->file->at);
	s->package = open_at(s, s->file->where, path);
	return s->package;
}

static const char *string_of(Dwarf_Die *die, unsigned v5, unsigned gnu)
{
	Dwarf_Attribute attribute;
	const char *text = dwarf_formstring(dwarf_attr(die, v5, &attribute));

	return text ? text : dwarf_formstring(dwarf_attr(die, gnu, &attribute));
}

/* Below the directories that are served: as each_suffix() finds sources. */
static struct elffile *open_served(struct splits *s, const char *path)
{
	struct files_where where = {FILES_SERVED, 0};
	struct elffile *file = NULL;

	for (; where.which < file_index_dirs(s->dirs.index) && !file; where.which++)
		for (const char *at = path; at && !file; at = strchr(at + 1, '/'))
			file = open_at(s, where, at);
	return file;
}

/* The file that a skeleton names: where it was compiled, or beside the program. */
static struct elffile *open_named(struct splits *s, const char *dir, const char *name)
{
	const char *at = s->file->at ? s->file->at : "", *slash = strrchr(at, '/');
	struct elffile *file;
	char path[PATH_MAX];

	if (*name == '/')
		snprintf(path, sizeof(path), "%s", name);
	else
		snprintf(path, sizeof(path), "%s/%s", dir ? dir : "", name);
	file = s->dirs.index ? open_served(s, path) : open_at(s, s->file->where, path);
	if (file)
		return file;
	snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash - at) + 1 : 0, at,
		 text_base_name(name));
	return open_at(s, s->file->where, path);
}

/* ---- the parts of a unit ---------------------------------------------------------------- */

enum { INFO, ABBREV, LINE, STR_OFFSETS, RNGLISTS, STR, LINE_STR, ADDR, PARTS };

static const char *const names[PARTS] = {
	".debug_info.dwo",	  ".debug_abbrev.dwo",	 ".debug_line.dwo",
	".debug_str_offsets.dwo", ".debug_rnglists.dwo", ".debug_str.dwo",
	".debug_line_str.dwo",	  ".debug_addr",
};

static struct bytes section(Elf *elf, const char *name)
{
	struct bytes bytes = {};

	bytes.at = elffile_section_plain(elf, name, &bytes.len);
	return bytes;
}

/* From `offset` on, at most len; nothing when it is not there. */
static struct bytes slice(struct bytes whole, uint64_t offset, uint64_t len)
{
	if (offset > whole.len || !whole.at)
		return (struct bytes){};
	return (struct bytes){whole.at + offset,
			      whole.len - offset < len ? whole.len - offset : (size_t)len};
}

/* The unit's own part of each section of a package. */
static bool cut_package(Elf *elf, uint64_t id, struct bytes parts[PARTS])
{
	struct bytes index = section(elf, ".debug_cu_index");
	struct dwp_unit unit;

	_Static_assert((int)DWP_INFO == INFO && (int)DWP_RNGLISTS == RNGLISTS, "in this order");
	if (!index.at || !dwp_index_find(index.at, index.len, id, &unit))
		return false;
	for (int i = 0; i < DWP_SECTIONS; i++)
		parts[i] = slice(parts[i], unit.parts[i].offset, unit.parts[i].len);
	return true;
}

static uint64_t number_of(Dwarf_Die *die, unsigned v5, unsigned gnu)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (dwarf_formudata(dwarf_attr(die, v5, &attribute), &value) == 0 ||
	    dwarf_formudata(dwarf_attr(die, gnu, &attribute), &value) == 0)
		return value;
	return 0;
}

/* Makes one file of the parts. */
static int pack(const struct bytes parts[PARTS], struct packed *ret)
{
	struct packed_piece pieces[PARTS];
	char plain[PARTS][32];
	size_t count = 0, sum = 0;

	for (int i = 0; i < PARTS; i++) {
		if (!parts[i].len)
			continue;
		snprintf(plain[i], sizeof(plain[i]), "%.*s",
			 (int)strcspn(names[i] + 1, ".") + 1, names[i]);
		pieces[count++] = (struct packed_piece){
			.name = plain[i], .bytes = parts[i].at, .len = parts[i].len};
		sum += parts[i].len;
	}
	return sum > MAX_SPLIT_BYTES ? -EFBIG : packed_create(pieces, count, ret);
}

/* The unit of this id among those that were packed. */
static bool find_tree(struct split *split, uint64_t id)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Half version;
	uint64_t unit_id;
	uint8_t type, width, offset_width;

	split->dwarf = dwarf_begin_elf(split->packed.elf, DWARF_C_READ, NULL);
	while (split->dwarf && dwarf_get_units(split->dwarf, cu, &cu, &version, &type,
					       &split->tree, NULL) == 0) {
		if (dwarf_cu_info(cu, NULL, NULL, NULL, NULL, &unit_id, &width, &offset_width))
			continue;
		if (version < 5) /* GCC's, before the standard had it */
			unit_id = number_of(&split->tree, DW_AT_GNU_dwo_id, DW_AT_GNU_dwo_id);
		else if (type != DW_UT_split_compile)
			continue;
		if (unit_id != id)
			continue;
		split->version = version;
		split->width = width;
		split->offset_width = offset_width;
		return width == 4 || width == 8;
	}
	return false;
}

/* The unit from one file; NULL: it does not have it. */
static struct split *from_file(struct splits *s, struct elffile *file, bool is_package,
			       Dwarf_Die *skeleton, uint64_t id)
{
	struct split *split = calloc(1, sizeof(*split));
	struct bytes parts[PARTS] = {};
	Elf *elf = packed_debug(file, NULL);

	if (!split || !elf) {
		free(split);
		return NULL;
	}
	for (int i = 0; i < ADDR; i++)
		parts[i] = section(elf, names[i]);
	split->addresses =
		slice(section(s->elf, ".debug_addr"),
		      number_of(skeleton, DW_AT_addr_base, DW_AT_GNU_addr_base), SIZE_MAX);
	parts[ADDR] = split->addresses;
	if (!parts[LINE_STR].len)
		parts[LINE_STR] = section(s->elf, ".debug_line_str");
	if ((is_package && !cut_package(elf, id, parts)) || pack(parts, &split->packed) ||
	    !find_tree(split, id)) {
		split_destroy(split);
		return NULL;
	}
	/* What was packed is a copy; what the lists of ranges are in, is in it or the program.
	 */
	split->ranges = split->version >= 5 ? section(split->packed.elf, ".debug_rnglists")
					    : slice(section(s->elf, ".debug_ranges"),
						    number_of(skeleton, DW_AT_GNU_ranges_base,
							      DW_AT_GNU_ranges_base),
						    SIZE_MAX);
	if (dwarf_lowpc(skeleton, &split->base))
		split->base = 0;
	return split;
}

struct split *split_open(struct splits *s, Dwarf_Die *skeleton, uint64_t id, struct err *why)
{
	const char *name = string_of(skeleton, DW_AT_dwo_name, DW_AT_GNU_dwo_name);
	const char *dir = string_of(skeleton, DW_AT_comp_dir, DW_AT_comp_dir);
	struct split *split = NULL;
	struct elffile *file;

	if (package(s))
		split = from_file(s, s->package, true, skeleton, id);
	file = split || !name ? NULL : open_named(s, dir, name);
	if (file) {
		split = from_file(s, file, false, skeleton, id);
		elffile_close(file);
	}
	if (!split || !vec_push(&s->list, split)) {
		err_set(why, -ENOENT,
			"%s: inlined functions are unknown: %s (split debug information) is "
			"%s",
			s->file->path, name ? name : "its .dwo",
			file ? "of another build" : "missing");
		if (split)
			split_destroy(split);
		return NULL;
	}
	return split;
}

static bool package_has(struct splits *s, uint64_t id)
{
	struct elffile *file = package(s);
	Elf *elf = file ? packed_debug(file, NULL) : NULL;
	struct bytes index = elf ? section(elf, ".debug_cu_index") : (struct bytes){};
	struct dwp_unit unit;

	return index.at && dwp_index_find(index.at, index.len, id, &unit);
}

bool split_is_there(struct splits *s, Dwarf_Die *skeleton, uint64_t id, struct err *why)
{
	const char *name = string_of(skeleton, DW_AT_dwo_name, DW_AT_GNU_dwo_name);
	const char *dir = string_of(skeleton, DW_AT_comp_dir, DW_AT_comp_dir);
	struct elffile *file = NULL;

	if (package_has(s, id) || (name && (file = open_named(s, dir, name)))) {
		elffile_close(file);
		return true;
	}
	err_set(why, -ENOENT,
		"%s: some inlined functions are unknown: %s (split debug information) is "
		"missing",
		s->file->path, name ? name : "a .dwo");
	return false;
}

Dwarf_Die split_tree(struct split *split)
{
	return split->tree;
}

/* ---- lists of ranges -------------------------------------------------------------------- */

struct list {
	const struct split *split;
	struct cursor at;
	uint64_t base;
	bool (*visit)(void *arg, uint64_t begin, uint64_t end);
	void *arg;
};

static uint64_t address(const struct split *split, uint64_t index)
{
	struct bytes at = index > SIZE_MAX / 8
				  ? (struct bytes){}
				  : slice(split->addresses, index * split->width, split->width);
	struct cursor c = cursor_over(at.at, at.len);

	return at.len == split->width ? cursor_uint(&c, split->width) : 0;
}

/* One entry of .debug_rnglists (DWARF 5, 7.25); false: the list has ended. */
static bool visit_entry(struct list *l)
{
	const struct split *split = l->split;
	struct cursor *c = &l->at;
	uint64_t begin = 0, end = 0;

	switch (cursor_u8(c)) {
	case DW_RLE_base_addressx:
		l->base = address(split, cursor_uleb(c));
		return !c->bad;
	case DW_RLE_startx_endx:
		begin = address(split, cursor_uleb(c));
		end = address(split, cursor_uleb(c));
		break;
	case DW_RLE_startx_length:
		begin = address(split, cursor_uleb(c));
		end = begin + cursor_uleb(c);
		break;
	case DW_RLE_offset_pair:
		begin = l->base + cursor_uleb(c);
		end = l->base + cursor_uleb(c);
		break;
	case DW_RLE_base_address:
		l->base = cursor_uint(c, split->width);
		return !c->bad;
	case DW_RLE_start_end:
		begin = cursor_uint(c, split->width);
		end = cursor_uint(c, split->width);
		break;
	case DW_RLE_start_length:
		begin = cursor_uint(c, split->width);
		end = begin + cursor_uleb(c);
		break;
	default:
		return false;
	}
	return !c->bad && l->visit(l->arg, begin, end);
}

/* One entry of .debug_ranges (DWARF 4, 2.17.3). */
static bool visit_pair(struct list *l)
{
	unsigned width = l->split->width;
	uint64_t begin = cursor_uint(&l->at, width), end = cursor_uint(&l->at, width);

	if (l->at.bad || (!begin && !end))
		return false;
	if (begin == UINT64_MAX >> (64 - 8 * width)) {
		l->base = end;
		return true;
	}
	return l->visit(l->arg, l->base + begin, l->base + end);
}

/* Where in split->ranges the attribute's list begins. */
static uint64_t list_offset(const struct split *split, Dwarf_Attribute *attribute)
{
	struct cursor c = cursor_over(split->ranges.at, split->ranges.len);
	struct cursor number = cursor_over(attribute->valp, 8); /* libdw has checked it */
	unsigned width, form = dwarf_whatform(attribute);
	uint64_t index;
	Dwarf_Word value;

	/* Not by dwarf_formudata(): it wants the list to be in the split file. */
	if (form == DW_FORM_sec_offset || form == DW_FORM_data4)
		return cursor_uint(&number, split->offset_width);
	if (form != DW_FORM_rnglistx)
		return UINT64_MAX;
	/* Length, version, address and segment size, count: then offsets from there on. */
	width = cursor_u32(&c) == UINT32_MAX ? 8 : 4;
	cursor_bytes(&c, (width == 8 ? 8 : 0) + 8);
	index = cursor_uleb(&number);
	if (c.bad || number.bad || index >= cursor_left(&c) / width)
		return UINT64_MAX;
	value = (Dwarf_Word)(c.at - split->ranges.at);
	cursor_bytes(&c, (size_t)index * width);
	return value + cursor_uint(&c, width);
}

void split_ranges(struct split *split, Dwarf_Die *die,
		  bool (*visit)(void *arg, uint64_t begin, uint64_t end), void *arg)
{
	struct list l = {.split = split, .base = split->base, .visit = visit, .arg = arg};
	Dwarf_Attribute attribute;
	Dwarf_Addr begin, end;
	struct bytes list;

	if (!dwarf_attr(die, DW_AT_ranges, &attribute)) {
		if (dwarf_lowpc(die, &begin) == 0 && dwarf_highpc(die, &end) == 0)
			visit(arg, begin, end);
		return;
	}
	list = slice(split->ranges, list_offset(split, &attribute), SIZE_MAX);
	l.at = cursor_over(list.at, list.len);
	while (split->version >= 5 ? visit_entry(&l) : visit_pair(&l))
		;
}
