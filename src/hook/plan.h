/* Parts of hooks.h that its two halves share. */
#ifndef MEMTRACE_PLAN_H
#define MEMTRACE_PLAN_H

#include "hook/hooks.h"

/* The names that are looked for. */
const struct function *hooks_functions(bool loader, size_t *count);

#endif
