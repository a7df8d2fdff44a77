/*
 * Inside heap/: how a snapshot file is laid out, which doc/snapshot.md draws.  Numbers here are
 * never used again for something else; a record grows at its end.
 */
#ifndef MEMTRACE_SNAPSHOT_LAYOUT_H
#define MEMTRACE_SNAPSHOT_LAYOUT_H

#include "elf/module_id.h"
#include "region/walk.h"

/* (as PNG's: a transfer that changes bytes or line ends is noticed) */
#define LAYOUT_MAGIC "\x89MTS\r\n\x1a\n"

enum {
	LAYOUT_MAGIC_BYTES = 8,
	LAYOUT_VERSION = 1,
	LAYOUT_HEADER = 16,	    /* magic, version u32, zero u32 */
	LAYOUT_SECTION_HEADER = 16, /* type u32, bytes of a record u32, bytes of all u64 */
	LAYOUT_FIRST_NODE = 32,	    /* numbers below are ends of stacks */
	LAYOUT_MAX_RECORD = 4096,
};

enum layout_section {
	LAYOUT_END = 0,
	LAYOUT_TEXTS = 1,
	LAYOUT_PROCESS = 2,
	LAYOUT_ARGUMENTS = 3,
	LAYOUT_MODULES = 4,
	LAYOUT_FRAMES = 5,
	LAYOUT_LINES = 6,
	LAYOUT_NODES = 7,
	LAYOUT_CONTEXTS = 8,
	LAYOUT_THREADS = 9,
	LAYOUT_NOT_FOLLOWED = 10,
	LAYOUT_MAPPINGS = 11,
	LAYOUT_HISTORY = 12,
	LAYOUT_GENERATIONS = 13,
	LAYOUT_CHANGES = 14,
	LAYOUT_BIRTHS = 15,
	LAYOUT_MARKS = 16,
	LAYOUT_MARK_CHANGES = 17,
	LAYOUT_SECTIONS /* how many of them are known here */
};

/* Bytes of a record, in version 1. */
enum {
	LAYOUT_END_RECORD = 8,
	LAYOUT_PROCESS_RECORD = 192,
	LAYOUT_ARGUMENT_RECORD = 4,
	LAYOUT_MODULE_RECORD = 176,
	LAYOUT_FRAME_RECORD = 16,
	LAYOUT_LINE_RECORD = 32,
	LAYOUT_NODE_RECORD = 8,
	LAYOUT_CONTEXT_RECORD = 56,
	LAYOUT_THREAD_RECORD = 32,
	LAYOUT_NOT_FOLLOWED_RECORD = 16,
	LAYOUT_HISTORY_RECORD = 80,
	LAYOUT_GENERATION_RECORD = 16,
	LAYOUT_MAPPING_RECORD = 24,
	LAYOUT_MARK_RECORD = 64,
};

enum {
	LAYOUT_PROCESS_RUNNING = 1,
	LAYOUT_PROCESS_NO_ALLOCATOR = 2,
	LAYOUT_PROCESS_MAPS_FOLLOWED = 4,
	LAYOUT_PROCESS_OWN_HEAP_OFF = 8,
};
enum { LAYOUT_MODULE_MAPPED = 1, LAYOUT_MODULE_DELETED = 2 };
enum { LAYOUT_LINE_INLINED = 1 };
enum { LAYOUT_MARK_NUMBERED = 1 };

/* The ends of stacks have the numbers of enum walk_end. */
_Static_assert(WALK_ROOT == 0 && WALK_DEPTH == 1 && WALK_NO_DATA == 2 && WALK_NO_MODULE == 3 &&
		       WALK_UNREADABLE == 4 && WALK_LOOP == 5 && WALK_FULL == 6 &&
		       WALK_LOST == 7 && WALK_NO_CODE == 8 && WALK_ALONE == 9 &&
		       (int)WALK_ENDS <= (int)LAYOUT_FIRST_NODE,
	       "doc/snapshot.md has these numbers");
_Static_assert(MODULE_ID_BUILD_ID == 64 && MODULE_ID_FINGERPRINT == 40,
	       "LAYOUT_MODULE_RECORD holds them");

/* CRC-32 (ISO 3309, as zlib and PNG have it), continued from `crc`, which begins as 0. */
struct layout_crc {
	uint32_t table[256];
};
void layout_crc_init(struct layout_crc *crc);
uint32_t layout_crc_add(const struct layout_crc *crc, uint32_t before, const uint8_t *bytes,
			size_t len);

#endif
