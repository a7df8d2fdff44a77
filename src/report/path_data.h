/* Places in modules' data, in words.  For report/path.c and report/inspect.c. */
#ifndef MEMTRACE_PATH_DATA_H
#define MEMTRACE_PATH_DATA_H

#include <stdbool.h>
#include <stdio.h>

#include "heap/leak/leak.h"

/* "sessions+0x40 (server .bss 0x4040)", or what is in the brackets alone. */
void path_data_place(FILE *out, const struct leak_place *place);
/* All of the global that the place is in; where no symbol tells, all of the module's .data or
 * .bss.  False: it is not in a module's data. */
bool path_data_area(const struct leak_place *place, taddr_t *begin, taddr_t *end);
/* "sessions", or "server .bss". */
void path_data_area_name(FILE *out, const struct leak_place *place);

#endif
