/* Says "hit N" for the N-th SIGINT or SIGQUIT, and "N hits" at the end of its input.
 * (Not python: a signal just before its read() is noticed after it only.) */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile sig_atomic_t hits;

static void hit(int signo)
{
	(void)signo;
	hits++;
	dprintf(1, "hit %d\n", (int)hits);
}

int main(void)
{
	char byte;
	ssize_t got;

	signal(SIGINT, hit);
	signal(SIGQUIT, hit);
	dprintf(1, "ready\n");
	do
		got = read(0, &byte, 1);
	while (got > 0 || (got < 0 && errno == EINTR));
	dprintf(1, "%d hits\n", (int)hits);
	return 0;
}
