/*
 * A signal that says leave and that the main thread has not taken after a while is taken
 * here; at once where the main thread is known to look at none.  When the process is free, a
 * second one ends us at once, as it ends any program: it is unblocked in this thread alone,
 * which the kernel then gives it to.
 */
#include "cli/leaver.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum { PATIENCE_MS = 200 };

/* Waits for the end; false: it has not come. */
static bool ends_within(const struct leaver *leaver, int ms)
{
	struct pollfd end = {leaver->end, POLLIN, 0};

	return poll(&end, 1, ms) > 0;
}

/* Output that has not been cancelled yet is now.  False: there is none. */
static bool cancel(struct leaver *leaver)
{
	int under_way = LEAVER_OUTPUT;

	return atomic_compare_exchange_strong(&leaver->output, &under_way, LEAVER_CANCELLED);
}

/* The kernel lets tracees go when their tracer ends, which it can't while it waits, unless it
 * is killed.  (Said by write(): stderr may be in the hands of the other thread.) */
void leaver_detach(struct capture *capture)
{
	static const char words[] =
		"\nmemtrace: the kernel holds memtrace itself (a disk, a page or a lock of the "
		"process' that does not come): it ends without a report, and its guardian puts "
		"the code of the process back\n";

	if (!capture_detach(capture))
		return;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
		errno = 0; /* nobody listens */
	kill(getpid(), SIGKILL);
}

static void let_go(struct leaver *leaver)
{
	struct signal_event event;

	leaver_detach(leaver->capture);
	while (signals_take_leave(leaver->signals, &event))
		; /* it came with the first, to say the same */
	signals_unblock_leave(leaver->signals);
	ends_within(leaver, -1);
}

/* Output is cancelled before the Ctrl-C is taken: should it end just in between, the main
 * thread knows, and what is taken then was not meant for the process. */
static void *leaver_main(void *arg)
{
	struct leaver *leaver = arg;
	struct signal_event event;

	for (;;) {
		struct pollfd fds[] = {{leaver->end, POLLIN, 0},
				       {leaver->signals->fd, POLLIN, 0},
				       {leaver->timer, POLLIN, 0}};
		bool cancelled;

		poll(fds, ARRAY_SIZE(fds), -1);
		cancelled = signals_is_interrupted() && cancel(leaver);
		if (fds[0].revents || (!cancelled && ends_within(leaver, PATIENCE_MS)))
			return NULL;
		if (signals_take_leave(leaver->signals, &event)) {
			if (event.wish == SIGNAL_INTERRUPT && (cancelled || cancel(leaver)))
				continue;
			atomic_store(&leaver->left, event.signo);
			let_go(leaver);
			return NULL;
		}
		if (fds[2].revents) {
			let_go(leaver);
			return NULL;
		}
	}
}

int leaver_start(struct leaver *ret, struct signals *signals, struct capture *capture)
{
	int rc;

	ret->signals = signals;
	ret->capture = capture;
	atomic_init(&ret->left, 0);
	atomic_init(&ret->output, LEAVER_NO_OUTPUT);
	ret->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ret->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ret->end < 0)
		return -errno;
	rc = pthread_create(&ret->thread, NULL, leaver_main, ret);
	if (rc) {
		close(ret->end);
		ret->end = -1;
	}
	return -rc;
}

void leaver_set_timer(struct leaver *leaver, uint64_t ms)
{
	struct itimerspec when = {.it_value = {.tv_sec = (time_t)(ms / 1000),
					       .tv_nsec = (long)(ms % 1000) * 1000000}};

	if (leaver->timer >= 0)
		timerfd_settime(leaver->timer, 0, &when, NULL);
}

bool leaver_next(struct leaver *leaver, struct signal_event *ret)
{
	int signo = atomic_exchange(&leaver->left, 0);

	if (signo)
		*ret = signals_event(leaver->signals, signo);
	return signo != 0;
}

void leaver_output_begin(struct leaver *leaver)
{
	atomic_store(&leaver->output, LEAVER_OUTPUT);
}

bool leaver_output_end(struct leaver *leaver)
{
	return atomic_exchange(&leaver->output, LEAVER_NO_OUTPUT) == LEAVER_CANCELLED;
}

bool leaver_is_cancelled(void *arg)
{
	struct leaver *leaver = arg;

	return atomic_load(&leaver->output) == LEAVER_CANCELLED;
}

void leaver_stop(struct leaver *leaver)
{
	uint64_t one = 1;

	if (leaver->end < 0)
		return;
	while (write(leaver->end, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(leaver->thread, NULL);
	close(leaver->end);
	if (leaver->timer >= 0)
		close(leaver->timer);
	leaver->end = leaver->timer = -1;
}
