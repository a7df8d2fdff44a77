/* What is said when memtrace itself fails (SIGSEGV, abort, a failed assertion). */
#ifndef MEMTRACE_CRASH_H
#define MEMTRACE_CRASH_H

/* Installs the handlers; before any thread is started. */
void crash_prepare(void);

#endif
