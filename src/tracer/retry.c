/* Try, let run, try again; see retry.h. */
#include "tracer/retry.h"

#include <errno.h>

#include "tracer/inside.h"

static int stop(struct tracee *tracee, enum retry_unread unread, struct err *err)
{
	bool fetches = unread == RETRY_NECESSARY ||
		       (unread == RETRY_FETCHED && !tracee->target.unanswered);
	int rc = fetches ? inside_fetch(tracee) : 0;

	if (rc == -ETIMEDOUT && unread == RETRY_NECESSARY)
		return err_set(
			err, -ENODATA,
			"a call stack of pid %d can't be read: its pages are swapped out, "
			"or for a page server to bring, and do not come",
			tracee->pid);
	return tracee_stop(tracee, err);
}

static void thread_is_asleep(void *arg, struct thread *thread)
{
	bool *asleep = arg;

	*asleep |= thread->state == THREAD_RUNNING && !thread->in_vfork && !thread->unannounced;
}

int retry_stopped(struct tracee *tracee, const struct retry *how, int (*attempt)(void *arg),
		  void *arg, struct err *err)
{
	unsigned ms = how->first_ms, asleep_tries = 0;

	for (unsigned tries = 1;; tries++) {
		bool asleep = false;
		int rc = tracee->all_stopped ? 0 : stop(tracee, how->unread, err);

		if (!rc)
			rc = attempt(arg);
		tracee_for_each(tracee, thread_is_asleep, &asleep);
		asleep_tries += asleep;
		if (rc != -EAGAIN || tries == how->tries ||
		    (how->asleep_tries && asleep_tries == how->asleep_tries))
			return rc;
		tracee_resume(tracee);
		tracee_take_for(tracee, ms);
		ms = ms * 2 < how->last_ms ? ms * 2 : how->last_ms;
	}
}
