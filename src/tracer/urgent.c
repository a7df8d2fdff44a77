/* By the system calls themselves: musl's wrappers refuse (ENOSYS), as POSIX means
 * processes by them. */
#include "tracer/urgent.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_ordinary(int policy)
{
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

void urgent_begin(struct urgent *urgent)
{
	struct sched_param least = {.sched_priority = 1};

	if (urgent->on)
		return;
	urgent->policy = (int)syscall(SYS_sched_getscheduler, 0);
	urgent->on = is_ordinary(urgent->policy) &&
		     syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK,
			     &least) == 0;
}

void urgent_end(struct urgent *urgent)
{
	struct sched_param none = {0};

	if (urgent->on)
		syscall(SYS_sched_setscheduler, 0, urgent->policy, &none);
	urgent->on = false;
}
