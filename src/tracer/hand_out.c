/*
 * The children of what is no more: the process has ended, or is another program, and those
 * whose first stop is still to come, or whose parent was killed before it told of them, are
 * handed out by what is known of them.
 */
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "tracer/children.h"
#include "tracer/runners.h"
#include "tracer/threads.h"

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

		if (pid <= 0 || pid == tracee->pid || pid == tracee->parked ||
		    pid == tracee->wrapper || /* (asleep in vfork() when it was let go) */
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
	int rc = 1;

	while (tracee_next(tracee, false, &stop) == 1)
		tracee->handle(tracee->handle_arg, &stop);
	unannounced_expect(tracee);
	while (tracee->expected.len && rc >= 0) {
		rc = tracee_next(tracee, true, &stop);
		if (rc == 1)
			tracee->handle(tracee->handle_arg, &stop);
	}
	while (children_unannounced(tracee, &stop))
		tracee->handle(tracee->handle_arg, &stop);
}
