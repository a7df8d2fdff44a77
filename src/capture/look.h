/*
 * A look at the process: a picture of it (tracer/picture.h), and what the engine knows at the same
 * moment.  Made by the tracer thread, read by the other one while the process runs on.
 */
#ifndef MEMTRACE_LOOK_H
#define MEMTRACE_LOOK_H

#include "heap/snapshot.h"
#include "tracer/picture.h"

struct look {
	struct picture *picture;
	struct snapshot *snapshot;
	VEC(struct region_block) live; /* the blocks that were seen to be allocated */
	uint64_t pause_ns; /* from the first thread that was asked to stop, until all ran again;
			      of one that is stopped: until look_end() */
	int64_t since;
	bool stopped; /* the process, until then */
};

struct look_options {
	struct smaps *mappings; /* taken over, if all is well */
	uint64_t max_pause_ns; /* without a copy: if more is to be expected, it is refused */
	uint64_t stop_most_ms; /* a stop that takes longer is given up, before a copy is begun; 0: any time */
};

struct engine;

/* -EBUSY: it would be stopped too long, -ESRCH: it has ended, ... */
int look_take(struct engine *engine, const struct look_options *options, struct look **ret,
	      struct err *err);
/* The picture is gone; one that is stopped runs on. */
void look_end(struct engine *engine, struct look *look);
/* A process that waits to be looked at before it ends goes on. */
void look_let_exit(struct engine *engine);
void look_destroy(struct look *look); /* NULL is allowed; look_end() is over */

#endif
