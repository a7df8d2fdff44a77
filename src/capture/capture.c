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
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/vec.h"
#include "capture/describe.h"
#include "capture/detach.h"
#include "capture/engine.h"
#include "capture/share.h"
#include "hook/functions.h"
#include "region/reader.h"

enum { KICK_MS = 5, SUM_KICKS = 4, STILL_MS = 750, STUCK_MS = 3000 };

enum request {
	REQUEST_NONE,
	REQUEST_SNAPSHOT,
	REQUEST_CLEAR,
	REQUEST_EXTERNALS,
	REQUEST_LOOK,
	REQUEST_LOOK_END,
	REQUEST_LET_EXIT,
};

struct capture {
	struct engine engine;
	pid_t attach_to; /* 0: launch argv */
	char *const *argv;
	struct capture_options options; /* (its externals are the engine's) */
	pthread_t thread;
	_Atomic pid_t tid; /* that thread's; 0: it has not begun */
	int notice_fd;

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t answered;
	VEC(struct notice) notices;
	size_t notices_head;
	enum request request;
	struct snapshot *snapshot;
	struct birth_list *births; /* of REQUEST_SNAPSHOT, the caller's; NULL: not wished */
	struct externals *externals; /* of REQUEST_EXTERNALS, the caller's */
	const struct look_options *look_options; /* of REQUEST_LOOK */
	struct look *look;
	struct err request_err;
	int request_rc;
	bool finished; /* the tracer thread touches the engine no more */

	_Atomic bool kicked; /* there is something to do between two stops */
	atomic_bool to_sum;  /* .. for which nobody waits long */
	atomic_bool detach;
	_Atomic pid_t pid;
};

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

/* ---- the tracer thread ------------------------------------------------- */

/* The caller waits for it: nobody else touches what it is about. */
static void request_perform(struct capture *capture)
{
	struct engine *engine = &capture->engine;

	capture->request_rc = 0;
	if (capture->request == REQUEST_SNAPSHOT) {
		capture->request_rc = describe_snapshot(&capture->engine, &capture->snapshot,
							&capture->request_err);
		if (!capture->request_rc && capture->births)
			describe_births(engine, capture->births);
	} else if (capture->request == REQUEST_CLEAR)
		share_clear(engine);
	else if (capture->request == REQUEST_EXTERNALS)
		engine_take_externals(&capture->engine, capture->externals);
	else if (capture->request == REQUEST_LOOK)
		capture->request_rc = look_take(engine, capture->look_options, &capture->look,
						&capture->request_err);
	else if (capture->request == REQUEST_LOOK_END)
		look_end(engine, capture->look);
	else if (capture->request == REQUEST_LET_EXIT)
		look_let_exit(engine);
}

/* With the lock held. */
static void request_answer(struct capture *capture)
{
	capture->request = REQUEST_NONE;
	pthread_cond_broadcast(&capture->answered);
}

static bool is_requested(struct capture *capture)
{
	bool is;

	pthread_mutex_lock(&capture->lock);
	is = capture->request != REQUEST_NONE;
	pthread_mutex_unlock(&capture->lock);
	return is;
}

/* What an agent has counted, for capture_totals(). */
static void sum(struct capture *capture)
{
	share_sum(&capture->engine);
	pthread_mutex_lock(&capture->lock);
	pthread_cond_broadcast(&capture->answered);
	pthread_mutex_unlock(&capture->lock);
}

static void requests_serve(struct capture *capture)
{
	if (atomic_exchange(&capture->to_sum, false))
		sum(capture);
	if (!atomic_exchange(&capture->kicked, false))
		return;
	if (!is_requested(capture))
		return;
	request_perform(capture); /* it may have something to say, for which the lock is needed */
	pthread_mutex_lock(&capture->lock);
	request_answer(capture);
	pthread_mutex_unlock(&capture->lock);
}

static void finish(struct capture *capture, const struct notice *last)
{
	pthread_mutex_lock(&capture->lock);
	if (capture->request != REQUEST_NONE)
		request_perform(capture);
	capture->finished = true;
	request_answer(capture);
	pthread_mutex_unlock(&capture->lock);
	notice_push(capture, last);
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
	if (capture->attach_to)
		rc = engine_attach(engine, capture->attach_to, &err);
	else
		rc = engine_launch(engine, &capture->options, capture->argv, &err);
	began = rc == 0;
	while (!rc && !engine->ending.ended && !atomic_load(&capture->detach)) {
		requests_serve(capture);
		rc = engine_turn(engine, &err);
	}
	detach_process(engine);
	last.end = rc ? (began ? CAPTURE_LOST : CAPTURE_FAILED) : engine->ending.end;
	last.status = rc ? rc : engine->ending.status;
	snprintf(last.text, sizeof(last.text), "%s", rc ? err.text : "");
	finish(capture, &last);
	return NULL;
}

/* ---- beginning and end ------------------------------------------------- */

static atomic_uint kicks_taken;

static void kick_handler(int signo)
{
	(void)signo;
	atomic_fetch_add(&kicks_taken, 1);
}

static int kick_signal(void)
{
	return SIGRTMIN + 3;
}

static void kick_prepare(void)
{
	struct sigaction action = {.sa_handler =
					   kick_handler}; /* no SA_RESTART: that is the point */

	sigaction(kick_signal(), &action, NULL);
}

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
	kick_prepare();
	stops_silence();
	rc = capture->notice_fd < 0
		     ? err_sys(err, -errno, "cannot begin")
		     : engine_init(&capture->engine, options, &notifier, &capture->detach, err);
	if (!rc) {
		/* Every signal but the kick is for the other thread. */
		sigfillset(&all);
		sigdelset(&all, kick_signal());
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

/* ---- requests ---------------------------------------------------------- */

/* With the lock held: wakes the tracer, and waits a moment for what it does. */
static void kick(struct capture *capture)
{
	struct timespec until;

	pthread_kill(capture->thread, kick_signal());
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += KICK_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&capture->answered, &capture->lock, &until);
}

/* With the lock held: asks until it is answered. */
static int request_wait(struct capture *capture, enum request request)
{
	capture->request = request;
	while (capture->request != REQUEST_NONE) {
		if (capture->finished) {
			request_perform(capture);
			request_answer(capture);
			break;
		}
		atomic_store(&capture->kicked, true);
		kick(capture);
	}
	return capture->request_rc;
}

int capture_snapshot_births(struct capture *capture, struct birth_list *births,
			    struct snapshot **ret, struct err *err)
{
	int rc;

	pthread_mutex_lock(&capture->lock);
	capture->births = births;
	rc = request_wait(capture, REQUEST_SNAPSHOT);
	capture->births = NULL;
	if (rc && err)
		*err = capture->request_err;
	else if (!rc)
		*ret = capture->snapshot;
	pthread_mutex_unlock(&capture->lock);
	return rc;
}

int capture_snapshot(struct capture *capture, struct snapshot **ret, struct err *err)
{
	return capture_snapshot_births(capture, NULL, ret, err);
}

uint32_t capture_now(const struct capture *capture)
{
	return ledger_now(&capture->engine.ledger);
}

int capture_contexts(const struct capture *capture, struct capture_contexts *ret)
{
	const struct region_space *space = &capture->engine.ledger.space;
	struct reader reader;
	int rc = reader_open(&reader, space->base, space->limit);

	if (rc)
		return rc;
	vec_clear(ret);
	if (!vec_reserve(ret, reader_context_count(&reader)))
		return -ENOMEM;
	for (; ret->len < reader_context_count(&reader); ret->len++)
		if (!reader_context(&reader, (uint32_t)ret->len, &ret->at[ret->len]))
			return -EAGAIN;
	return reader_is_overtaken(&reader) ? -EAGAIN : 0;
}

/* The tracer adds up what an agent has counted; one that waits in the kernel does not, and the
 * totals are those of before. */
static void sum_soon(struct capture *capture)
{
	pthread_mutex_lock(&capture->lock);
	if (!capture->finished) {
		atomic_store(&capture->to_sum, true);
		for (int i = 0; i < SUM_KICKS && atomic_load(&capture->to_sum); i++)
			kick(capture);
	}
	pthread_mutex_unlock(&capture->lock);
}

int capture_totals(struct capture *capture, struct region_totals *totals, uint64_t *resident)
{
	const struct region_space *space = &capture->engine.ledger.space;
	struct reader reader;
	struct status status;
	pid_t alive;
	int rc;

	if (atomic_load(&capture->engine.ledger.tally.counts))
		sum_soon(capture);
	rc = reader_open(&reader, space->base, space->limit);
	if (rc)
		return rc;
	*totals = reader.totals;
	alive = status_alive(capture_pid(capture));
	*resident = alive && !status_read(alive, 0, &status) ? status.resident_kb * 1024 : 0;
	return 0;
}

int capture_look(struct capture *capture, const struct look_options *options, struct look **ret,
		 struct err *err)
{
	int rc;

	pthread_mutex_lock(&capture->lock);
	capture->look_options = options;
	rc = request_wait(capture, REQUEST_LOOK);
	if (rc)
		*err = capture->request_err;
	else
		*ret = capture->look;
	pthread_mutex_unlock(&capture->lock);
	return rc;
}

void capture_look_end(struct capture *capture, struct look *look)
{
	pthread_mutex_lock(&capture->lock);
	capture->look = look;
	request_wait(capture, REQUEST_LOOK_END);
	pthread_mutex_unlock(&capture->lock);
}

void capture_let_exit(struct capture *capture)
{
	pthread_mutex_lock(&capture->lock);
	request_wait(capture, REQUEST_LET_EXIT);
	pthread_mutex_unlock(&capture->lock);
}

int capture_clear(struct capture *capture, struct err *err)
{
	(void)err;
	pthread_mutex_lock(&capture->lock);
	request_wait(capture, REQUEST_CLEAR);
	pthread_mutex_unlock(&capture->lock);
	return 0;
}

void capture_take_externals(struct capture *capture, struct externals *externals)
{
	pthread_mutex_lock(&capture->lock);
	capture->externals = externals;
	request_wait(capture, REQUEST_EXTERNALS);
	pthread_mutex_unlock(&capture->lock);
	externals_deinit(externals);
}

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
 * come. */
int capture_detach(struct capture *capture)
{
	unsigned taken = atomic_load(&kicks_taken), missed = 0, still = 0;
	uint64_t switches = 0;

	atomic_store(&capture->detach, true);
	pthread_mutex_lock(&capture->lock);
	while (!capture->finished && missed < STUCK_MS / KICK_MS &&
	       still < STILL_MS / KICK_MS) {
		unsigned before = taken;

		kick(capture);
		taken = atomic_load(&kicks_taken);
		missed = taken == before ? missed + 1 : 0;
		still = missed && has_slept(capture, &switches) ? still + 1 : 0;
	}
	missed = capture->finished ? 0 : missed;
	pthread_mutex_unlock(&capture->lock);
	return missed ? -ETIMEDOUT : 0;
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
