/*
 * Programs of which it is known whether they leak, at a fast clock: what they do in hours is here
 * done in seconds.  truth NAME: until it is ended.  What is named leaky_*() leaks, and nothing
 * else does.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TICK_NS = 10 * 1000 * 1000, SECOND = 100, MANY = 1 << 16 };
#define CALL __attribute__((noinline, noclone))

static void *volatile sink;
static void *kept[MANY];
static unsigned tick, count;

static unsigned chance(unsigned n)
{
	static uint32_t state = 2463534242u;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % n;
}

CALL static void leaky_call(void)
{
	sink = malloc(40);
}

CALL static void traffic(void)
{
	for (int i = 0; i < 4; i++) {
		void *volatile block = malloc(100);

		free(block);
	}
}

/* Requests stay for up to half a second. */
CALL static void request(void)
{
	unsigned i = chance(50);

	free(kept[i]);
	kept[i] = malloc(64 + chance(500));
}

static void leak(void)
{
	traffic();
	request();
	if (!chance(4))
		leaky_call();
}

static void leak_of_one_site(void) /* of whose calls most are freed */
{
	void *p = NULL;

	for (int i = 0; i < 3; i++) {
		extern void *leaky_maybe(void);

		free(p);
		p = leaky_maybe();
	}
	if (chance(5))
		free(p);
}

CALL void *leaky_maybe(void)
{
	void *volatile block = malloc(72);

	return block;
}

static void leak_per_error(void)
{
	traffic();
	if (!chance(20))
		for (unsigned n = 1 + chance(6); n; n--)
			leaky_call();
}

CALL static void fill(unsigned entries) /* an LRU cache */
{
	free(kept[count % entries]);
	kept[count++ % entries] = malloc(128);
}

static void cache(void)
{
	fill(3 * SECOND);
}

static void cache_swapped_out(void)
{
	if (tick % (5 * SECOND) == 0)
		for (; count; count--) {
			free(kept[count - 1]);
			kept[count - 1] = NULL;
		}
	fill(MANY);
}

CALL static void pool(void) /* that doubles */
{
	static unsigned size = 4;

	if (tick >= size * SECOND / 4) {
		for (unsigned i = 0; i < size; i++)
			kept[count++] = malloc(512);
		size *= 2;
	}
}

CALL static void log_line(void) /* rotated */
{
	if (count == 4 * SECOND)
		for (; count; count--)
			free(kept[count - 1]);
	kept[count++] = malloc(60);
}

static void load_doubles(void)
{
	for (int i = tick < 12 * SECOND ? 1 : 2; i; i--)
		request();
}

static void load_stops(void)
{
	if (tick < 12 * SECOND)
		request();
}

CALL static void start_up(void)
{
	if (tick == 3 * SECOND)
		for (int i = 0; i < 500; i++)
			kept[i] = malloc(32);
	traffic();
}

CALL static void children(void) /* a fork server's table of them */
{
	pid_t child;

	if (tick % 20)
		return;
	child = fork();
	if (!child) {
		usleep(300 * 1000);
		_exit(0);
	}
	kept[count++ % 64] = malloc(200);
	while (waitpid(-1, NULL, WNOHANG) > 0) {
		static unsigned ended;

		free(kept[ended % 64]);
		kept[ended++ % 64] = NULL;
	}
}

static const struct {
	const char *name;
	void (*step)(void);
} programs[] = {
	{"leak", leak},
	{"leak_of_one_site", leak_of_one_site},
	{"leak_per_error", leak_per_error},
	{"cache", cache},
	{"cache_swapped_out", cache_swapped_out},
	{"pool", pool},
	{"log", log_line},
	{"load_doubles", load_doubles},
	{"load_stops", load_stops},
	{"start_up", start_up},
	{"fork_server", children},
};

int main(int argc, char **argv)
{
	const struct timespec pause = {0, TICK_NS};

	for (size_t i = 0; argc == 2 && i < sizeof(programs) / sizeof(*programs); i++)
		for (; !strcmp(argv[1], programs[i].name); tick++) {
			programs[i].step();
			nanosleep(&pause, NULL);
		}
	return 2;
}
