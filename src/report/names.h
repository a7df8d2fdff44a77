/*
 * What the frames of a report are called: the resolver's answer first, then the
 * dynamic symbols of the target side, then module and offset.
 *
 * All frames of all call stacks to be shown are gathered once, asked about in one
 * batch per module, and rendered once each: a frame that is part of 100 000 stacks
 * costs one question and one rendering.
 */
#ifndef MEMTRACE_NAMES_H
#define MEMTRACE_NAMES_H

#include "report/progress.h"

/* One line of a stack: a frame has one for each function inlined there, innermost
 * first, and a last one for the function itself. */
struct names_line {
	frame_t frame;
	const struct snapshot_module *module; /* NULL: in no module */
	const char *function;		      /* NULL: unknown */
	const char *file;		      /* NULL: unknown */
	uint32_t line;			      /* 0: unknown */
	bool inlined;			      /* into the next line */
	uint64_t base;			      /* where the function begins; 0: unknown */
};

/* Writes the lines of one frame in the report's own form. */
typedef void names_render(FILE *out, const struct names_line *lines, size_t count, void *arg);

struct names_entry {
	frame_t frame;
	size_t begin, len; /* its text: see names_text() */
	unsigned folded;   /* so many of its first lines are allocator functions */
	bool all_folded;   /* these are all its lines */
};

struct names;

/* Who a module is, as a resolver is asked about it; lives as long as m. */
struct resolver_module names_module(const struct snapshot_module *m, int pid);

/*
 * Gathers the frames of `count` contexts and renders each with `render`.  resolver
 * and symbols may be NULL; a resolver that fails on the way gives what it knows.
 * 0, -ENOMEM or -ECANCELED.
 */
int names_create(const struct snapshot *snapshot, struct resolver *resolver,
		 const struct report_names *symbols, const uint32_t *ids, size_t count,
		 struct progress *progress, names_render *render, void *arg, struct names **ret,
		 struct err *err);
void names_destroy(struct names *names); /* NULL is allowed */

/* The entry of a frame that was gathered.  O(log n). */
const struct names_entry *names_find(const struct names *names, frame_t frame);

/* The rendered lines of an entry: entry->len bytes. */
const char *names_text(const struct names *names, const struct names_entry *entry);

/* Whether any name of a module came from its dynamic symbols. */
bool names_used_symbols(const struct names *names, uint32_t instance);

/* .. from report_names.local. */
bool names_used_local(const struct names *names, uint32_t instance);

/* Whether any frame of a module has no name. */
bool names_are_missing(const struct names *names, uint32_t instance);

#endif
