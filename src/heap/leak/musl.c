/*
 * The blocks of musl's malloc (mallocng, since 1.2.1; src/malloc/mallocng/meta.h).
 *
 *   context (libc's .bss): secret ... meta_area_head
 *                                        |
 *   meta area (a page):  secret | next | nslots | meta, meta, meta ...
 *                                                  |  ^
 *   group (a mapping, or a slot of another group):  meta | slot 0 | slot 1 | ...
 *
 * Slot i of a group is free if bit i of avail_mask or freed_mask is set.  In front of a block
 * its slot's number, and how much of the slot's end was not asked for: so sizes are exact.
 * Everything has two ways: an area has the secret, a group leads back to its meta, a block has
 * its number.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "heap/leak/obtained_parts.h"
#include "heap/leak/parts.h"

enum {
	PAGE = 4096,
	UNIT = 16,
	AREAS_MAX = 1 << 20,
	SLOTS_MAX = 170,     /* metas of an area */
	RESERVED_NESTED = 6, /* p[-3] >> 5: the slot has a group in it; */
	RESERVED_MOVED = 7,  /* the block begins later in the slot */
};

/* In units (src/malloc/mallocng/malloc.c) */
static const uint16_t size_classes[] = {
	1,    2,    3,	  4,	5,    6,    7,	  8,	9,    10,   12,	  15,
	18,   20,   25,	  31,	36,   42,   50,	  63,	72,   84,   102,  127,
	146,  170,  204,  255,	292,  340,  409,  511,	584,  682,  818,  1023,
	1169, 1364, 1637, 2047, 2340, 2730, 3276, 4095, 4680, 5460, 6552, 8191,
};

struct musl {
	struct leak *leak;
	struct leak_allocator *allocator;
	struct reader *reader;
	unsigned word;
	uint64_t secret;
	taddr_t context; /* where the secret lies */
	taddr_t first_area, last_area;
	struct leak_arena arena;
	unsigned unborn; /* groups */
	unsigned excused; /* slots of the group that a call has in its hands: see group_walk() */
};

struct meta {
	taddr_t at, group;
	uint32_t free; /* a bit per slot */
	unsigned last, class;
	uint64_t pages; /* of the group's mapping; 0: it has none of its own */
	uint64_t stride;
};

static uint64_t u64_of(struct musl *m, taddr_t at)
{
	const uint8_t *bytes = reader_bytes(m->reader, at, sizeof(uint64_t));

	return bytes ? word_at(bytes, sizeof(uint64_t)) : 0;
}

/* ---- the context ---------------------------------------------------------------------- */

/* Is one at data + at?  `shift`: 1 where pagesize is a field (AArch64), else 0. */
static bool context_is_at(struct musl *m, const struct data *data, size_t at, unsigned shift)
{
	unsigned word = m->word;
	size_t init = at + 8 + shift * word, head = init + 8 + 5 * word;

	if (head + 2 * word > data->len || u32_at(data->bytes + init) != 1)
		return false;
	memcpy(&m->secret, data->bytes + at, sizeof(m->secret));
	m->context = data->begin + at;
	m->first_area = word_at(data->bytes + head, word);
	m->last_area = word_at(data->bytes + head + word, word);
	return m->secret && m->first_area && m->first_area % PAGE == 0 && m->last_area &&
	       m->last_area % PAGE == 0 && u64_of(m, m->first_area) == m->secret &&
	       u64_of(m, m->last_area) == m->secret;
}

static bool context_find(struct musl *m, const struct data *data)
{
	for (size_t at = -data->begin % 8; at + 8 <= data->len; at += 8)
		for (unsigned shift = 0; shift < 2; shift++)
			if (context_is_at(m, data, at, shift))
				return true;
	return false;
}

/* ---- a block --------------------------------------------------------------------------- */

/* Slot i's block.  False: none (a nested group, or one that is being made). */
static bool slot_read(struct musl *m, const struct meta *meta, unsigned i, taddr_t *block,
		      uint64_t *size, bool *nested)
{
	taddr_t start = meta->group + UNIT + i * meta->stride, end = start + meta->stride - 4;
	const uint8_t *head = reader_bytes(m->reader, start - 4, 4), *tail;
	uint64_t reserved;

	*block = start;
	if (head && head[1] >> 5 == RESERVED_MOVED) {
		*block += (head[2] | head[3] << 8) * UNIT;
		head = *block < end ? reader_bytes(m->reader, *block - 4, 4) : NULL;
	}
	if (!head || (head[1] & 31) != i)
		return false;
	reserved = head[1] >> 5;
	*nested = reserved == RESERVED_NESTED;
	if (reserved >= 5 && !*nested) {
		tail = reader_bytes(m->reader, end - 4, 4);
		if (!tail)
			return false;
		reserved = u32_at(tail);
	}
	if (!*nested && reserved > end - *block)
		return false;
	*size = end - *block - reserved;
	return true;
}

/*
 * (activate_group() takes the slots out of freed_mask, and puts them into avail_mask then: meanwhile they
 * look as if they were in use.  That is under the one lock.)
 */
static int group_walk(struct musl *m, const struct meta *meta)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i <= meta->last; i++) {
		taddr_t block;
		uint64_t size;
		bool nested = false;
		int code;

		if (meta->free >> i & 1) {
			leak_add_free(m->leak, &m->arena, meta->stride, 0, 0);
			continue;
		}
		if (!slot_read(m, meta, i, &block, &size, &nested)) {
			wrong++;
			continue;
		}
		code = nested ? 0 : leak_add(m->leak, block, size);
		if (code == -EEXIST || code == -EINVAL)
			return leak_refuse(m->allocator,
					   "two groups have the same slot at " TADDR_FORMAT,
					   block);
		if (code)
			return code;
		m->arena.used.blocks += !nested;
		m->arena.used.bytes += nested ? 0 : size;
	}
	m->allocator->in_flight += wrong;
	if (wrong > m->excused && leak_in_hand(m->leak, meta->at))
		m->excused = wrong;
	return 0;
}

/* ---- metas and areas ------------------------------------------------------------------- */

static bool meta_read(struct musl *m, taddr_t at, struct meta *ret)
{
	unsigned word = m->word;
	const uint8_t *bytes = reader_bytes(m->reader, at, 4 * word + 8);
	uint64_t bits;

	if (!bytes)
		return false;
	bits = word_at(bytes + 3 * word + 8, word);
	*ret = (struct meta){
		.at = at,
		.group = word_at(bytes + 2 * word, word),
		.free = u32_at(bytes + 3 * word) | u32_at(bytes + 3 * word + 4),
		.last = bits & 31,
		.class = bits >> 6 & 63,
		.pages = bits >> 12,
	};
	return true;
}

/*
 * A group that is new and has handed out nothing: its memory is mapped and the meta says where, but the
 * word that leads back is not there yet.  That is a write to a new page, in which a thread stands for
 * long, under the one lock: there is one such group at most.
 */
static bool is_unborn(struct musl *m, const struct meta *meta)
{
	taddr_t word;

	return !m->unborn && meta->group % PAGE == 0 && reader_word(m->reader, meta->group, &word) && !word;
}

static int meta_walk(struct musl *m, struct meta *meta)
{
	uint64_t length;
	int code;

	if (meta->pages && !meta->last)
		meta->stride = meta->pages * PAGE - UNIT;
	else if (meta->class < ARRAY_SIZE(size_classes))
		meta->stride = (uint64_t)size_classes[meta->class] * UNIT;
	else
		return leak_refuse(m->allocator, "a group of class %u", meta->class);
	length = meta->pages ? meta->pages * PAGE : UNIT + (meta->last + 1) * meta->stride;
	if (leak_in_hand(m->leak, meta->at) &&
	    !leak_doubt(m->leak, meta->group, meta->group + length))
		return -ENOMEM;
	if (reader_word_or_0(m->reader, meta->group) != meta->at || meta->group % UNIT ||
	    (meta->pages && (meta->last + 1) * meta->stride + UNIT > length))
		return leak_refuse(m->allocator,
				   "a group does not lead to its meta, at " TADDR_FORMAT,
				   meta->group);
	m->allocator->arenas++; /* groups */
	m->arena.system += meta->pages * PAGE;
	if (!(code = leak_note_heap(m->leak, meta->group, meta->group + length)))
		code = leak_tick(m->leak, LEAK_STEP_ENUMERATE, m->leak->pending, 0);
	return code ? code : group_walk(m, meta);
}

/* Where an area's metas begin, and how many of which size there are.  False: too many. */
static bool area_slots(struct musl *m, taddr_t area, taddr_t *first, unsigned *size,
		       uint32_t *slots)
{
	unsigned header = m->word == 8 ? 24 : 16;
	const uint8_t *bytes = reader_bytes(m->reader, area + 8 + m->word, 4);

	*first = area + header;
	*size = 4 * m->word + 8;
	*slots = bytes ? u32_at(bytes) : 0;
	return *slots <= SLOTS_MAX && header + *slots * *size <= PAGE;
}

static int area_walk(struct musl *m, taddr_t area)
{
	taddr_t first;
	unsigned size;
	uint32_t slots;

	if (!area_slots(m, area, &first, &size, &slots))
		return leak_refuse(m->allocator, "an area of %u metas at " TADDR_FORMAT, slots,
				   area);
	for (uint32_t i = 0; i < slots; i++) {
		struct meta meta;
		int code = 0;

		if (!meta_read(m, first + i * size, &meta) || !meta.group)
			continue;
		if (is_unborn(m, &meta))
			m->unborn++;
		else
			code = meta_walk(m, &meta);
		if (code || m->allocator->why[0])
			return code;
	}
	return leak_note_heap(m->leak, area, area + PAGE);
}

static int walk(struct musl *m)
{
	taddr_t area = m->first_area, last = 0;
	unsigned count = 0;

	for (; area; area = reader_word_or_0(m->reader, area + 8)) {
		int code;

		if (area % PAGE || u64_of(m, area) != m->secret || ++count > AREAS_MAX)
			return leak_refuse(m->allocator,
					   "the list of areas is broken at " TADDR_FORMAT,
					   area);
		code = area_walk(m, area);
		if (code || refused(m->allocator))
			return code;
		last = area;
	}
	m->allocator->in_flight += m->unborn;
	if (last != m->last_area)
		return leak_refuse(m->allocator, "the list of areas ends too early");
	/* (a slot is taken before it is filled in: one for each thread at most) */
	if (m->allocator->in_flight - m->excused > m->leak->in.thread_count)
		return leak_refuse(m->allocator, "%u slots are not as they should be",
				   m->allocator->in_flight);
	return leak_push(m->leak, &m->leak->arenas, m->arena) ? 0 : -ENOMEM;
}

int musl_enumerate(struct leak *leak, const struct data *data, struct leak_allocator *ret)
{
	struct musl m = {.leak = leak,
			 .allocator = ret,
			 .reader = &leak->jump,
			 .word = leak->in.cpu.word};

	if (!context_find(&m, data))
		return 0;
	m.arena.allocator = (uint32_t)leak->allocators.len;
	m.arena.addr = m.first_area;
	strcpy(ret->name, "musl");
	strcpy(ret->version, "1.2.1-");
	return walk(&m);
}

/* ---- what it has of the kernel ------------------------------------------------------ */

static bool read_obtained(struct leak *leak, const struct obtained_source *source, uint64_t *bytes)
{
	struct musl m = {.leak = leak, .reader = &leak->jump, .word = leak->in.cpu.word};
	taddr_t area;
	unsigned count = 0;

	m.secret = u64_of(&m, source->at[0]);
	for (area = source->at[1]; area; area = reader_word_or_0(m.reader, area + 8)) {
		taddr_t first;
		unsigned size;
		uint32_t slots;

		if (!m.secret || u64_of(&m, area) != m.secret || ++count > AREAS_MAX ||
		    !area_slots(&m, area, &first, &size, &slots))
			return false;
		*bytes += PAGE;
		for (uint32_t i = 0; i < slots; i++) {
			struct meta meta;

			if (meta_read(&m, first + i * size, &meta) && meta.group)
				*bytes += meta.pages * PAGE;
		}
	}
	return count;
}

bool musl_obtained(struct leak *leak, const struct data *data, struct obtained_source *ret)
{
	struct musl m = {.leak = leak, .reader = &leak->jump, .word = leak->in.cpu.word};

	if (!context_find(&m, data))
		return false;
	*ret = (struct obtained_source){read_obtained, {m.context, m.first_area}, NULL};
	return true;
}
