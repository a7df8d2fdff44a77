/*
 * stays: does what lines say, each of a letter and a number N, and answers DONE N.
 *
 *   a N  N blocks of 100 bytes, which stay       b N  the same of 200, by other functions
 *   f N  the last N go                           r N  the first N become 150 by realloc()
 *   t N  a new thread makes N of 300             l N  a library comes and goes N times (argv[1])
 *   s N  eight threads make and drop N blocks each
 *   q    the result
 */
#include <dlfcn.h>
#include <pthread.h>

#include "target.h"

static struct {
	void *at;
	size_t size;
} kept[1 << 16];
static int count;

static void keep(size_t size)
{
	kept[count++].at = got(malloc(size), size);
	kept[count - 1].size = size;
}

NOINLINE static void first_way(int n)
{
	for (int i = 0; i < n; i++)
		keep(100);
}

NOINLINE static void other_way(int n)
{
	for (int i = 0; i < n; i++)
		keep(200);
}

NOINLINE static void grow(int n)
{
	for (int i = 0; i < n; i++) {
		void *block = realloc(kept[i].at, 150);
		gone(kept[i].size);
		kept[i].at = got(block, 150);
		kept[i].size = 150;
	}
}

static void drop_last(int n)
{
	while (n--) {
		count--;
		drop(kept[count].at, kept[count].size);
	}
}

static void *in_thread(void *arg)
{
	for (long i = 0; i < (long)arg; i++)
		keep(300);
	return NULL;
}

static void *in_storm(void *arg)
{
	uint32_t state = (uint32_t)(uintptr_t)&arg;
	for (long i = 0; i < (long)arg; i++) {
		size_t size = 16 + dice(&state) % 200;
		drop(got(malloc(size), size), size);
	}
	return NULL;
}

static void threads(int number, void *(*run)(void *), int n)
{
	pthread_t thread[8];
	for (int i = 0; i < number; i++)
		pthread_create(&thread[i], NULL, run, (void *)(long)n);
	for (int i = 0; i < number; i++)
		pthread_join(thread[i], NULL);
}

static void libraries(const char *path, int n)
{
	for (int i = 0; i < n; i++) {
		void *handle = dlopen(path, RTLD_NOW);
		if (!handle)
			target_fail("%s", dlerror());
		else
			dlclose(handle);
	}
}

static int line_read(char *line, int room)
{
	int len = 0;
	while (len < room - 1 && read(0, line + len, 1) == 1 && line[len] != '\n')
		len++;
	line[len] = 0;
	return len;
}

int main(int argc, char **argv)
{
	char line[64];
	say("READY %d\n", getpid());
	while (line_read(line, sizeof(line)) && *line != 'q') {
		int n = atoi(line + 1);
		switch (*line) {
		case 'a': first_way(n); break;
		case 'b': other_way(n); break;
		case 'f': drop_last(n); break;
		case 'r': grow(n); break;
		case 't': threads(1, in_thread, n); break;
		case 's': threads(8, in_storm, n); break;
		case 'l': libraries(argc > 1 ? argv[1] : "", n); break;
		}
		say("DONE %d\n", n);
	}
	return target_result(NULL);
}
