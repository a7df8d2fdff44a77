/* A snapshot of the present state. */
#ifndef MEMTRACE_DESCRIBE_H
#define MEMTRACE_DESCRIBE_H

#include "capture/engine.h"

/* On the tracer thread; it costs the target nothing but the wait until the next stop is taken.
 * The caller frees it by snapshot_destroy().  -ENOMEM, in words. */
int describe_snapshot(struct engine *engine, struct snapshot **ret, struct err *err) MUST_CHECK;
/* When each block in use was allocated; none, without room, where memory is short. */
/* Blocks in use, about; of a sample the counts are of more than there are. */
size_t describe_blocks(const struct engine *engine);
void describe_births(struct engine *engine, struct birth_list *births);
/* Tells of functions whose patches somebody has written over while we watch, and keeps it for
 * reports: whether their calls still come to us is not known (a uprobe on ARM replaces our patch,
 * a trampoline goes on to it). */
void describe_replaced(struct engine *engine);
/* Keeps what reports say of the threads, which are about to be let go. */
void describe_keep_threads(struct engine *engine);

#endif
