/* The table of recorder_preload.c, at an address that nothing else is at. */
#ifndef RECORDER_H
#define RECORDER_H

#include <stdint.h>

#define RECORDER_AT 0x7d0000000000u
enum { RECORDER_SHARDS = 1024, RECORDER_SLOTS = 8192 };

struct recorder_entry {
	uint64_t addr; /* 0: free */
	uint64_t size;
};

struct recorder_shard {
	_Atomic uint32_t lock;
	uint32_t count;
	struct recorder_entry at[RECORDER_SLOTS];
};

struct recorder {
	uint64_t full; /* a shard ran over: nothing here is true */
	struct recorder_shard shards[RECORDER_SHARDS];
};

#endif
