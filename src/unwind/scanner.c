/*
 * A function's bounds are its symbol's, or those of the gap between what is known around it.
 *
 * A walk with all registers asks for the same few hundred call sites again and again, and
 * a scan follows a whole function.  So answers are kept, "not known" among them, each in
 * the one slot that its place hashes to; a later one with the same slot takes it.
 */
#include "unwind/scanner.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

enum { START_LEN = 64, FUNCTION_MAX = 1 << 17 };
enum { GAP_BEFORE = 1 << 16, GAP_BEHIND = 4096 };
enum { SLOT_BITS = 9 };

struct slot {
	uint64_t key; /* of the place; 0: empty */
	bool known;
	struct scan_frame frame;
};

struct scanner {
	struct image *image;
	const struct exidx *exidx;
	struct slot *slots; /* 1 << SLOT_BITS, made with the first answer */
	struct slot last;   /* where there is no memory for them */
};

/* The function around a place: its symbol, or that the program begins there. */
static bool function_at(const struct scanner *s, uint64_t vaddr, struct image_symbol *ret)
{
	uint64_t entry = image_entry(s->image);

	if (image_symbol_at(s->image, vaddr, ret) && ret->type == STT_FUNC && ret->size)
		return ret->size <= FUNCTION_MAX;
	*ret = (struct image_symbol){
		.value = entry & ~1ull, .size = START_LEN, .thumb = entry & 1};
	return entry && vaddr >= ret->value && vaddr - ret->value < START_LEN;
}

/* Code between what is known: ends of functions before, begins of functions behind. */
struct gap {
	uint64_t vaddr;
	uint64_t begin, end;
};

static bool gap_narrow(void *arg, const struct image_symbol *symbol)
{
	struct gap *gap = arg;
	uint64_t end = symbol->value + symbol->size;

	if (symbol->type != STT_FUNC)
		return false;
	if (symbol->value > gap->vaddr && symbol->value < gap->end)
		gap->end = symbol->value;
	if (end <= gap->vaddr && end > gap->begin)
		gap->begin = end;
	return false;
}

static bool gap_around(const struct scanner *s, uint64_t vaddr, struct gap *ret)
{
	struct gap gap = {.vaddr = vaddr};
	struct exidx_entry entry;
	size_t count;
	const struct image_segment *segments = image_segments(s->image, &count);

	for (size_t i = 0; i < count; i++) {
		if (!(segments[i].flags & PF_X) ||
		    vaddr - segments[i].vaddr >= segments[i].file_size)
			continue;
		gap.begin = segments[i].vaddr;
		gap.end = gap.begin + segments[i].file_size;
	}
	image_for_each_symbol(s->image, gap_narrow, &gap);
	if (s->exidx && exidx_find(s->exidx, vaddr, &entry)) {
		gap.begin = entry.begin > gap.begin ? entry.begin : gap.begin;
		gap.end = entry.end < gap.end ? entry.end : gap.end;
	}
	if (vaddr - gap.begin > GAP_BEFORE)
		gap.begin = (vaddr - GAP_BEFORE) & ~3ull;
	if (gap.end - vaddr > GAP_BEHIND)
		gap.end = vaddr + GAP_BEHIND;
	*ret = gap;
	return gap.begin <= vaddr && vaddr < gap.end;
}

/* By the code: from the function's begin, or from what looks like it. */
static int scan_code(const struct scanner *s, uint64_t vaddr, struct scan_function *f,
		     bool around, struct scan_frame *ret)
{
	uint8_t *code = malloc(f->len);
	int failed;

	if (!code)
		return -ENOENT;
	f->code = code;
	failed = image_read(s->image, f->begin, code, f->len);
	if (!failed)
		failed = around ? scan_find_around(f, vaddr, ret) : scan_find(f, vaddr, ret);
	free(code);
	return failed ? -ENOENT : 0;
}

/* Stands a call before a return address?  What a wrong step finds seldom does. */
static bool is_behind_call(const struct scanner *s, const struct unwinder_place *place)
{
	uint8_t code[4];

	return image_read(s->image, place->vaddr - sizeof(code), code, sizeof(code)) == 0 &&
	       scan_is_behind_call(code, place->thumb);
}

static int scan_place(const struct scanner *s, const struct unwinder_place *place,
		      struct scan_frame *ret)
{
	struct scan_function function = {.thumb = place->thumb};
	uint64_t vaddr = unwinder_lookup(place);
	struct image_symbol symbol;
	struct gap gap;

	if (!place->exact && !is_behind_call(s, place))
		return -ENOENT;
	if (function_at(s, vaddr, &symbol)) {
		if (!place->exact && place->thumb != symbol.thumb)
			return -ENOENT;
		function.begin = symbol.value;
		function.len = (size_t)symbol.size;
		function.thumb = symbol.thumb;
		return scan_code(s, vaddr, &function, false, ret);
	}
	if (!gap_around(s, vaddr, &gap))
		return -ENOENT;
	function.begin = gap.begin;
	function.len = (size_t)(gap.end - gap.begin);
	return scan_code(s, vaddr, &function, true, ret);
}

static uint64_t key_of(const struct unwinder_place *place)
{
	return place->vaddr << 2 | (uint64_t)place->exact << 1 | place->thumb;
}

static struct slot *slot_of(struct scanner *s, uint64_t key)
{
	if (!s->slots)
		s->slots = calloc(1u << SLOT_BITS, sizeof(*s->slots));
	return s->slots ? &s->slots[key * 0x9e3779b97f4a7c15ull >> (64 - SLOT_BITS)] : &s->last;
}

const struct scan_frame *scanner_find(struct scanner *s, const struct unwinder_place *place)
{
	uint64_t key = key_of(place);
	struct slot *slot;

	if (!s)
		return NULL;
	slot = slot_of(s, key);
	if (slot->key != key) {
		slot->known = scan_place(s, place, &slot->frame) == 0;
		slot->key = key;
	}
	return slot->known ? &slot->frame : NULL;
}

struct scanner *scanner_create(struct image *image, const struct exidx *exidx)
{
	struct scanner *scanner = calloc(1, sizeof(*scanner));

	if (!scanner)
		return NULL;
	scanner->image = image;
	scanner->exidx = exidx;
	return scanner;
}

void scanner_destroy(struct scanner *scanner)
{
	if (!scanner)
		return;
	free(scanner->slots);
	free(scanner);
}
