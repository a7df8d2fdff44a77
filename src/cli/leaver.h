/*
 * Lets the process go when the main thread does not: it may be writing a report to a reader
 * that has stopped reading, or wait for names, while somebody presses Ctrl-C.
 */
#ifndef MEMTRACE_LEAVER_H
#define MEMTRACE_LEAVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "capture/capture.h"
#include "cli/signals.h"

struct leaver {
	struct signals *signals;
	struct capture *capture;
	pthread_t thread;
	int end;	 /* an eventfd; -1: not started */
	atomic_int left; /* the signal that it lets the process go for; 0: none */
};

/* Watches the signals from now on; both must outlive it.  -errno: it is done without. */
int leaver_start(struct leaver *ret, struct signals *signals, struct capture *capture);
/* True, once: it took a signal that says leave. */
bool leaver_next(struct leaver *leaver, struct signal_event *ret);
void leaver_stop(struct leaver *leaver); /* also one that was not started */

#endif
