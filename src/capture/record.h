/*
 * A recorder of sampled call stacks with what is needed to unwind them again, for
 * comparison with another unwinder (tests/e2e/stack_oracle.c reads it).
 *
 * A file of records {u32 type, u32 length, payload}, all in host byte order:
 *   type 1  the text of /proc/PID/maps; holds for the samples behind it
 *   type 2  u32 tid, u32 end (enum walk_end), u32 frame count, u32 stack bytes,
 *           u64 registers[17] by DWARF number as if the thread stood at the entry of
 *           the allocation function, u64 pc[frame count] (leaf first; bit 63: a
 *           guess), the stack from sp upwards
 */
#ifndef MEMTRACE_RECORD_H
#define MEMTRACE_RECORD_H

#include <stdio.h>

#include "capture/walker.h"

struct recorder {
	FILE *file;	/* NULL: nothing is recorded */
	unsigned every; /* one of so many allocations */
	unsigned skipped;
	bool maps_written;
};

int recorder_open(struct recorder *ret, const char *path, unsigned every, struct err *err) MUST_CHECK;
void recorder_close(struct recorder *recorder);
void recorder_maps_changed(struct recorder *recorder);
/* live: what walked it, whose modules and memory they are. */
void recorder_sample(struct recorder *recorder, struct walker *live, pid_t tid,
		     const struct walked *walked);

#endif
