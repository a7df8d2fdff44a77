/*
 * What is asked of the tracer thread.  One request at a time: whoever asks holds the lock, and
 * waits until it is answered, so nobody else touches what it is about.
 */
#include <errno.h>
#include <signal.h>
#include <time.h>

#include "capture/capture_parts.h"
#include "capture/describe.h"
#include "capture/kept.h"
#include "capture/leave.h"
#include "capture/parts.h"
#include "capture/share.h"
#include "region/reader.h"

enum { SUM_KICKS = 4 };

/* ---- waking it ----------------------------------------------------------- */

static atomic_uint kicks_taken;

static void kick_handler(int signo)
{
	(void)signo;
	atomic_fetch_add(&kicks_taken, 1);
}

unsigned capture_kicks_taken(void)
{
	return atomic_load(&kicks_taken);
}

int capture_kick_signal(void)
{
	return SIGRTMIN + 3;
}

void capture_kick_prepare(void)
{
	/* No SA_RESTART: that is the point. */
	struct sigaction action = {.sa_handler = kick_handler};

	sigaction(capture_kick_signal(), &action, NULL);
}

void capture_kick(struct capture *capture)
{
	struct timespec until;

	pthread_kill(capture->thread, capture_kick_signal());
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += CAPTURE_KICK_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_cond_timedwait(&capture->answered, &capture->lock, &until);
}

/* ---- the tracer's side ---------------------------------------------------- */

/* The caller waits for it: nobody else touches what it is about. */
static void request_perform(struct capture *capture)
{
	struct engine *engine = &capture->engine;
	struct err *err = &capture->request_err;
	int rc = 0;

	switch (capture->request) {
	case REQUEST_SNAPSHOT:
		if (capture->is_mark)
			share_mark_begins(engine);
		rc = describe_snapshot(engine, &capture->snapshot, err);
		if (capture->is_mark) {
			share_mark_ends(engine);
			kept_write(engine);
		}
		if (!rc && capture->births)
			describe_births(engine, capture->births);
		break;
	case REQUEST_CLEAR:
		share_clear(engine);
		break;
	case REQUEST_LEAVE:
		rc = parts_have(PART_agent)
			     ? leave(engine, err)
			     : err_set(err, -ENOTSUP, "this memtrace was made without an agent");
		break;
	case REQUEST_EXTERNALS:
		engine_take_externals(engine, capture->externals);
		break;
	case REQUEST_LOOK:
		rc = look_take(engine, capture->look_options, &capture->look, err);
		break;
	case REQUEST_LOOK_END:
		look_end(engine, capture->look);
		break;
	case REQUEST_LET_EXIT:
		look_let_exit(engine);
		break;
	case REQUEST_NONE:
		break;
	}
	capture->request_rc = rc;
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
	if (atomic_exchange(&capture->to_age, false))
		share_generation_ends(&capture->engine);
	share_sum(&capture->engine);
	kept_write(&capture->engine);
	resident_measure(&capture->engine);
	program_title(&capture->engine.program, tracee_alive(&capture->engine.tracee));
	pthread_mutex_lock(&capture->lock);
	pthread_cond_broadcast(&capture->answered);
	pthread_mutex_unlock(&capture->lock);
}

void capture_requests_serve(struct capture *capture)
{
	if (atomic_exchange(&capture->to_sum, false))
		sum(capture);
	if (!atomic_exchange(&capture->kicked, false))
		return;
	if (!is_requested(capture))
		return;
	/* (it may have something to say, for which the lock is needed) */
	request_perform(capture);
	pthread_mutex_lock(&capture->lock);
	request_answer(capture);
	pthread_mutex_unlock(&capture->lock);
}

void capture_requests_finish(struct capture *capture)
{
	pthread_mutex_lock(&capture->lock);
	if (capture->request != REQUEST_NONE)
		request_perform(capture);
	capture->finished = true;
	request_answer(capture);
	pthread_mutex_unlock(&capture->lock);
}

/* ---- those who ask --------------------------------------------------------- */

/* With the lock held: asks until it is answered. */
static int request_wait(struct capture *capture, enum capture_request request)
{
	capture->request = request;
	while (capture->request != REQUEST_NONE) {
		if (capture->finished) {
			request_perform(capture);
			request_answer(capture);
			break;
		}
		atomic_store(&capture->kicked, true);
		capture_kick(capture);
	}
	return capture->request_rc;
}

int capture_leave(struct capture *capture, struct err *err)
{
	int rc;

	pthread_mutex_lock(&capture->lock);
	rc = request_wait(capture, REQUEST_LEAVE);
	if (rc)
		*err = capture->request_err;
	pthread_mutex_unlock(&capture->lock);
	return rc;
}

static int snapshot_wait(struct capture *capture, struct birth_list *births, bool is_mark,
			 struct snapshot **ret, struct err *err)
{
	int rc;

	pthread_mutex_lock(&capture->lock);
	capture->births = births;
	capture->is_mark = is_mark;
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
	return snapshot_wait(capture, NULL, false, ret, err);
}

int capture_snapshot_births(struct capture *capture, struct birth_list *births,
			    struct snapshot **ret, struct err *err)
{
	return snapshot_wait(capture, births, false, ret, err);
}

int capture_snapshot_mark(struct capture *capture, struct snapshot **ret, struct err *err)
{
	return snapshot_wait(capture, NULL, true, ret, err);
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
			capture_kick(capture);
	}
	pthread_mutex_unlock(&capture->lock);
}

int capture_totals(struct capture *capture, bool generation_ends,
		   struct region_totals *totals, struct capture_memory *memory)
{
	const struct region_space *space = &capture->engine.ledger.space;
	const struct resident *resident = &capture->engine.resident;
	struct reader reader;
	struct status status;
	pid_t alive;
	int rc;

	if (generation_ends)
		atomic_store(&capture->to_age, true);
	if (atomic_load(&capture->engine.ledger.tally.counts))
		sum_soon(capture);
	rc = reader_open(&reader, space->base, space->limit);
	if (rc)
		return rc;
	*totals = reader.totals;
	alive = status_alive(atomic_load(&capture->pid));
	*memory = (struct capture_memory){0};
	if (alive && !status_read(alive, 0, &status))
		*memory = (struct capture_memory){resident_of_program(resident, &status),
						  status.data_kb * 1024, status.resident_kb * 1024,
						  status.shared_kb * 1024};
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

void capture_clear(struct capture *capture)
{
	pthread_mutex_lock(&capture->lock);
	request_wait(capture, REQUEST_CLEAR);
	pthread_mutex_unlock(&capture->lock);
}

void capture_take_externals(struct capture *capture, struct externals *externals)
{
	pthread_mutex_lock(&capture->lock);
	capture->externals = externals;
	request_wait(capture, REQUEST_EXTERNALS);
	pthread_mutex_unlock(&capture->lock);
	externals_deinit(externals);
}
