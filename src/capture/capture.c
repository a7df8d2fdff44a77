/*
 * The border between the tracer thread and the rest of memtrace.
 *
 *   caller                       |  tracer thread
 *   request + kick (a signal) ---|--> between two stops: performed, answered
 *   capture_next() <-- queue ----|--- notices (an eventfd says that some wait)
 *
 * The tracer sleeps in wait4(); a request wakes it by a signal with an empty
 * handler.  A signal that comes a moment before wait4() begins would be lost, so the
 * caller kicks again every few milliseconds until it is answered.  When the tracer
 * thread has ended (the kernel detaches what it still held then), requests are
 * performed by the caller itself: the engine has no other user any more.
 */
#include "capture/capture.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "capture/capture_parts.h"
#include "capture/detach.h"
#include "capture/wanted.h"
#include "hook/functions.h"

enum { STILL_MS = 750, STUCK_MS = 3000, LONGEST_MS = 180000 };

/* ---- notices ----------------------------------------------------------- */

static void notice_push(struct capture *capture, const struct notice *notice)
{
	uint64_t one = 1;

	pthread_mutex_lock(&capture->lock);
	if (!vec_push(&capture->notices, *notice)) {
		/* Memory is short: the words are lost, the state is not (NOTICE_ENDED
		 * finds room that notices_head freed, or the caller asks the state). */
	}
	pthread_mutex_unlock(&capture->lock);
	if (write(capture->notice_fd, &one, sizeof(one)) < 0)
		return; /* the counter is at its limit: it is readable, that is all we want */
}

static void notice_add(void *arg, enum notice_kind kind, const char *text)
{
	struct capture *capture = arg;
	struct notice notice = {.kind = kind};

	snprintf(notice.text, sizeof(notice.text), "%s", text);
	atomic_store(&capture->pid, capture->engine.tracee.pid);
	notice_push(capture, &notice);
}

bool capture_next(struct capture *capture, struct notice *ret)
{
	uint64_t count;
	bool found;

	pthread_mutex_lock(&capture->lock);
	found = capture->notices_head < capture->notices.len;
	if (found)
		*ret = capture->notices.at[capture->notices_head++];
	if (capture->notices_head == capture->notices.len) {
		vec_clear(&capture->notices);
		capture->notices_head = 0;
		if (read(capture->notice_fd, &count, sizeof(count)) < 0)
			count = 0; /* nothing had been signalled */
	}
	pthread_mutex_unlock(&capture->lock);
	return found;
}

int capture_fd(const struct capture *capture)
{
	return capture->notice_fd;
}

pid_t capture_pid(const struct capture *capture)
{
	return atomic_load(&capture->pid);
}

pid_t capture_child(const struct capture *capture)
{
	return capture->finished ? capture->engine.program.child : 0;
}

/* ---- the tracer thread ------------------------------------------------- */

static bool is_on(struct engine *engine)
{
	return (!engine->ending.ended && !engine->clears) || wanted_lasts(engine);
}

static void *tracer_main(void *arg)
{
	struct capture *capture = arg;
	struct engine *engine = &capture->engine;
	struct notice last = {.kind = NOTICE_ENDED};
	struct err err = {0};
	bool began;
	int rc;

	atomic_store(&capture->tid, gettid());
	if (capture->options.born)
		rc = engine_take(engine, capture->attach_to, capture->options.born, &err);
	else if (capture->attach_to)
		rc = engine_attach(engine, capture->attach_to, &err);
	else
		rc = engine_launch(engine, &capture->options, capture->argv, &err);
	began = rc == 0;
	while (!rc && is_on(engine) && !atomic_load(&capture->detach)) {
		capture_requests_serve(capture);
		if (is_on(engine)) /* (a request may end it: leave) */
			rc = engine_turn(engine, &err);
	}
	detach_process(engine);
	last.wished = wanted_missed(engine);
	last.others = wanted_others(engine);
	last.left = engine->ending.left;
	last.end = rc ? (began ? CAPTURE_LOST : CAPTURE_FAILED) : engine->ending.end;
	last.status = rc ? rc : engine->ending.status;
	snprintf(last.text, sizeof(last.text), "%s", rc ? err.text : "");
	capture_requests_finish(capture);
	notice_push(capture, &last);
	return NULL;
}

/* ---- beginning and end ------------------------------------------------- */

/* Each stop of the target sends SIGCHLD, which would wake the main thread for nothing: the
 * tracer, for whom it is, blocks it (sig_ignored() in kernel/signal.c).  wait4() needs none. */
static void stops_silence(void)
{
	struct sigaction action;

	if (sigaction(SIGCHLD, NULL, &action))
		return;
	action.sa_flags |= SA_NOCLDSTOP;
	sigaction(SIGCHLD, &action, NULL);
}

static int capture_start(const struct capture_options *options, pid_t pid, char *const argv[],
			 struct capture **ret, struct err *err)
{
	struct capture *capture = calloc(1, sizeof(*capture));
	const struct notifier notifier = {.notify = notice_add, .arg = capture};
	/* Blocked, they would end us without a word. */
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	sigset_t all, old;
	int rc;

	if (!capture)
		return err_set(err, -ENOMEM, "memory is short");
	pthread_mutex_init(&capture->lock, NULL);
	pthread_cond_init(&capture->answered, NULL);
	capture->attach_to = pid;
	capture->argv = argv;
	capture->options = *options;
	capture->pid = pid;
	capture->notice_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	capture_kick_prepare();
	stops_silence();
	rc = capture->notice_fd < 0
		     ? err_sys(err, -errno, "cannot begin")
		     : engine_init(&capture->engine, options, &notifier, &capture->detach, err);
	if (!rc) {
		/* Every signal but the kick is for the other thread. */
		sigfillset(&all);
		sigdelset(&all, capture_kick_signal());
		for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
			sigdelset(&all, faults[i]);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		rc = -pthread_create(&capture->thread, NULL, tracer_main, capture);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		if (rc)
			err_sys(err, rc, "cannot start a thread");
	}
	if (rc) {
		engine_deinit(&capture->engine);
		if (capture->notice_fd >= 0)
			close(capture->notice_fd);
		free(capture);
		return rc;
	}
	*ret = capture;
	return 0;
}

int capture_attach(const struct capture_options *options, pid_t pid, struct capture **ret,
		   struct err *err)
{
	return capture_start(options, pid, NULL, ret, err);
}

int capture_launch(const struct capture_options *options, char *const argv[],
		   struct capture **ret, struct err *err)
{
	return capture_start(options, 0, argv, ret, err);
}

/* ---- the rest ------------------------------------------------------------ */

const char *capture_function(size_t i)
{
	size_t count;
	const struct function *functions = functions_table(false, &count);

	return i < count ? functions[i].name : NULL;
}

/* Has the tracer slept since the last look, without waking up once?  One that waits for a core, or
 * for one page of a slow disk after the other, has not. */
static bool has_slept(const struct capture *capture, uint64_t *switches)
{
	const uint64_t before = *switches;
	struct status status;

	if (status_read(getpid(), atomic_load(&capture->tid), &status))
		return false;
	*switches = status.switches;
	return status.state != 'R' && status.switches == before;
}

/* Whatever the tracer does, it takes our signal, unless it waits in the kernel for what does not
 * come.  (All that it does itself has an end, see ARCHITECTURE, "What waits, and for how long";
 * should that be wrong once, this has.) */
int capture_detach(struct capture *capture)
{
	unsigned taken = capture_kicks_taken(), missed = 0, still = 0;
	int64_t end = clock_ms() + LONGEST_MS;
	uint64_t switches = 0;
	int rc;

	atomic_store(&capture->detach, true);
	pthread_mutex_lock(&capture->lock);
	while (!capture->finished && missed < STUCK_MS / CAPTURE_KICK_MS &&
	       still < STILL_MS / CAPTURE_KICK_MS && clock_ms() < end) {
		unsigned before = taken;

		capture_kick(capture);
		taken = capture_kicks_taken();
		missed = taken == before ? missed + 1 : 0;
		still = missed && has_slept(capture, &switches) ? still + 1 : 0;
	}
	rc = capture->finished ? 0 : missed ? -ETIMEDOUT : -EBUSY;
	pthread_mutex_unlock(&capture->lock);
	return rc;
}

void capture_signal(struct capture *capture, int signo)
{
	pid_t pid = capture_pid(capture);

	if (pid > 0)
		kill(pid, signo);
}

void capture_destroy(struct capture *capture)
{
	if (!capture)
		return;
	capture_detach(capture);
	pthread_join(capture->thread, NULL);
	engine_deinit(&capture->engine);
	close(capture->notice_fd);
	vec_deinit(&capture->notices);
	pthread_cond_destroy(&capture->answered);
	pthread_mutex_destroy(&capture->lock);
	free(capture);
}
