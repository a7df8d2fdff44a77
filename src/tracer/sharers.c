/*
 * A child by clone(CLONE_VM), or by vfork() that has not gone its way yet, runs the code
 * that we patch.  Whoever was made before we came is told of by no event, and is in no
 * list of threads: all processes are looked at.
 */
#include "tracer/sharers.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { REST_NS = 500000, RESTS = 40 };

bool sharers_share(pid_t pid, pid_t other)
{
	return syscall(SYS_kcmp, pid, other, KCMP_VM, 0, 0) == 0;
}

/* (One that ends meanwhile has no threads.) */
static int threads_add_of(pid_t pid, struct tid_list *ret)
{
	struct tid_list tids = {0};
	int rc = status_threads(pid, &tids);

	for (size_t i = 0; i < tids.len && rc != -ENOMEM; i++)
		rc = vec_push(ret, tids.at[i]) ? 0 : -ENOMEM;
	vec_deinit(&tids);
	return rc == -ENOMEM ? rc : 0;
}

int sharers_list(pid_t pid, struct tid_list *ret)
{
	pid_t alive = status_alive(pid);
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	int rc = 0;

	if (!dir)
		return -errno;
	vec_clear(ret);
	while (!rc && (entry = readdir(dir))) {
		pid_t other =
			isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;

		if (other > 0 && other != pid && sharers_share(alive, other))
			rc = threads_add_of(other, ret);
	}
	closedir(dir);
	return rc;
}

static bool any_is_free(pid_t pid, const struct tid_list *tids)
{
	struct status status;

	for (size_t i = 0; i < tids->len; i++)
		if (sharers_share(pid, tids->at[i]) && !status_read(tids->at[i], 0, &status) &&
		    status.tracer != gettid())
			return true;
	return false;
}

void sharers_wait(pid_t pid, const struct tid_list *tids)
{
	const struct timespec rest = {0, REST_NS};
	pid_t alive = status_alive(pid);

	for (int i = 0; i < RESTS && any_is_free(alive, tids); i++)
		nanosleep(&rest, NULL);
}
