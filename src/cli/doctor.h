/* --doctor: says line by line whether attaching would work, and what would mend it. */
#ifndef MEMTRACE_CLI_DOCTOR_H
#define MEMTRACE_CLI_DOCTOR_H

#include "cli/options.h"

/* About options->pid, or in general where that is 0.  Prints to stdout; returns the exit
 * status: 0 when attaching would work. */
int doctor_run(const struct options *options);

#endif
