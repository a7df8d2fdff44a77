/*
 * pairs THREADS DEPTH MILLISECONDS: malloc+free pairs, in threads, DEPTH frames below
 * the thread's function.  For every line of the test it runs so long, and answers
 *     PAIRS <pairs of all threads> <nanoseconds> <slowest thread> <fastest thread>
 * A warm-up pass before READY takes what the first calls cost.
 */
#include <pthread.h>

#include "target.h"

enum { MOST = 64 };

static int depth, threads_count;
static int64_t length;
static volatile int64_t end;
static unsigned long made[MOST];
static pthread_barrier_t gate;
static volatile unsigned long sink;

NOINLINE static void pairs_leaf(unsigned long *count)
{
	do {
		for (int i = 0; i < 16; i++) {
			char *volatile block = malloc(16 + i * 8);
			free(block);
		}
		*count += 16;
	} while (now_ns() < end);
}

NOINLINE static void pairs_dive(int left, unsigned long *count)
{
	volatile char pad[24];
	pad[0] = left;
	if (left > 0)
		pairs_dive(left - 1, count);
	else
		pairs_leaf(count);
	sink += pad[0];
}

static void *pairing(void *arg)
{
	unsigned long *count = arg;
	for (;;) {
		pthread_barrier_wait(&gate);
		if (end == 0)
			return NULL;
		*count = 0;
		pairs_dive(depth, count);
		pthread_barrier_wait(&gate);
	}
}

static int more_wanted(void)
{
	char c = 0;
	ssize_t n;
	while ((n = read(0, &c, 1)) < 0 && errno == EINTR)
		;
	return n == 1 && c == '\n';
}

int main(int argc, char **argv)
{
	threads_count = argc > 1 ? atoi(argv[1]) : 1;
	depth = argc > 2 ? atoi(argv[2]) : 5;
	length = (argc > 3 ? atoi(argv[3]) : 500) * 1000000ll;
	if (threads_count < 1 || threads_count > MOST)
		return 2;
	pthread_t threads[MOST];
	pthread_barrier_init(&gate, NULL, threads_count + 1);
	for (int i = 0; i < threads_count; i++)
		pthread_create(&threads[i], NULL, pairing, &made[i]);
	for (int pass = 0;; pass++) {
		if (pass == 1)
			say("READY %d\n", getpid());
		if (pass && !more_wanted())
			break;
		int64_t begin = now_ns();
		end = begin + (pass ? length : 1000000);
		pthread_barrier_wait(&gate);
		pthread_barrier_wait(&gate);
		int64_t took = now_ns() - begin;
		unsigned long sum = 0, least = ~0ul, most = 0;
		for (int i = 0; i < threads_count; i++) {
			sum += made[i];
			least = made[i] < least ? made[i] : least;
			most = made[i] > most ? made[i] : most;
		}
		if (pass)
			say("PAIRS %lu %lld %lu %lu\n", sum, (long long)took, least, most);
	}
	end = 0;
	pthread_barrier_wait(&gate);
	for (int i = 0; i < threads_count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
