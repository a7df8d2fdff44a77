/*
 * Inside the region: its header and the tables (see region.h for what they
 * hold, doc/region.md for the picture).  For region/'s own files only.
 *
 * All places are offsets from the region's base, which is where struct region is.
 */
#ifndef MEMTRACE_TABLES_H
#define MEMTRACE_TABLES_H

#include "region/region.h"

#define REGION_MAGIC   0x6e6f69676572746dull /* "mtregion", little-endian */
#define REGION_VERSION 4u

/* Memory is taken and given back in pieces of this: the largest page of any Linux. */
#define REGION_GRANULE 65536u

/* So much is given back at once: more would take more than some hundred microseconds. */
#define REGION_PIECE (16 * REGION_GRANULE)

/* From here on a range has room for arrays that never move. */
#define REGION_ROOMY (1ull << 36)

/* After a growth that failed, so many needs pass before it is tried again. */
#define REGION_PATIENCE 4096u

enum region_table_id {
	REGION_NODES,	      /* struct region_node[]; the first WALK_ENDS are the roots */
	REGION_INDEX,	      /* uint32_t[]: hash of {frame, parent} -> node; 0 is empty */
	REGION_INDEX_BEFORE,  /* the smaller one before it, until all nodes are in the new one;
				 count: those that are not */
	REGION_CONTEXTS,      /* struct region_context[]; [0] is the overflow context */
	REGION_BLOCKS,	      /* struct region_block[]: hash of the address; addr 0 is empty */
	REGION_BLOCKS_BEFORE, /* the smaller one before it, while it is emptied, then given back
			       */
	REGION_INNER, /* uint64_t[]: hash of the address of a block of an inner call; 0 is empty */
	REGION_TABLES
};

struct region_table {
	uint64_t offset;     /* of its first item */
	uint64_t bytes;	     /* committed for it: a multiple of REGION_GRANULE */
	uint32_t capacity;   /* items; of hash tables a power of two */
	uint32_t count;	     /* items in use */
	uint32_t item_bytes; /* of one item */
	uint32_t patience;   /* > 0: growth failed a while ago */
};

struct region {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
	struct region_totals totals;
	struct region_table tables[REGION_TABLES];
	struct {
		uint32_t start; /* a slot of REGION_BLOCKS_BEFORE that was free */
		uint32_t done;	/* slots from there on, wrapping, that were moved */
	} emptying;
	uint32_t indexed; /* nodes below are in REGION_INDEX, others in the one before, too */
	uint32_t reserved2;
};

_Static_assert(sizeof(struct region_node) == 16, "the region's layout is versioned");
_Static_assert(sizeof(struct region_context) == 56, "the region's layout is versioned");
_Static_assert(sizeof(struct region_block) == 24, "the region's layout is versioned");
_Static_assert(sizeof(struct region_totals) == 72, "the region's layout is versioned");
_Static_assert(sizeof(struct region_table) == 32, "the region's layout is versioned");
_Static_assert(sizeof(struct region) == 328, "the region's layout is versioned");

static inline void *tables_at(const struct region *region, enum region_table_id id)
{
	return (uint8_t *)region + region->tables[id].offset;
}

/*
 * Commits a place for `capacity` items of table `id`, zeroed, beside the present
 * one, and describes it in *ret (count 0).  False when there is no memory, or was
 * none a short while ago.
 */
bool tables_prepare(struct region *region, struct region_space *space, enum region_table_id id,
		    uint64_t capacity, struct region_table *ret);

/* Gives a piece of a table's memory back, the last one first; it holds nothing any more. */
void tables_give_back(struct region *region, struct region_space *space,
		      enum region_table_id id);

/* The new place becomes the table; the old one is given back. */
void tables_replace(struct region *region, struct region_space *space, enum region_table_id id,
		    const struct region_table *fresh);

/* Room for one item more in an array (nodes, contexts): an eighth more memory behind it where
 * that is free, else a copy of twice the size. */
bool tables_append(struct region *region, struct region_space *space, enum region_table_id id);

/* Spreads every bit of `key` over all bits; the high ones are the best. */
static inline uint64_t tables_hash(uint64_t key)
{
	key ^= key >> 32;
	key *= 0xd6e8feb86659fd93ull;
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15ull;
	return key;
}

#endif
