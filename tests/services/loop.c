/* A service with an event loop: each failed request is lost, with its text; and a cache that grows.
 * A line on its input is 100 failed requests, and 100 that it keeps. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct request { char *volatile text; struct request *next; };
static struct request **cache;
static int cached;

__attribute__((noinline)) static void fail(int number)
{
	struct request *volatile r = malloc(sizeof(*r)); /* the leak: with its text */
	r->text = malloc(100);
	snprintf(r->text, 100, "GET /missing/%d", number);
}

__attribute__((noinline)) static void keep(int number)
{
	struct request *r = calloc(1, 1000);
	r->next = NULL;
	cache[cached++] = r;
	(void)number;
}

int main(void)
{
	char line[64];
	struct pollfd fds = {0, POLLIN, 0};
	cache = calloc(100000, sizeof(*cache));
	for (int i = 0; i < 100; i++) { fail(i); keep(i); }
	if (write(1, "READY\n", 6) != 6)
		return 1;
	while (poll(&fds, 1, -1) == 1 && read(0, line, sizeof(line)) > 0) {
		for (int i = 0; i < 100; i++) { fail(i); keep(i); }
		char *volatile clean = calloc(1, 4096); /* nothing of them stays on the stack */
		free(clean);
		if (write(1, "OK\n", 3) != 3)
			return 1;
	}
	return 0;
}
