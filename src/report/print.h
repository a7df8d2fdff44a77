/* Numbers and paragraphs as a person reads them. */
#ifndef MEMTRACE_PRINT_H
#define MEMTRACE_PRINT_H

#include <stdio.h>

#include "base/types.h"

/* "1 block", "2 blocks". */
void print_count(FILE *out, uint64_t count, const char *what);

/* "5.6 MiB".  Below 1024 there is nothing to say beside the bytes themselves: false, and
 * nothing is written. */
bool print_size(FILE *out, uint64_t bytes);

/* " (5.6 MiB)", or nothing. */
void print_size_beside(FILE *out, uint64_t bytes);

/* "999", "5.6M", rounded down, in ten columns; and without blanks before it. */
void print_short(FILE *out, uint64_t bytes);
/* The same of what 0 stands for "not known": "-". */
void print_short_known(FILE *out, uint64_t bytes);
enum { PRINT_SHORT_SIZE = 24 };
const char *print_short_text(uint64_t bytes, char ret[PRINT_SHORT_SIZE]);

/* "48%", "3.2%", "less than 0.1%".  Only what is all of it is 100%. */
void print_percent(FILE *out, uint64_t part, uint64_t whole);

/* "12.4 s", "2 min 5 s", "3 h 7 min". */
void print_duration(FILE *out, double seconds);

/* A paragraph: broken at blanks so that it stays within 80 columns. */
void print_wrapped(FILE *out, const char *text);
/* The same, so many columns in. */
void print_indented(FILE *out, const char *text, int columns_in);

#endif
