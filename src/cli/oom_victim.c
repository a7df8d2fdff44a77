/*
 * When memory runs out the kernel ends whom it finds worst (oom_score_adj in proc(5)).  That is to
 * be memtrace, not the process that it watches nor another one of a small device: from the moment
 * when the process runs we stand first.  The guardian, which is there by then, keeps its own place, and puts
 * the process back.  What we start is not to go for us: programs that we watch are started before,
 * and for the user's commands we step back.
 *
 * Whoever raises his own number needs no right, and none to take it back down to where it was.
 */
#include "cli/oom_victim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { FIRST = 1000 }; /* OOM_SCORE_ADJ_MAX, include/uapi/linux/oom.h */

static bool put(int number)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", number);
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, (size_t)len) == len;

	if (fd >= 0)
		close(fd);
	return done;
}

void oom_victim_offer(struct oom_victim *victim)
{
	char text[16];
	int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (len <= 0 || victim->offered)
		return;
	text[len] = '\0';
	victim->before = atoi(text);
	victim->offered = put(FIRST);
}

void oom_victim_withdraw(struct oom_victim *victim)
{
	victim->offered = victim->offered && !put(victim->before);
}
