/* What the memory of a process is made of (heap/survey.h), in text. */
#ifndef MEMTRACE_HEAP_TEXT_H
#define MEMTRACE_HEAP_TEXT_H

#include "heap/survey.h"
#include "report/path.h"

/* The verdict, and, with what it is made of, all that follows.  rows: of a list at most; 0: all.
 * other: whose memory is not malloc's, in words, or NULL. */
void heap_text(FILE *out, const struct path_names *names, const struct survey *survey,
	       struct leak *leak, const char *other, size_t rows);

#endif
