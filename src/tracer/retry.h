/*
 * Something is tried while all threads are stopped, and may have to wait for what one of them
 * is in: then they run for a moment, and it is tried again.
 *
 *    stop all --> attempt --> 0, error: done, all are stopped still
 *       ^            | -EAGAIN
 *       +-- run <----+
 */
#ifndef MEMTRACE_RETRY_H
#define MEMTRACE_RETRY_H

#include "tracer/tracee.h"

/* A stack that can't be read while all are stopped (inside.h): */
enum retry_unread {
	RETRY_UNREAD,	 /* is looked at again all the same */
	RETRY_FETCHED,	 /* is brought while they run, if it comes */
	RETRY_NECESSARY, /* the same; if it does not come, -ENODATA */
};

struct retry {
	unsigned tries;
	unsigned asleep_tries; /* the most of them while a thread is asleep in the kernel, which
				* all others wait for, standing (stop_all.c); 0: no such limit */
	unsigned first_ms,
		last_ms; /* they run for so long; twice as long each time, up to last */
	enum retry_unread unread;
};

/*
 * All threads are stopped at first, or are made to.  What attempt() returns at last, -EAGAIN
 * too: then all are stopped.  -ENODATA: a necessary stack can't be read; or the
 * error of tracee_stop(): then they run.
 */
int retry_stopped(struct tracee *tracee, const struct retry *how, int (*attempt)(void *arg),
		  void *arg, struct err *err) MUST_CHECK;

#endif
