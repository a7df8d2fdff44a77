/*
 * From an address to functions and lines, with libdw.
 *
 * dwarf_addrdie() needs .debug_aranges, which clang leaves out, and dwarf_getscopes()
 * walks a unit's tree for every address.  So the ranges of all units are sorted once (a
 * few ms for a thousand units), and the tree of a unit that is hit is walked once, into
 *
 *    marks:  address ----> deepest scope from there on (-1: none), sorted by address
 *    scopes: function <- inlined call <- inlined call ...   (parent indexes)
 *
 * after which an address costs two binary searches and the chain's length.  What DWARF
 * says of inlining (DWARF 5, 3.3.8): frame k's function is the scope's name, its file and
 * line are where the scope inside it was called; the innermost one's come from the line
 * table.
 */
#include "serve/units.h"

#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"
#include "serve/demangle.h"
#include "serve/split.h"

enum {
	MAX_DEPTH = 256,  /* of DIEs within DIEs; deeper ones are left out */
	MAX_LOOKS = 4096, /* at the files of split units */
};

struct span { /* addresses that belong to a unit or a scope */
	uint64_t begin, end;
	int32_t owner;
	int32_t depth; /* a deeper one hides the others */
};

struct spans {
	VEC(struct span) list;
};

struct mark {
	uint64_t begin;
	int32_t owner; /* from here to the next mark; -1: nobody */
};

struct marks {
	VEC(struct mark) list;
};

struct scope {
	Dwarf_Die die;
	int32_t parent;	      /* the scope it was inlined into; -1: it is a real function */
	bool named;	      /* the names below are known */
	const char *function; /* demangled */
	const char *linkage;  /* as it stands in the file */
	char *owned;
};

struct unit {
	Dwarf_Die die;	     /* has the line table */
	Dwarf_Die tree;	     /* has the functions: the same, or the split unit of a skeleton */
	bool skeleton;	     /* until the tree is read */
	uint64_t id;	     /* of a skeleton */
	struct split *split; /* or NULL */
	bool read;
	VEC(struct scope) scopes;
	struct marks marks;
};

struct units {
	VEC(struct unit) list;
	struct splits *splits;
	struct marks marks;
};

/* ---- spans to marks --------------------------------------------------------------------- */

static int span_order(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return order_u64(x->begin, y->begin) ?: order_u64(y->end, x->end) ?: x->depth - y->depth;
}

static bool mark(struct marks *marks, uint64_t begin, int32_t owner)
{
	struct mark *last = marks->list.len ? &marks->list.at[marks->list.len - 1] : NULL;

	if (last && last->owner == owner)
		return true;
	if (last && last->begin == begin) {
		last->owner = owner;
		return true;
	}
	return vec_push(&marks->list, ((struct mark){begin, owner}));
}

/* Closes the open spans that end at or before `until`, marking who is left. */
static bool close_spans(struct marks *marks, struct spans *open, uint64_t until)
{
	bool ok = true;

	while (ok && open->list.len && open->list.at[open->list.len - 1].end <= until) {
		uint64_t end = open->list.at[open->list.len - 1].end;
		/* Those around it that end with it (or before: not well nested) go too. */
		while (open->list.len && open->list.at[open->list.len - 1].end <= end)
			open->list.len--;
		ok = mark(marks, end,
			  open->list.len ? open->list.at[open->list.len - 1].owner : -1);
	}
	return ok;
}

/* Sorts the spans, and flattens them: at each address the innermost one. */
static bool marks_build(struct marks *marks, struct spans *spans)
{
	struct spans open = {};
	bool ok = true;

	if (spans->list.len)
		qsort(spans->list.at, spans->list.len, sizeof(*spans->list.at), span_order);
	for (size_t i = 0; ok && i < spans->list.len; i++) {
		const struct span *span = &spans->list.at[i];
		ok = close_spans(marks, &open, span->begin) &&
		     mark(marks, span->begin, span->owner) && vec_push(&open.list, *span);
	}
	ok = ok && close_spans(marks, &open, UINT64_MAX);
	vec_deinit(&open.list);
	return ok;
}

static int32_t marks_find(const struct marks *marks, uint64_t address)
{
	size_t low = order_count(marks->list.len, i, marks->list.at[i].begin <= address);

	return low ? marks->list.at[low - 1].owner : -1;
}

/* Spans of one owner that are being added. */
struct adding {
	struct spans *spans;
	int32_t owner, depth;
	bool ok;
};

/* Discarded code has the address 0: nothing of a loaded file has. */
static bool span_add(void *arg, uint64_t begin, uint64_t end)
{
	struct adding *a = arg;

	if (begin && begin < end)
		a->ok = vec_push(&a->spans->list,
				 ((struct span){begin, end, a->owner, a->depth}));
	return a->ok;
}

/* Adds the addresses of a DIE. */
static bool spans_add(struct spans *spans, struct split *split, Dwarf_Die *die, int32_t owner,
		      int32_t depth)
{
	struct adding a = {spans, owner, depth, true};
	Dwarf_Addr base, begin, end;
	ptrdiff_t at = 0;

	if (split)
		split_ranges(split, die, span_add, &a);
	while (!split && a.ok && (at = dwarf_ranges(die, at, &base, &begin, &end)) > 0)
		span_add(&a, begin, end);
	return a.ok;
}

/* ---- one unit's tree ----------------------------------------------------------------------
 */

struct walk {
	struct unit *unit;
	struct spans spans;
	const void *reached; /* the last DIE visited: they are in the order of the walk */
	bool short_of_memory;
};

/* Adds a function or an inlined call; its index, or -1. */
static int32_t scope_add(struct walk *walk, Dwarf_Die *die, int32_t parent, int depth)
{
	int32_t index = (int32_t)walk->unit->scopes.len;

	if (vec_push(&walk->unit->scopes, ((struct scope){.die = *die, .parent = parent})) &&
	    spans_add(&walk->spans, walk->unit->split, die, index, depth))
		return index;
	walk->short_of_memory = true;
	return -1;
}

static bool has_code(Dwarf_Die *die)
{
	return dwarf_hasattr(die, DW_AT_low_pc) || dwarf_hasattr(die, DW_AT_ranges);
}

static void walk_children(struct walk *walk, Dwarf_Die *parent, int32_t scope, int depth)
{
	Dwarf_Die die;

	if (depth >= MAX_DEPTH || dwarf_child(parent, &die) != 0)
		return;
	do {
		int32_t inner = scope;

		/* A DW_AT_sibling that leads back to a child would double the walk. */
		if (walk->reached && die.addr <= walk->reached)
			return;
		walk->reached = die.addr;
		switch (dwarf_tag(&die)) {
		case DW_TAG_subprogram:
			if (!has_code(&die)) /* a declaration, or the abstract one */
				continue;
			inner = scope_add(walk, &die, -1, depth);
			break;
		case DW_TAG_inlined_subroutine:
			inner = scope_add(walk, &die, scope, depth);
			break;
		case DW_TAG_lexical_block:
		case DW_TAG_try_block:
		case DW_TAG_catch_block:
		case DW_TAG_namespace:
		case DW_TAG_module:
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
		case DW_TAG_enumeration_type:
			break;
		default:
			continue;
		}
		walk_children(walk, &die, inner, depth + 1);
	} while (!walk->short_of_memory && dwarf_siblingof(&die, &die) == 0);
}

/* The functions of a skeleton; without them it has lines. */
static void open_split(struct units *units, struct unit *unit, struct err *why)
{
	unit->skeleton = false;
	unit->split =
		units->splits ? split_open(units->splits, &unit->die, unit->id, why) : NULL;
	if (unit->split)
		unit->tree = split_tree(unit->split);
}

/* A unit whose tree can't be read whole has lines, and the functions found until then. */
static void unit_read(struct units *units, struct unit *unit)
{
	struct walk walk = {.unit = unit};

	unit->read = true;
	if (unit->skeleton)
		open_split(units, unit, NULL);
	/* An assembler makes functions of labels; the symbol table knows better names. */
	if (dwarf_srclang(&unit->tree) == DW_LANG_Mips_Assembler)
		return;
	walk_children(&walk, &unit->tree, -1, 0);
	marks_build(&unit->marks, &walk.spans);
	vec_deinit(&walk.spans.list);
}

/* ---- names and places ---------------------------------------------------------------------
 */

static const char *string_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;

	return dwarf_formstring(dwarf_attr_integrate(die, name, &attribute));
}

static void scope_name(struct scope *scope)
{
	if (scope->named)
		return;
	scope->named = true;
	scope->linkage = string_of(&scope->die, DW_AT_linkage_name);
	if (!scope->linkage)
		scope->linkage = string_of(&scope->die, DW_AT_MIPS_linkage_name);
	scope->owned = scope->linkage ? demangle(scope->linkage) : NULL;
	scope->function = scope->owned ? scope->owned : string_of(&scope->die, DW_AT_name);
	if (!scope->function)
		scope->function = scope->linkage;
}

static uint32_t number_of(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (dwarf_formudata(dwarf_attr(die, name, &attribute), &value) != 0)
		return 0;
	return value <= UINT32_MAX ? (uint32_t)value : 0;
}

/* Where an inlined call was written. */
static void call_site(struct unit *unit, struct scope *scope, struct wire_frame *ret)
{
	uint32_t number = number_of(&scope->die, DW_AT_call_file);
	Dwarf_Files *files;
	size_t count;

	ret->file = NULL;
	ret->line = number_of(&scope->die, DW_AT_call_line);
	/* File 0 is a file from DWARF 5 on; before, it is none, and libdw knows. */
	if (dwarf_hasattr(&scope->die, DW_AT_call_file) &&
	    (dwarf_getsrcfiles(&unit->tree, &files, &count) == 0 ||
	     dwarf_getsrcfiles(&unit->die, &files, &count) == 0) &&
	    number < count)
		ret->file = dwarf_filesrc(files, number, NULL, NULL);
}

static void line_of(struct unit *unit, uint64_t vaddr, struct wire_frame *ret)
{
	Dwarf_Line *line = dwarf_getsrc_die(&unit->die, vaddr);
	int number;

	ret->file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	ret->line =
		line && dwarf_lineno(line, &number) == 0 && number > 0 ? (uint32_t)number : 0;
}

size_t units_frames(struct units *units, uint64_t vaddr, struct wire_frame *ret, size_t max,
		    const char **linkage)
{
	int32_t index = marks_find(&units->marks, vaddr);
	struct unit *unit = index >= 0 ? &units->list.at[index] : NULL;
	size_t count = 0;

	if (linkage)
		*linkage = NULL;
	if (!unit)
		return 0;
	if (!unit->read)
		unit_read(units, unit);
	ret[0] = (struct wire_frame){};
	line_of(unit, vaddr, &ret[0]);
	index = marks_find(&unit->marks, vaddr);
	while (index >= 0) {
		struct scope *scope = &unit->scopes.at[index];
		scope_name(scope);
		ret[count].function = scope->function;
		ret[count].inlined = scope->parent >= 0;
		if (linkage)
			*linkage = scope->linkage;
		count++;
		if (scope->parent < 0 || count == max)
			return count;
		ret[count] = (struct wire_frame){};
		call_site(unit, scope, &ret[count]);
		index = scope->parent;
	}
	return ret[0].file ? 1 : 0;
}

/* ---- the units of a file --------------------------------------------------------------------
 */

static bool unit_add(struct units *units, struct spans *spans, Dwarf_CU *cu, Dwarf_Die *die,
		     bool skeleton)
{
	struct unit unit = {.die = *die, .tree = *die, .skeleton = skeleton};
	int32_t index = (int32_t)units->list.len;
	size_t before = spans->list.len;

	if (skeleton)
		dwarf_cu_info(cu, NULL, NULL, NULL, NULL, &unit.id, NULL, NULL);
	if (!spans_add(spans, NULL, die, index, 0))
		return false;
	return spans->list.len == before || vec_push(&units->list, unit);
}

/* Whether the units that were split off are there must be known before anybody asks: the first
 * is read, of the others it is seen whether their files are there. */
static void try_split(struct units *units, struct err *missing)
{
	unsigned seen = 0;

	missing->code = 0;
	for (size_t i = 0; i < units->list.len && !missing->code && seen < MAX_LOOKS; i++) {
		struct unit *unit = &units->list.at[i];

		if (!unit->skeleton || !units->splits)
			continue;
		if (!seen++)
			open_split(units, unit, missing);
		else
			split_is_there(units->splits, &unit->die, unit->id, missing);
	}
}

int units_create(Dwarf *dw, struct splits *splits, struct units **ret, struct err *missing,
		 struct err *err)
{
	struct units *units = calloc(1, sizeof(*units));
	struct spans spans = {};
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;
	uint8_t type;
	bool ok = units;

	if (!units) {
		splits_destroy(splits);
		return err_set(err, -ENOMEM, "no memory for the index of units");
	}
	units->splits = splits;
	while (ok && dwarf_get_units(dw, cu, &cu, NULL, &type, &die, NULL) == 0)
		if (type == DW_UT_compile || type == DW_UT_skeleton)
			ok = unit_add(units, &spans, cu, &die, type == DW_UT_skeleton);
	ok = ok && marks_build(&units->marks, &spans);
	vec_deinit(&spans.list);
	if (!ok || !units->list.len) {
		units_destroy(units);
		return ok ? err_set(err, -ENOENT, "no unit says where its code is")
			  : err_set(err, -ENOMEM, "no memory for the index of units");
	}
	try_split(units, missing);
	*ret = units;
	return 0;
}

void units_destroy(struct units *units)
{
	if (!units)
		return;
	for (size_t i = 0; i < units->list.len; i++) {
		struct unit *unit = &units->list.at[i];
		for (size_t k = 0; k < unit->scopes.len; k++)
			free(unit->scopes.at[k].owned);
		vec_deinit(&unit->scopes);
		vec_deinit(&unit->marks.list);
	}
	vec_deinit(&units->list);
	vec_deinit(&units->marks.list);
	splits_destroy(units->splits);
	free(units);
}
