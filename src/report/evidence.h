/* What a verdict rests on, in words. */
#ifndef MEMTRACE_EVIDENCE_H
#define MEMTRACE_EVIDENCE_H

#include <stdio.h>

#include "heap/verdict.h"

/* "30 of 30 generations kept 3.0% of their blocks; 41.0 KiB an hour (38.2 KiB to 44.1 KiB)": of
 * a line, without its end; no character of it needs an escape in JSON. */
void evidence_print(FILE *out, const struct verdict *verdict);

#endif
