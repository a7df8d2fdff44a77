/* The tracer thread follows the tracee from core to core, by sched_setaffinity(2) of
 * itself; the target's own affinity is not touched. */
#include "tracer/affinity.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"

enum { FIELD_PROCESSOR = 39 }; /* of /proc/PID/stat, proc(5); state is 3 */

/* -1: not known. */
static int thread_cpu(pid_t pid, pid_t tid)
{
	char path[64], text[1024];
	const char *at;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	scope_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return -1;
	text[n] = 0;
	at = strrchr(text, ')'); /* the name may hold anything */
	for (int field = 2; at && field < FIELD_PROCESSOR; field++)
		at = strchr(at + 1, ' ');
	return at ? atoi(at + 1) : -1;
}

void affinity_init(struct affinity *affinity)
{
	affinity->stops = 0;
	affinity->cpu = -1;
}

void affinity_follow(struct affinity *affinity, pid_t pid, pid_t tid)
{
	cpu_set_t set;
	int cpu;

	if (++affinity->stops % AFFINITY_EVERY)
		return;
	cpu = thread_cpu(pid, tid);
	if (cpu < 0 || cpu == affinity->cpu || cpu >= CPU_SETSIZE)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == 0)
		affinity->cpu = cpu;
}
