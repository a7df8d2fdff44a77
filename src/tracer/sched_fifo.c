/* By the system calls themselves: musl's wrappers refuse (ENOSYS), as POSIX means
 * processes by them. */
#include "tracer/sched_fifo.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool is_ordinary(int policy)
{
	return policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE;
}

void sched_fifo_begin(struct sched_fifo *sched_fifo)
{
	struct sched_param least = {.sched_priority = 1};

	if (sched_fifo->on)
		return;
	sched_fifo->policy = (int)syscall(SYS_sched_getscheduler, 0);
	sched_fifo->on = is_ordinary(sched_fifo->policy) &&
			 syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK,
				 &least) == 0;
}

void sched_fifo_end(struct sched_fifo *sched_fifo)
{
	struct sched_param none = {0};

	if (sched_fifo->on)
		syscall(SYS_sched_setscheduler, 0, sched_fifo->policy, &none);
	sched_fifo->on = false;
}
