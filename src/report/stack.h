/*
 * The frames of one call stack in the text form, as text.c shows them and decode.c puts them
 * into a report that was written without names.
 */
#ifndef MEMTRACE_STACK_H
#define MEMTRACE_STACK_H

#include <stdio.h>

#include "report/names.h"

/* The way into the allocator, and what recurs, take no lines; unless it is to be `whole`.
 * A frame that is not known is left out. */
void stack_print(FILE *out, const struct names *names, const frame_t *frames, size_t count,
		 bool whole);

#endif
