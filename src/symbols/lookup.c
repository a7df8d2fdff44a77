/*
 * getaddrinfo() takes as long as the name servers let it, half a minute where they are dead,
 * and can't be ended.  So a thread asks, and whoever does not wait any longer leaves the
 * question to it:
 *
 *    lookup() --> question --> thread: getaddrinfo()
 *       | waits <------------------+  the last of the two to leave frees the question
 */
#include "symbols/lookup.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

struct question {
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool answered, left;
	struct endpoint endpoint;
	struct addrinfo hints, *list;
	int failed; /* EAI_* */
	int system; /* errno of EAI_SYSTEM */
};

/* A thread still waits for a name that nobody waits for any longer. */
static atomic_bool busy;

static void ask(struct question *q)
{
	const char *host = *q->endpoint.host ? q->endpoint.host : NULL;

	q->failed = getaddrinfo(host, q->endpoint.port, &q->hints, &q->list);
	q->system = errno;
}

static void question_free(struct question *q)
{
	pthread_cond_destroy(&q->news);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static void *ask_main(void *arg)
{
	struct question *q = arg;
	bool left;

	ask(q);
	pthread_mutex_lock(&q->lock);
	q->answered = true;
	left = q->left;
	pthread_cond_signal(&q->news);
	pthread_mutex_unlock(&q->lock);
	if (!left)
		return NULL;
	if (!q->failed)
		freeaddrinfo(q->list);
	question_free(q);
	atomic_store(&busy, false);
	return NULL;
}

static struct question *question_make(const struct endpoint *endpoint,
				      const struct addrinfo *hints)
{
	struct question *q = calloc(1, sizeof(*q));
	pthread_condattr_t attr;

	if (!q)
		return NULL;
	q->endpoint = *endpoint;
	q->hints = *hints;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->news, &attr);
	pthread_condattr_destroy(&attr);
	return q;
}

/* Runs beside us, without signals: those are for our threads.  0 or -errno. */
static int thread_start(struct question *q)
{
	pthread_t thread;
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, NULL, ask_main, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!rc)
		pthread_detach(thread);
	return -rc;
}

/* Did the answer come in time?  If not, the question is the thread's from now on. */
static bool wait_for(struct question *q, unsigned limit_ms)
{
	int64_t until = clock_ms() + limit_ms;
	struct timespec at = {until / 1000, until % 1000 * 1000000};
	int rc = 0;

	pthread_mutex_lock(&q->lock);
	while (!q->answered && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&q->news, &q->lock, &at);
	q->left = !q->answered;
	if (q->left)
		atomic_store(&busy, true);
	rc = q->answered;
	pthread_mutex_unlock(&q->lock);
	return rc;
}

static int result(const struct question *q, struct addrinfo **ret, struct err *err)
{
	*ret = q->list;
	if (q->failed == EAI_SYSTEM)
		return err_sys(err, -q->system, "%s", q->endpoint.host);
	if (q->failed)
		return err_set(err, -EHOSTUNREACH, "%s: %s", q->endpoint.host,
			       gai_strerror(q->failed));
	return 0;
}

static int too_late(const struct endpoint *endpoint, struct err *err)
{
	return err_set(err, -ETIMEDOUT, "%s: no answer from the name servers", endpoint->host);
}

/* In a thread, as it may take long. */
static int look_up_name(const struct endpoint *endpoint, const struct addrinfo *hints,
			unsigned limit_ms, struct addrinfo **ret, struct err *err)
{
	struct question *q;
	int rc;

	if (atomic_load(&busy))
		return too_late(endpoint, err);
	q = question_make(endpoint, hints);
	rc = q ? thread_start(q) : -ENOMEM;
	if (rc) {
		if (q)
			question_free(q);
		return err_sys(err, rc, "%s", endpoint->host);
	}
	if (!wait_for(q, limit_ms))
		return too_late(endpoint, err);
	rc = result(q, ret, err);
	question_free(q);
	return rc;
}

int lookup(const struct endpoint *endpoint, bool passive, unsigned limit_ms,
	   struct addrinfo **ret, struct err *err)
{
	struct question q = {.endpoint = *endpoint};

	q.hints.ai_socktype = SOCK_STREAM;
	q.hints.ai_flags = (passive ? AI_PASSIVE : 0) | AI_NUMERICSERV | AI_NUMERICHOST;
	ask(&q); /* an address needs nobody to ask */
	if (q.failed != EAI_NONAME)
		return result(&q, ret, err);
	q.hints.ai_flags &= ~AI_NUMERICHOST;
	return look_up_name(endpoint, &q.hints, limit_ms, ret, err);
}
