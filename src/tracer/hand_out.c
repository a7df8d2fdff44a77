/*
 * The children of what is no more: the process has ended, or is another program, and those
 * whose first stop is still to come, or whose parent was killed before it told of them, are
 * handed out by what is known of them.
 */
#include <dirent.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tracer/children.h"
#include "tracer/runners.h"
#include "tracer/threads.h"

enum { THERE_MS = 200, EXPECTED_MS = 10000, REST_NS = 200000 };

/* What is there; or until whoever is expected has come.  Others that are still ours (who shares the
 * memory) may stop all the while, so for a time. */
static void take(struct tracee *tracee, bool expecting)
{
	const struct timespec rest = {0, REST_NS};
	int64_t end = clock_ms() + (expecting ? EXPECTED_MS : THERE_MS);
	struct stop stop;

	while ((!expecting || tracee->expected.len) && clock_ms() < end) {
		int rc = tracee_next(tracee, false, &stop);

		if (rc == 1)
			tracee->handle(tracee->handle_arg, &stop);
		else if (rc < 0 || !expecting)
			return;
		else
			nanosleep(&rest, NULL);
	}
}

/* Those that nobody will tell of, and that have not stopped yet: who is killed on the way to
 * its event reports none (ptrace_stop() in kernel/signal.c), and the child is traced. */
static void unannounced_expect(struct tracee *tracee)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	struct status status;

	while (dir && (entry = readdir(dir))) {
		pid_t pid = atoi(entry->d_name);
		struct birth birth = {.pid = pid};

		if (pid <= 0 || pid == tracee->pid ||
		    threads_find(tracee, pid) || runners_know(tracee, pid) ||
		    children_is_copy(tracee, pid) ||
		    status_read(pid, 0, &status) || status.tracer != gettid())
			continue;
		children_expected(tracee, pid, &birth);
		children_expect(tracee, &birth);
	}
	if (dir)
		closedir(dir);
}

void tracee_hand_out_children(struct tracee *tracee)
{
	struct stop stop;

	take(tracee, false);
	unannounced_expect(tracee);
	take(tracee, true);
	vec_clear(&tracee->expected); /* frozen, say: told of by nobody when it comes; no stop waits for it */
	while (children_unannounced(tracee, &stop))
		tracee->handle(tracee->handle_arg, &stop);
}
