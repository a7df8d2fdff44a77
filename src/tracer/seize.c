/*
 * Seizing threads while one of them execs.
 *
 * An exec waits until all other threads are gone (de_thread() in fs/exec.c), and one that we
 * have seized is gone when we have reaped it.  PTRACE_SEIZE of the next waits for the exec
 * (cred_guard_mutex, ptrace_attach() in kernel/ptrace.c): the process and we would wait for
 * each other for ever.  So a timer interrupts that waiting, and its handler reaps; then the
 * kernel makes the call again.
 *
 * The handler does something only while the thread is in that one system call, so it may do
 * what no handler may, like to allocate.
 */
#include "tracer/seize.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "tracer/reap.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { TIMEOUT_NS = 20000000 };

static struct tracee *volatile waiting; /* in PTRACE_SEIZE; NULL: nobody is */

static void on_timeout(int signo)
{
	int code = errno;

	(void)signo;
	if (waiting)
		reap_more(waiting);
	errno = code;
}

static int timeout_signal(void)
{
	return SIGRTMIN + 4;
}

void seizing_begin(struct seizing *ret, struct tracee *tracee)
{
	struct sigaction action = {.sa_handler = on_timeout, .sa_flags = SA_RESTART};
	struct itimerspec every = {{0, TIMEOUT_NS}, {0, TIMEOUT_NS}};
	struct sigevent event;
	sigset_t timeouts;

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_THREAD_ID;
	event.sigev_signo = timeout_signal();
	event.sigev_notify_thread_id = gettid();
	sigemptyset(&timeouts);
	sigaddset(&timeouts, timeout_signal());
	ret->tracee = tracee;
	sigaction(timeout_signal(), &action, NULL);
	pthread_sigmask(SIG_UNBLOCK, &timeouts, &ret->mask);
	ret->timeouts = timer_create(CLOCK_MONOTONIC, &event, &ret->timer) == 0;
	if (ret->timeouts)
		timer_settime(ret->timer, 0, &every, NULL);
}

/* (A timeout that is pending goes with its timer, or finds nobody waiting.) */
void seizing_end(struct seizing *seizing)
{
	if (seizing->timeouts)
		timer_delete(seizing->timer);
	pthread_sigmask(SIG_SETMASK, &seizing->mask, NULL);
}

int seizing_seize(struct seizing *seizing, pid_t tid, long options)
{
	int rc;

	waiting = seizing->tracee;
	rc = ptrace(PTRACE_SEIZE, tid, 0, options) < 0 ? -errno : 0;
	waiting = NULL;
	return rc;
}
