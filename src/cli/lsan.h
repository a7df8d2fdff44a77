/* Programs that look for leaks themselves. */
#ifndef MEMTRACE_LSAN_H
#define MEMTRACE_LSAN_H

#include "capture/lacking.h"
#include "cli/options.h"
#include "cli/output.h"

/*
 * LeakSanitizer, of which lacking has seen the modules: a PROGRAM is going to be started
 * without its look for leaks (by our own environment, which it inherits), of a process the
 * user is told.  Says so; does nothing where the user has turned that look off.
 */
void lsan_check(const struct lacking *lacking, const struct options *options,
		struct output *output);

#endif
