/* One document of the reports on several processes. */
#ifndef MEMTRACE_PROCESSES_H
#define MEMTRACE_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/types.h"

struct process_report {
	int pid;
	const char *name;	/* of its program */
	uint64_t bytes, blocks; /* in use */
	bool minor;		/* its text may be left out where there are many */
	const char *text;	/* of the one report, in the form of the document */
	size_t len;
};

/* One after the other, each with an empty line behind it.  most: of those that may be left out so many, by
 * what they have in use, and a line about the others; 0: all. */
void processes_text(const struct process_report *reports, size_t count, size_t most, FILE *out);
/* "IN USE BY PROGRAM", a line for each name. */
void processes_sums(const struct process_report *reports, size_t count, FILE *out);
/* {"version", "processes": [each]} */
void processes_json(const struct process_report *reports, size_t count, FILE *out);

#endif
