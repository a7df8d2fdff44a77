/*
 * Call stacks as a tree of nodes, as in stacks.c, but entered by many at once, without locks.
 *
 * A leaf's context is its number among the stacks that allocated: 1, 2, ... in no order.
 */
#ifndef MEMTRACE_INTERNED_H
#define MEMTRACE_INTERNED_H

#include "region/shared.h"
#include "region/walk.h"

/* The context of a stack (frames leaf first, count >= 1); 0: there is no room. */
uint32_t interned_context(const struct shared *shared, const frame_t *frames, size_t count,
			  enum walk_end end);

/* The same, frame by frame from a root (an enum walk_end) on: the node of a stack that has one
 * frame more than its parent's; 0: there is no room.  And a node's context. */
uint32_t interned_child(const struct shared *shared, frame_t frame, uint32_t parent);
uint32_t interned_context_of(const struct shared *shared, uint32_t node);

/* Numbers in use are below. */
uint32_t interned_contexts(const struct shared *shared);
uint32_t interned_nodes(const struct shared *shared);

/* The leaf of a context; 0: it has none, so nothing was ever counted there. */
uint32_t interned_leaf(const struct shared *shared, uint32_t context);

/* False: there is no such node, or its parent is not older than it is: a walk by these ends. */
bool interned_node(const struct shared *shared, uint32_t node, struct shared_node *ret);

#endif
