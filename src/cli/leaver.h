/*
 * Takes signals when the main thread does not: it may be writing a report to a reader
 * that has stopped reading, or wait for names, while somebody presses Ctrl-C.  Output of the
 * console is cancelled by a Ctrl-C; where it does not end by that, the next one, and what
 * else says leave at once, lets the process go.  So does the end of --duration.
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
	int end;	   /* an eventfd; -1: not started */
	int timer;	   /* a timerfd; -1: there is none */
	atomic_int left;   /* the signal that it lets the process go for; 0: none */
	atomic_int output; /* enum leaver_output */
};

enum leaver_output {
	LEAVER_NO_OUTPUT,
	LEAVER_OUTPUT, /* the main thread is at some that may be cancelled */
	LEAVER_CANCELLED,
};

/* Watches the signals from now on; both must outlive it.  -errno: it is done without. */
int leaver_start(struct leaver *ret, struct signals *signals, struct capture *capture);
/* Has the process let go; by our own end, where nothing else helps. */
void leaver_detach(struct capture *capture);
/* In so many milliseconds the process is to be let go. */
void leaver_set_timer(struct leaver *leaver, uint64_t ms);
/* True, once: it took a signal that says leave. */
bool leaver_next(struct leaver *leaver, struct signal_event *ret);
/* From the first to the second a Ctrl-C cancels; returns whether it did. */
void leaver_output_begin(struct leaver *leaver);
bool leaver_output_end(struct leaver *leaver);
/* As report_options.cancelled; arg is the struct leaver. */
bool leaver_is_cancelled(void *arg);
void leaver_stop(struct leaver *leaver); /* also one that was not started */

#endif
