/*
 * The lines of frames as text, in one report's form: each is written once, however many stacks
 * it is part of.
 */
#ifndef MEMTRACE_RENDERED_H
#define MEMTRACE_RENDERED_H

#include <stdio.h>

#include "report/names.h"

struct rendered;

/* Writes one line of a frame; options are the report's. */
typedef void rendered_line_fn(FILE *out, const struct names_line *line,
			      const struct report_options *options);

/* 0, -ENOMEM or -ECANCELED.  Needs names no longer. */
int rendered_create(const struct names *names, rendered_line_fn *write,
		    const struct report_options *options, struct progress *progress,
		    struct rendered **ret, struct err *err) MUST_CHECK;
void rendered_destroy(struct rendered *rendered); /* NULL is allowed */

/* The text of `count` lines from `first` on (numbers of struct named_frame); *len bytes. */
const char *rendered_text(const struct rendered *rendered, size_t first, size_t count,
			  size_t *len);

#endif
