/*
 * What lies where in the region: the header, at its base, and the tables that it tells of.
 * doc/region.md has the picture.  For region/'s own files, and for who comes to a region that
 * another has made (reader.h).
 *
 * All places are offsets from the base; all fields have fixed width.  W: who writes it, R: who
 * reads it; "engine" is the one writer, "reader" anybody with reader.h, at any time.
 *
 * Order of publication: an item is filled before it is counted (`count`, released), a context
 * after the node that it names.  What a reader has seen counted stays where it is and, but for
 * counters, as it is.  Counters change under a sequence (sequence.h).
 */
#ifndef MEMTRACE_LAYOUT_H
#define MEMTRACE_LAYOUT_H

#include "region/region.h"

#define REGION_MAGIC   0x6e6f69676572746dull /* "mtregion", little-endian */
#define REGION_VERSION 7u

/* Memory is taken and given back in pieces of this: the largest page of any Linux. */
#define REGION_GRANULE 65536u

/* After a growth that failed, so many needs pass before it is tried again. */
#define REGION_RETRY_AFTER 4096u

/* ---- arrays: they grow, and nothing in them ever moves ----------------------- */

enum region_array_id {
	REGION_NODES,	 /* struct region_node[]; the first WALK_ENDS are the roots */
	REGION_CONTEXTS, /* struct region_context[]; [0] is the overflow context */
	REGION_MODULES,	 /* struct region_module[]; [i] is instance i + 1 */
	REGION_ARRAYS
};

/*
 * An array lies in segments, each as large as all before it together:
 *
 *    item   0 .. F-1 | F .. 2F-1 | 2F .. 4F-1 | 4F .. 8F-1 | ...      F = 1 << first_bits
 *    segment    0    |     1     |      2     |      3     |
 */
enum { REGION_SEGMENTS = 24 };

struct region_array {
	uint64_t segment[REGION_SEGMENTS]; /* W engine, R reader: offset of its first item; 0:
					      none */
	uint64_t bytes;	     /* W engine: committed for it, a multiple of REGION_GRANULE */
	uint64_t last_bytes; /* W, R engine: of that, in the last segment */
	uint32_t count;	   /* W engine (released), R reader (acquired): items that are filled */
	uint32_t capacity; /* W, R engine: items there is memory for */
	uint32_t item_bytes; /* W engine, R reader */
	uint32_t first_bits; /* W engine, R reader */
	uint32_t retry_in;   /* W, R engine: > 0: growth failed a while ago */
	uint32_t reserved;
};

/* ---- hash tables: the engine's own ------------------------------------------- */

enum region_table_id {
	REGION_INDEX,	      /* uint32_t[]: hash of {frame, parent} -> node; 0 is empty */
	REGION_INDEX_BEFORE,  /* the smaller one before it, until all nodes are in the new one;
				 count: those that are not */
	REGION_BLOCKS,	      /* struct region_block[]: hash of the address; addr 0 is empty */
	REGION_BLOCKS_BEFORE, /* the smaller one before it, while it is emptied, then given back
			       */
	REGION_INNER, /* uint64_t[]: hash of the address of a block of an inner call; 0 is empty
		       */
	REGION_TABLES
};

struct region_table {	     /* W, R engine alone: a table that doubles moves */
	uint64_t offset;     /* of its first item */
	uint64_t bytes;	     /* committed for it: a multiple of REGION_GRANULE */
	uint32_t capacity;   /* items; of hash tables a power of two */
	uint32_t count;	     /* items in use */
	uint32_t item_bytes; /* of one item */
	uint32_t retry_in;   /* > 0: growth failed a while ago */
};

struct region {
	uint64_t magic;	       /* W engine, last of all when it begins; R reader */
	uint32_t version;      /* of the layout; another one is not read */
	uint32_t header_bytes; /* sizeof(struct region) */

	/* Whose it is, and when: W engine (region_set_origin()), R who comes to it. */
	struct region_origin origin;
	uint32_t last_seen;	/* W engine: tick of the last allocation that was counted */
	uint32_t modules_epoch; /* W engine: how often modules came or went: what was learned of
				 * pcs before holds no more */

	uint32_t totals_sequence; /* W engine, R reader: of the totals; odd: they change */
	uint32_t clears;	  /* W engine, R reader: how often all counters went to zero */
	struct region_totals totals;

	struct region_array arrays[REGION_ARRAYS];
	struct region_table tables[REGION_TABLES];
	struct {		/* W, R engine */
		uint32_t start; /* a slot of REGION_BLOCKS_BEFORE that was free */
		uint32_t done;	/* slots from there on, wrapping, that were moved */
	} emptying;
	uint32_t indexed; /* W, R engine: nodes below are in REGION_INDEX, others in the one
			   * before, too */
	uint32_t reserved;
};

#define REGION_AT(field, at)                                                                   \
	_Static_assert(offsetof(struct region, field) == (at),                                 \
		       "the region's layout is versioned")
_Static_assert(sizeof(struct region_node) == 16, "the region's layout is versioned");
_Static_assert(sizeof(struct region_context) == 56, "the region's layout is versioned");
_Static_assert(sizeof(struct region_block) == 24, "the region's layout is versioned");
_Static_assert(sizeof(struct region_totals) == 72, "the region's layout is versioned");
_Static_assert(sizeof(struct region_module) == 512, "the region's layout is versioned");
_Static_assert(sizeof(struct region_origin) == 32, "the region's layout is versioned");
_Static_assert(sizeof(struct region_array) == 232, "the region's layout is versioned");
_Static_assert(sizeof(struct region_table) == 32, "the region's layout is versioned");
_Static_assert(offsetof(struct region_context, sequence) == 52, "versioned");
_Static_assert(offsetof(struct region_array, count) == 208, "versioned");
REGION_AT(version, 8);
REGION_AT(origin, 16);
REGION_AT(last_seen, 48);
REGION_AT(totals_sequence, 56);
REGION_AT(totals, 64);
REGION_AT(arrays, 136);
REGION_AT(tables, 832);
REGION_AT(emptying, 992);
_Static_assert(sizeof(struct region) == 1008, "the region's layout is versioned");

#endif
