/* The source files that a program says it was made of. */
#ifndef MEMTRACE_SOURCES_H
#define MEMTRACE_SOURCES_H

#include "serve/elffile.h"

/* Whether the line tables of `debug` name the source `path` (absolute).  "." and ".." in
 * either are what they are in a path without symbolic links; path becomes such a one. */
bool sources_has(struct elffile *debug, char *path);

/* Removes "//", "." and ".." from an absolute path, in place. */
void sources_tidy(char *path);

#endif
