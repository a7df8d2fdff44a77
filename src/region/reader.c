/*
 * The view: what says where things are is copied once, checked, and used from the copy alone;
 * what they hold is copied item by item, and the copy is checked.  So it does not matter what
 * the writer does in between.
 *
 *    count (acquired) --> items below it were filled before --> contexts before nodes: the
 *                                                               leaf of each is counted, too
 */
#include "region/reader.h"

#include "region/arrays.h"
#include "region/sequence.h"

enum { INVALID = -22, AGAIN = -11 }; /* EINVAL, EAGAIN: the same on every Linux */

static const uint32_t item_bytes[REGION_ARRAYS] = {
	[REGION_NODES] = sizeof(struct region_node),
	[REGION_CONTEXTS] = sizeof(struct region_context),
	[REGION_MODULES] = sizeof(struct region_module),
};

/* A u64 of the header, which may be changing. */
static uint64_t load64(const uint64_t *at)
{
	const uint32_t *half = (const uint32_t *)at;
	uint64_t first = __atomic_load_n(&half[0], __ATOMIC_RELAXED);
	uint64_t second = __atomic_load_n(&half[1], __ATOMIC_RELAXED);

	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? first | second << 32
							 : first << 32 | second;
}

/* Do the items of a segment that are counted lie within the region, behind its header? */
static bool segment_is_within(const struct reader_array *a, unsigned segment, uint64_t len)
{
	uint64_t begin = arrays_begin(a->first_bits, segment);
	uint64_t end = arrays_begin(a->first_bits, segment + 1);
	uint64_t offset = a->segment[segment];

	if (end > a->count)
		end = a->count;
	return offset % 8 == 0 && offset >= sizeof(struct region) && offset <= len &&
	       (end - begin) * a->item_bytes <= len - offset;
}

static bool array_open(struct reader_array *ret, const struct region_array *from,
		       enum region_array_id id, uint64_t len)
{
	ret->count = __atomic_load_n(&from->count, __ATOMIC_ACQUIRE);
	ret->first_bits = __atomic_load_n(&from->first_bits, __ATOMIC_RELAXED);
	ret->item_bytes = item_bytes[id];
	if (__atomic_load_n(&from->item_bytes, __ATOMIC_RELAXED) != item_bytes[id] ||
	    ret->first_bits < 4 || ret->first_bits > 31)
		return false;
	for (unsigned i = 0; i < REGION_SEGMENTS; i++) {
		ret->segment[i] = load64(&from->segment[i]);
		if (arrays_begin(ret->first_bits, i) < ret->count &&
		    !segment_is_within(ret, i, len))
			return false;
	}
	return !ret->count || arrays_segment(ret->first_bits, ret->count - 1) < REGION_SEGMENTS;
}

int reader_open(struct reader *ret, const void *base, uint64_t len)
{
	const struct region *region = base;

	if (len < sizeof(*region) || (uintptr_t)base % 8 ||
	    load64(&region->magic) != REGION_MAGIC)
		return INVALID;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (region->version != REGION_VERSION || region->header_bytes != sizeof(*region))
		return INVALID;
	ret->region = region;
	ret->clears = __atomic_load_n(&region->clears, __ATOMIC_ACQUIRE);
	if (!sequence_copy(&region->totals_sequence, &ret->totals, &region->totals,
			   sizeof(ret->totals), &ret->sequence))
		return AGAIN;
	/* Contexts first: see above. */
	if (!array_open(&ret->arrays[REGION_CONTEXTS], &region->arrays[REGION_CONTEXTS],
			REGION_CONTEXTS, len) ||
	    !array_open(&ret->arrays[REGION_NODES], &region->arrays[REGION_NODES], REGION_NODES,
			len) ||
	    !array_open(&ret->arrays[REGION_MODULES], &region->arrays[REGION_MODULES],
			REGION_MODULES, len))
		return INVALID;
	if (reader_node_count(ret) < WALK_ENDS || !reader_context_count(ret) ||
	    reader_module_count(ret) >= FRAME_INSTANCES)
		return INVALID;
	return 0;
}

uint32_t reader_node_count(const struct reader *reader)
{
	return reader->arrays[REGION_NODES].count;
}

uint32_t reader_context_count(const struct reader *reader)
{
	return reader->arrays[REGION_CONTEXTS].count;
}

uint32_t reader_module_count(const struct reader *reader)
{
	return reader->arrays[REGION_MODULES].count;
}

/* Item i, which is below the count. */
static const void *item_at(const struct reader *reader, enum region_array_id id, uint32_t i)
{
	const struct reader_array *a = &reader->arrays[id];
	unsigned segment = arrays_segment(a->first_bits, i);

	return (const uint8_t *)reader->region + a->segment[segment] +
	       (i - arrays_begin(a->first_bits, segment)) * a->item_bytes;
}

bool reader_node(const struct reader *reader, uint32_t node, struct region_node *ret)
{
	const struct region_node *at;

	if (node < WALK_ENDS || node >= reader_node_count(reader))
		return false;
	at = item_at(reader, REGION_NODES, node);
	ret->frame = load64(&at->frame);
	ret->parent = __atomic_load_n(&at->parent, __ATOMIC_RELAXED);
	ret->context = __atomic_load_n(&at->context, __ATOMIC_RELAXED);
	if (ret->context >= reader_context_count(reader))
		ret->context = 0;
	return ret->parent < node;
}

bool reader_context(const struct reader *reader, uint32_t id, struct region_context *ret)
{
	const struct region_context *at;

	if (id >= reader_context_count(reader))
		return false;
	at = item_at(reader, REGION_CONTEXTS, id);
	if (!sequence_copy(&at->sequence, ret, at, sizeof(*ret), NULL))
		return false;
	ret->sequence = 0;
	return ret->node < reader_node_count(reader) && ret->frees <= ret->allocs &&
	       ret->freed_bytes <= ret->allocated_bytes &&
	       ret->peak_bytes >= ret->allocated_bytes - ret->freed_bytes;
}

bool reader_module(const struct reader *reader, uint32_t instance, struct region_module *ret)
{
	const struct region_module *at;

	if (!instance || instance > reader_module_count(reader))
		return false;
	at = item_at(reader, REGION_MODULES, instance - 1);
	if (!sequence_copy(&at->sequence, ret, at, sizeof(*ret), NULL))
		return false;
	ret->sequence = 0;
	if (ret->path_len > sizeof(ret->path))
		ret->path_len = sizeof(ret->path);
	return ret->begin <= ret->end && ret->mapped <= 1 && ret->id_len <= sizeof(ret->id);
}

static bool add(uint64_t *sum, uint64_t value)
{
	return !__builtin_add_overflow(*sum, value, sum);
}

bool reader_sum(const struct reader *reader, const struct region_context *contexts,
		struct region_totals *totals)
{
	const struct region_totals *said = &reader->totals;
	struct region_totals sum = *said;

	sum.allocs = sum.frees = sum.allocated_bytes = sum.freed_bytes = 0;
	for (uint32_t i = 0; i < reader_context_count(reader); i++)
		if (!add(&sum.allocs, contexts[i].allocs) ||
		    !add(&sum.frees, contexts[i].frees) ||
		    !add(&sum.allocated_bytes, contexts[i].allocated_bytes) ||
		    !add(&sum.freed_bytes, contexts[i].freed_bytes))
			return false;
	if (reader_is_still(reader))
		sum.lost_events += sum.allocs != said->allocs || sum.frees != said->frees ||
				   sum.allocated_bytes != said->allocated_bytes ||
				   sum.freed_bytes != said->freed_bytes;
	if (sum.peak_bytes < sum.allocated_bytes - sum.freed_bytes)
		sum.peak_bytes = sum.allocated_bytes - sum.freed_bytes;
	if (sum.live_blocks > sum.allocs - sum.frees)
		sum.live_blocks = sum.allocs - sum.frees;
	*totals = sum;
	return true;
}

bool reader_is_still(const struct reader *reader)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&reader->region->totals_sequence, __ATOMIC_RELAXED) ==
	       reader->sequence;
}

bool reader_is_overtaken(const struct reader *reader)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&reader->region->clears, __ATOMIC_RELAXED) != reader->clears;
}
