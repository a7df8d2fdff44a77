/*
 * Takes signals when the main thread does not: it may be writing a report to a reader
 * that has stopped reading, or wait for names, while somebody presses Ctrl-C.  Output of the
 * console is cancelled by a Ctrl-C; where it does not end by that, the next one, and what
 * else says leave at once, lets the process go.  So does the end of --duration.
 */
#ifndef MEMTRACE_DETACHER_H
#define MEMTRACE_DETACHER_H

#include <pthread.h>
#include <stdatomic.h>

#include "capture/capture.h"
#include "cli/signals.h"

struct detacher {
	struct signals *signals;
	struct capture *capture;
	pthread_t thread;
	int end;	   /* an eventfd; -1: not started */
	int timer;	   /* a timerfd; -1: there is none */
	atomic_int left;   /* the signal that it lets the process go for; 0: none */
	atomic_int output; /* enum detacher_output */
};

enum detacher_output {
	DETACHER_NO_OUTPUT,
	DETACHER_OUTPUT, /* the main thread is at some that may be cancelled */
	DETACHER_CANCELLED,
};

/* Watches the signals from now on; both must outlive it.  -errno: it is done without. */
int detacher_start(struct detacher *ret, struct signals *signals, struct capture *capture);
/* Has the process let go; by our own end, where nothing else helps. */
void detacher_detach(struct capture *capture);
/* In so many milliseconds the process is to be let go. */
void detacher_set_timer(struct detacher *detacher, uint64_t ms);
/* True, once: it took a signal that says leave. */
bool detacher_next(struct detacher *detacher, struct signal_event *ret);
/* From the first to the second a Ctrl-C cancels; returns whether it did. */
void detacher_output_begin(struct detacher *detacher);
bool detacher_output_end(struct detacher *detacher);
/* As report_options.cancelled; arg is the struct detacher. */
bool detacher_is_cancelled(void *arg);
void detacher_stop(struct detacher *detacher); /* also one that was not started */

#endif
