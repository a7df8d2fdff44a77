/*
 * What the frames of a report are called: the resolver's answer first, then what a snapshot
 * file says, then the dynamic symbols of the target side, then module and offset.
 *
 * All frames of all call stacks to be shown are gathered once and asked about in one batch per
 * module: a frame that is part of 100 000 stacks costs one question.  What comes out are
 * values (heap/frame_names.h); text is made of them last (report/rendered.h).
 */
#ifndef MEMTRACE_NAMES_H
#define MEMTRACE_NAMES_H

#include "heap/frame_names.h"
#include "report/progress.h"

/* One line of a stack, with what is printed of it. */
struct names_line {
	frame_t frame;
	const struct snapshot_module *module; /* NULL: in no module */
	struct frame_line name;
};

struct names;

/* Who a module is, as a resolver is asked about it; lives as long as m. */
struct resolver_module names_module(const struct snapshot_module *m, int pid);

/*
 * Gathers the frames of `count` contexts (ids NULL: every frame of the snapshot) and finds what
 * they are called.  resolver and symbols may be NULL; a resolver that fails on the way gives
 * what it knows.  0, -ENOMEM or -ECANCELED.  Texts live as long as the resolvers and `symbols`.
 */
int names_create(const struct snapshot *snapshot, struct resolver *resolver,
		 const struct report_names *symbols, const uint32_t *ids, size_t count,
		 struct progress *progress, struct names **ret, struct err *err) MUST_CHECK;
void names_destroy(struct names *names); /* NULL is allowed */

/* All of them. */
const struct frame_names *names_values(const struct names *names);

/* One that was gathered, or NULL. */
const struct named_frame *names_find(const struct names *names, frame_t frame);

/* Line i of named, which is < named->count. */
struct names_line names_line(const struct names *names, const struct named_frame *named,
			     uint32_t i);

/* How many of its first lines are only ways into the allocator. */
uint32_t names_count_folded(const struct names *names, const struct named_frame *named);

/* Where the names of a module come from, in words; NULL: nobody knows any. */
const char *names_source(const struct names *names, uint32_t instance);

/* Whether any frame of a module has no name. */
bool names_are_missing(const struct names *names, uint32_t instance);

#endif
