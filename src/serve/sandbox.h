/* Giving rights up, before files are read that others have written. */
#ifndef MEMTRACE_SANDBOX_H
#define MEMTRACE_SANDBOX_H

/* For good: nothing can be opened, no program run, no process touched any more; root becomes
 * nobody.  Descriptors stay.  Memory is limited to three quarters of the machine's. */
void sandbox_enter(void);

/* At each question: at most so many seconds of the CPU's from now on, else the process is
 * ended by SIGXCPU. */
void sandbox_allow_seconds(unsigned seconds);

#endif
