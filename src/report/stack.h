/* The frames of one call stack in the text form. */
#ifndef MEMTRACE_STACK_H
#define MEMTRACE_STACK_H

#include <stdio.h>

#include "report/named.h"

/* The way into the allocator, and what recurs, take no lines; unless it is to be `whole`.
 * A frame that is not known is left out. */
void stack_print(FILE *out, const struct named *named, const frame_t *frames, size_t count,
		 bool whole);

#endif
