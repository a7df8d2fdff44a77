/*
 * sampled: does what lines say, each of a letter and numbers, and answers DONE.
 *
 *   a N S    N blocks of S bytes, which stay         f N     the last N go
 *   r N S    the last N become S by realloc()        c N S   N of S bytes come and go
 *   t N S    each of four threads does c N S         k N S   and a child by fork()
 *   w        c, 1000 times 64 bytes, until a line comes
 *   q        the result
 */
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include "target.h"

static struct {
	void *at;
	size_t size;
} kept[1 << 18];
static int count;

NOINLINE static void keep(int n, size_t size)
{
	for (; n--; count++) {
		kept[count].at = got(malloc(size), size);
		kept[count].size = size;
	}
}

NOINLINE static void drop_last(int n)
{
	while (n--) {
		count--;
		if (kept[count].at)
			drop(kept[count].at, kept[count].size);
	}
}

NOINLINE static void change(int n, size_t size)
{
	for (int i = count - n; i < count; i++) {
		void *block = realloc(kept[i].at, size);

		gone(kept[i].size);
		kept[i].at = size ? got(block, size) : NULL;
		kept[i].size = size;
	}
}

NOINLINE static void come_and_go(int n, size_t size)
{
	while (n--)
		drop(got(malloc(size), size), size);
}

/* Each size by a call stack of its own. */
NOINLINE static int deeper(unsigned depth, void (*what)(int n, size_t size), int n, size_t size)
{
	volatile int below = 0;

	if (depth)
		below = deeper(depth - 1, what, n, size);
	else
		what(n, size);
	return below + 1;
}

static void by_size(void (*what)(int n, size_t size), int n, int size)
{
	deeper((unsigned)size % 17, what, n, (size_t)size);
}

struct share {
	int n;
	size_t size;
};

static void *in_thread(void *arg)
{
	const struct share *share = arg;

	come_and_go(share->n, share->size);
	return NULL;
}

static void in_threads(struct share share)
{
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		if (pthread_create(&thread[i], NULL, in_thread, &share))
			abort();
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
}

static void in_child(int n, size_t size)
{
	pid_t child = fork();

	if (!child) {
		for (int i = 0; i < count; i++)
			free(kept[i].at);
		while (n--)
			target_kept[n % 8] = malloc(size);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void until_a_line(void)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};

	do
		come_and_go(1000, 64);
	while (!poll(&in, 1, 0));
	await_test();
}

/* A line by single reads: what follows it is the next command's. */
static int command(char *letter, int *n, int *size)
{
	char line[64];
	size_t len = 0;

	while (len + 1 < sizeof(line) && read(0, line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = 0;
	*n = *size = 0;
	return sscanf(line, "%c %d %d", letter, n, size);
}

int main(void)
{
	char letter;
	int n, size;

	say("READY %d\n", getpid());
	while (command(&letter, &n, &size) > 0 && letter != 'q') {
		if (letter == 'a')
			by_size(keep, n, size);
		else if (letter == 'f')
			drop_last(n);
		else if (letter == 'r')
			by_size(change, n, size);
		else if (letter == 'c')
			by_size(come_and_go, n, size);
		else if (letter == 't')
			in_threads((struct share){n, (size_t)size});
		else if (letter == 'k')
			in_child(n, (size_t)size);
		else if (letter == 'w')
			until_a_line();
		say("DONE\n");
	}
	return target_result(NULL);
}
