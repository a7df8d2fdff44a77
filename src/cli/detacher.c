/*
 * A signal that says leave and that the main thread has not taken after a while is taken
 * here; at once where the main thread is known to look at none.  When the process is free, a
 * second one ends us at once, as it ends any program: it is unblocked in this thread alone,
 * which the kernel then gives it to.
 */
#include "cli/detacher.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { GRACE_MS = 200 };

/* Waits for the end; false: it has not come. */
static bool ends_within(const struct detacher *detacher, int ms)
{
	struct pollfd end = {detacher->end, POLLIN, 0};

	return poll(&end, 1, ms) > 0;
}

/* Output that has not been cancelled yet is now.  False: there is none. */
static bool cancel(struct detacher *detacher)
{
	int under_way = DETACHER_OUTPUT;

	return atomic_compare_exchange_strong(&detacher->output, &under_way,
					      DETACHER_CANCELLED);
}

/* The kernel lets tracees go when their tracer ends, which it can't while it waits, unless it
 * is killed.  (Said by dprintf(): stderr may be in the hands of the other thread.) */
void detacher_detach(struct capture *capture)
{
	static const char *const held = "the kernel holds memtrace itself (a disk, a page or a "
					"lock of the process' that does not come)";
	static const char *const late = "the process could not be let go within three minutes";
	int rc = capture_detach(capture);

	if (!rc)
		return;
	dprintf(STDERR_FILENO,
		"\nmemtrace: %s: it ends without a report, and its guardian puts the code of the "
		"process back\n",
		rc == -EBUSY ? late : held);
	kill(getpid(), SIGKILL);
}

static void let_go(struct detacher *detacher)
{
	struct signal_event event;

	detacher_detach(detacher->capture);
	while (signals_take_leave(detacher->signals, &event))
		; /* it came with the first, to say the same */
	signals_unblock_leave(detacher->signals);
	ends_within(detacher, -1);
}

/* Output is cancelled before the Ctrl-C is taken: should it end just in between, the main
 * thread knows, and what is taken then was not meant for the process. */
static void *detacher_main(void *arg)
{
	struct detacher *detacher = arg;
	struct signal_event event;

	for (;;) {
		struct pollfd fds[] = {{detacher->end, POLLIN, 0},
				       {detacher->signals->fd, POLLIN, 0},
				       {detacher->timer, POLLIN, 0}};
		bool cancelled;

		poll(fds, ARRAY_SIZE(fds), -1);
		cancelled = signals_is_interrupted() && cancel(detacher);
		if (fds[0].revents || (!cancelled && ends_within(detacher, GRACE_MS)))
			return NULL;
		if (signals_take_leave(detacher->signals, &event)) {
			if (event.action == SIGNAL_INTERRUPT && (cancelled || cancel(detacher)))
				continue;
			atomic_store(&detacher->left, event.signo);
			let_go(detacher);
			return NULL;
		}
		if (fds[2].revents) {
			let_go(detacher);
			return NULL;
		}
	}
}

int detacher_start(struct detacher *ret, struct signals *signals, struct capture *capture)
{
	int rc;

	ret->signals = signals;
	ret->capture = capture;
	atomic_init(&ret->left, 0);
	atomic_init(&ret->output, DETACHER_NO_OUTPUT);
	ret->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ret->end < 0)
		return -errno;
	rc = pthread_create(&ret->thread, NULL, detacher_main, ret);
	if (rc) {
		close(ret->end);
		ret->end = -1;
	}
	return -rc;
}

void detacher_set_timer(struct detacher *detacher, uint64_t ms)
{
	struct itimerspec when = {.it_value = {.tv_sec = (time_t)(ms / 1000),
					       .tv_nsec = (long)(ms % 1000) * 1000000}};

	if (detacher->timer >= 0)
		timerfd_settime(detacher->timer, 0, &when, NULL);
}

bool detacher_next(struct detacher *detacher, struct signal_event *ret)
{
	int signo = atomic_exchange(&detacher->left, 0);

	if (signo)
		*ret = signals_event(detacher->signals, signo);
	return signo != 0;
}

void detacher_output_begin(struct detacher *detacher)
{
	atomic_store(&detacher->output, DETACHER_OUTPUT);
}

bool detacher_output_end(struct detacher *detacher)
{
	return atomic_exchange(&detacher->output, DETACHER_NO_OUTPUT) == DETACHER_CANCELLED;
}

bool detacher_is_cancelled(void *arg)
{
	struct detacher *detacher = arg;

	return atomic_load(&detacher->output) == DETACHER_CANCELLED;
}

void detacher_stop(struct detacher *detacher)
{
	uint64_t one = 1;

	if (detacher->end < 0)
		return;
	while (write(detacher->end, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(detacher->thread, NULL);
	close(detacher->end);
	if (detacher->timer >= 0)
		close(detacher->timer);
	detacher->end = detacher->timer = -1;
}
