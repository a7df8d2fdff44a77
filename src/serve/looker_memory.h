/*
 * The memory, and the files, of a process on a client's machine: fetched as they are needed, in
 * chunks, of which as many are kept as a limit allows.
 */
#ifndef MEMTRACE_LOOKER_MEMORY_H
#define MEMTRACE_LOOKER_MEMORY_H

#include "base/memory.h"
#include "elf/maps.h"
#include "symbols/channel.h"

/* The client, as one that looks sees it.  Whatever it breaks ends this process. */
struct looker_wire {
	struct channel channel;
	uint32_t request;
	int64_t told_at;
};

/* What was fetched: in the channel, until the next call. */
struct cursor looker_fetch(struct looker_wire *wire, const struct wire_fetch *what);
/* Sends what waits. */
void looker_send(struct looker_wire *wire);
_Noreturn void looker_gone(void);

struct looker_chunk {
	uint32_t of; /* 0: the process; else the file of a module */
	uint32_t len; /* 0: not all of it can be read */
	taddr_t at;
	uint8_t *bytes; /* NULL: the place is free */
};

struct looker_memory {
	struct looker_wire *wire;
	const struct maps *maps;
	uint64_t limit, held;
	VEC(struct looker_chunk) chunks; /* hashed; a power of two, at most half full */
	size_t used;
	/* What has content of [from, to), where it was asked last. */
	taddr_t from, to;
	VEC(struct range) present;
};

/* One of them: struct memory first. */
struct looker_view {
	struct memory memory;
	struct looker_memory *all;
	uint32_t of;
};

void looker_view_init(struct looker_view *view, struct looker_memory *all, uint32_t of);
/* leak_input.present, of a struct looker_memory. */
bool looker_present(void *arg, taddr_t addr, taddr_t end, struct range *ret);

#endif
