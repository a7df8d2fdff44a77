/* A killed process is gone within a millisecond, or not at all. */
#include "serve/process_end.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { LIMIT_MS = 100 };

bool process_end(pid_t pid, int *status)
{
	pid_t got;

	kill(pid, SIGKILL);
	for (int i = 0; i < LIMIT_MS; i++) {
		do
			got = waitpid(pid, status, WNOHANG);
		while (got < 0 && errno == EINTR);
		if (got)
			return got > 0;
		poll(NULL, 0, 1);
	}
	return false;
}

int64_t process_cpu_ns(pid_t pid)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used))
		return -1;
	return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

bool process_is_waiting(pid_t pid)
{
	char path[32], text[512] = "";
	const char *state;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	state = strrchr(text, ')'); /* "(its name) S": proc(5) */
	return state && (state[2] == 'S' || state[2] == 'D');
}
