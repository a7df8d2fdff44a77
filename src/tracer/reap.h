/* A batch of statuses of a tracee's threads.  Used within tracer/ only. */
#ifndef MEMTRACE_REAP_H
#define MEMTRACE_REAP_H

#include "tracer/tracee.h"

/* Blocks for one (with wait), then takes all others that are ready.  A signal of the
 * program's ends the batch, and the next one looks at each thread by its id, as whoever
 * sends signals all the time would keep those from us that come last in the kernel's list. */
int reap(struct tracee *tracee, bool wait);
/* Waits for one thread's next status, and leaves it there.  False: there is none to come, or none
 * within 2 s where it sleeps in the kernel, else within 10 s. */
bool reap_look(pid_t tid, int *status);
/* In the middle of another system call: takes what has ended, and event stops that come
 * before, behind what was taken before.  The program's signals stay. */
void reap_more(struct tracee *tracee);
/* One thread's status, if there is one, which stays there.  Its id, 0 or -errno. */
int reap_peek(pid_t tid, int *status);

#endif
