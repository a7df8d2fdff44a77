/* Runtimes of languages: what has to be known, or set, to see what a program in them does. */
#ifndef MEMTRACE_RUNTIMES_H
#define MEMTRACE_RUNTIMES_H

#include "elf/module.h"

struct runtime;

/* The first that one of these modules is; NULL: none. */
const struct runtime *runtime_of(const struct modules *modules);

/* A sentence, or NULL: that it keeps its memory by itself, unless the process' environment says that
 * it does not; and how the code that it generates gets names. */
const char *runtime_own_heap(const struct runtime *runtime, int pid);
const char *runtime_names(const struct runtime *runtime);

#endif
