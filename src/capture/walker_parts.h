/* What the walker's files share: what is known of a pc (walker_rows.c), and the walk over it. */
#ifndef MEMTRACE_WALKER_PARTS_H
#define MEMTRACE_WALKER_PARTS_H

#include "capture/walker.h"

/* A pc that is met for the first time; it is known from now on. */
__attribute__((noinline)) const struct row *walker_learn(struct walker *walker, uint64_t pc,
							 bool exact, frame_t *frame);
/* A pc in displaced code is the pc of the original; but the trap's return address, where the
 * copy begins, is the stub's. */
uint64_t walker_original_pc(const struct walker *walker, uint64_t pc, bool exact);
/* What the program shows of generated code is looked at anew: rows of it may hold no more. */
void walker_look_at_objects(struct walker *walker);
/* How the module around a pc is unwound, and which place in it that is.  False: by no
 * data. */
bool walker_place_find(struct walker *walker, const struct module *module, uint64_t pc,
		       bool exact, bool thumb, struct unwinder_place *place,
		       struct unwinder **ret);

/* Where the key is, or would be. */
static inline struct walker_entry *walker_slot(struct walker_entry *cache, uint32_t len,
					       uint64_t key)
{
	uint32_t at = (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & (len - 1);

	while (cache[at].key && cache[at].key != key)
		at = (at + 1) & (len - 1);
	return &cache[at];
}

/* The row and the frame of a pc, as struct walk_ops asks for it; arg: the walker. */
static inline const struct row *walker_row(void *arg, uint64_t pc, uint64_t lookup_pc,
					   frame_t *frame)
{
	struct walker *walker = arg;
	uint64_t key = pc * 2 + (pc == lookup_pc);
	const struct walker_entry *entry;

	if (walker->cache_len) {
		entry = walker_slot(walker->cache, walker->cache_len, key);
		if (entry->key == key) {
			*frame = entry->frame;
			return &entry->row;
		}
	}
	return walker_learn(walker, pc, pc == lookup_pc, frame);
}

#endif
