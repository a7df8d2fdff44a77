/*
 * Known call stacks, told apart by the size that is allocated.  "@name" marks the line
 * of a call; test_frames.py looks for it.
 */
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

static void *volatile kept[64];
static volatile int count, sink;
static volatile size_t wanted;

NOINLINE static void leaf(size_t size)
{
	kept[count] = malloc(size); /* @leaf */
	count++;
}

NOINLINE static void middle(size_t size)
{
	leaf(size); /* @middle */
	sink++;
}

NOINLINE static void with_alloca(size_t size)
{
	char *room = alloca(size);

	memset(room, 1, size);
	leaf(size + (size_t)room[size / 2] - 1); /* @with_alloca */
	sink += room[0];
}

/* Callee-saved registers are in use, floating-point ones too. */
NOINLINE static double busy(size_t size, double a, double b, double c)
{
	double x = a * b, y = b * c;

	middle(size); /* @busy */
	return x + y + a * c;
}

NOINLINE static int compare(const void *a, const void *b)
{
	if (wanted) {
		size_t size = wanted;

		wanted = 0;
		leaf(size); /* @compare */
	}
	return *(const int *)a - *(const int *)b;
}

NOINLINE static void through_libc(size_t size)
{
	int numbers[4] = {4, 3, 2, 1};

	wanted = size;
	qsort(numbers, 4, sizeof(numbers[0]), compare); /* @through_libc */
	sink += numbers[0];
}

NOINLINE static void deeper(size_t size, int left)
{
	if (left)
		deeper(size, left - 1); /* @deeper */
	else
		middle(size); /* @deepest */
	sink++;
}

static void on_signal(int signo)
{
	leaf(signo == SIGUSR1 ? 1010 : 0); /* @on_signal */
	sink++;
}

NOINLINE static void interrupted(void)
{
	raise(SIGUSR1); /* @interrupted */
	sink++;
}

static void *in_thread(void *arg)
{
	middle((size_t)arg); /* @in_thread */
	return NULL;
}

int main(void)
{
	pthread_t thread;

	signal(SIGUSR1, on_signal);
	middle(501);			/* @main501 */
	with_alloca(502);		/* @main502 */
	sink += (int)busy(503, 1, 2, 3); /* @main503 */
	through_libc(504);		/* @main504 */
	deeper(505, 20);		/* @main505 */
	interrupted();			/* @main506 */
	pthread_create(&thread, NULL, in_thread, (void *)507);
	pthread_join(thread, NULL);
	return write(1, "END\n", 4) != 4;
}
