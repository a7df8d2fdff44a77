/* --selftest: memtrace examines itself. */
#ifndef MEMTRACE_SELFTEST_H
#define MEMTRACE_SELFTEST_H

/* Performs one scenario.  To be called before anything else of ours allocates.
 * Returns the exit status. */
int selftest_perform(const char *action);

/* Runs every scenario under memtrace, says what came of each, and returns the exit
 * status: 0 when all passed. */
int selftest_run(void);

#endif
