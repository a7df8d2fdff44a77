/*
 * Distinct frames, numbered in the order of frame_order(): of a million nodes of call stacks
 * those are a few ten thousand, so they are told apart by a hash before they are sorted.
 */
#ifndef MEMTRACE_FRAME_TABLE_H
#define MEMTRACE_FRAME_TABLE_H

#include "base/types.h"
#include "region/frame.h"

struct frame_table { /* zeroed = empty */
	frame_t *frames;
	uint32_t count, room;
	uint32_t *slots; /* by hash: number + 1; 0: free */
	uint32_t mask;	 /* slots - 1; 0: none */
};

/* False: no memory. */
bool frame_table_add(struct frame_table *table, frame_t frame);

/* When all are there: numbers them by frame_order(). */
void frame_table_sort(struct frame_table *table);

/* The number of a frame; UINT32_MAX: it is not there. */
uint32_t frame_table_find(const struct frame_table *table, frame_t frame);

void frame_table_deinit(struct frame_table *table);

#endif
