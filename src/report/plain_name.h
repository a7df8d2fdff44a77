/* Names of C++ that are lists of plain names ("N3app5CacheE", "5cache"). */
#ifndef MEMTRACE_PLAIN_NAME_H
#define MEMTRACE_PLAIN_NAME_H

#include <stdbool.h>
#include <stdio.h>

/* "app::Cache".  False: it is not such a name, and nothing is printed; out NULL: only that. */
bool plain_name_print(FILE *out, const char *text);

#endif
