/*
 * torture ROUNDS: stacks with everything the psABI allows.  Signals on the ordinary and
 * on an alternate stack, in the middle of a function and in its prologue; frames of 70
 * KB, with alloca, realigned to 64; callbacks from libc; functions that never return;
 * coroutines.
 *
 * It all runs in a thread whose alternate stack lies just below its own, so that what
 * is recorded from the stack pointer upwards holds both.
 */
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "target.h"

enum { ALTERNATE = 32 * 1024, STACK = 160 * 1024, CORO = 32 * 1024 };

static jmp_buf way_out;
static volatile int sink;
static char *stacks; /* [alternate | coroutine | the thread's own] */
static int rounds = 300;
static ucontext_t here, there;

NOINLINE static void take(int size)
{
	void *block = malloc(size);
	__asm__ volatile("" ::"r"(block) : "memory");
	free(block);
	__asm__ volatile("");
}

NOINLINE static void with_alloca(int n)
{
	char *room = alloca((n & 1023) + 1);
	memset(room, 1, (n & 1023) + 1);
	take(n);
	sink += room[0];
}

__attribute__((noinline, noreturn)) static void never_returns(int n)
{
	take(n);
	longjmp(way_out, 1);
}

NOINLINE static void calls_noreturn(int n)
{
	sink++;
	never_returns(n); /* the return address is behind the function's end */
}

NOINLINE static void wide(int n)
{
	volatile char room[70000];
	room[n] = 1;
	take(n);
	sink += room[n];
}

__attribute__((noinline, force_align_arg_pointer)) static void realigned(int n)
{
	__attribute__((aligned(64))) volatile char room[64];
	room[n & 63] = 2;
	take(n);
	with_alloca(n);
	sink += room[n & 63];
}

NOINLINE static void realigned_alloca(int n, int m)
{
	__attribute__((aligned(128))) volatile char room[128];
	char *more = alloca(m + 1);
	more[0] = 1;
	room[n & 63] = 2;
	take(n);
	take(n + 1);
	sink += room[n & 63] + more[0];
}

NOINLINE static void many_arguments(long a, long b, long c, long d, long e, long f, long g,
				    long h, long i)
{
	take(a + b + c + d + e + f + g + h + i);
	sink++;
}

NOINLINE static void wander(int depth, int n, uint32_t *seed)
{
	if (depth <= 0) {
		take(n);
		return;
	}
	switch (dice(seed) % 7) {
	case 0:
		wander(depth - 1, n, seed);
		break;
	case 1:
		with_alloca(n);
		wander(depth - 2, n, seed);
		break;
	case 2:
		wide(n);
		wander(depth - 1, n, seed);
		break;
	case 3:
		realigned(n);
		wander(depth - 1, n, seed);
		break;
	case 4:
		realigned_alloca(n, n & 255);
		wander(depth - 3, n, seed);
		break;
	case 5:
		many_arguments(1, 2, 3, 4, 5, 6, 7, 8, n);
		wander(depth - 1, n, seed);
		break;
	default:
		if (!setjmp(way_out))
			calls_noreturn(n);
		wander(depth - 1, n, seed);
	}
	sink++;
}

static volatile int alarms;

static void on_signal(int signo)
{
	take(signo);
	with_alloca(100);
	if (signo == SIGALRM)
		alarms++;
}

static int compare(const void *a, const void *b)
{
	take(8);
	return *(const int *)a - *(const int *)b;
}

NOINLINE static void callbacks(uint32_t *seed)
{
	int values[30];
	for (int i = 0; i < 30; i++)
		values[i] = dice(seed);
	qsort(values, 30, sizeof(*values), compare);
}

/* Interrupts a loop wherever it stands; the loop calls nothing that allocates. */
NOINLINE static int leaf_function(int n)
{
	return n * 3 + 1;
}

NOINLINE static void interrupted(void)
{
	const struct itimerval soon = {.it_value = {0, 400}};

	for (int i = 0; i < rounds; i++) {
		int before = alarms;

		setitimer(ITIMER_REAL, &soon, NULL);
		while (alarms == before)
			for (int n = 0; n < 100; n++)
				sink += leaf_function(n);
	}
}

static void coroutine(void)
{
	uint32_t seed = 11;
	for (;;) {
		with_alloca(200);
		many_arguments(1, 2, 3, 4, 5, 6, 7, 8, dice(&seed) % 100);
		swapcontext(&there, &here);
	}
}

static void *body(void *arg)
{
	uint32_t seed = 4711;
	stack_t alternate = {.ss_sp = stacks, .ss_size = ALTERNATE};
	sigaltstack(&alternate, NULL);
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	action.sa_flags = 0;
	sigaction(SIGUSR2, &action, NULL);
	getcontext(&there);
	there.uc_stack.ss_sp = stacks + ALTERNATE;
	there.uc_stack.ss_size = CORO;
	there.uc_link = &here;
	makecontext(&there, coroutine, 0);
	for (int i = 0; i < rounds; i++) {
		wander(12, i & 1023, &seed);
		if (i % 10 == 0)
			raise(SIGUSR1);
		if (i % 10 == 1)
			raise(SIGUSR2);
		if (i % 50 == 0)
			callbacks(&seed);
		if (i % 5 == 0)
			swapcontext(&here, &there);
	}
	interrupted();
	return arg;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		rounds = atoi(argv[1]);
	stacks = mmap(NULL, ALTERNATE + CORO + STACK, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	pthread_attr_setstack(&attr, stacks + ALTERNATE + CORO, STACK);
	target_ready();
	/* the timer's signals are the thread's alone */
	sigset_t alarm;
	sigemptyset(&alarm);
	pthread_t thread;
	pthread_create(&thread, &attr, body, NULL);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm, NULL);
	pthread_join(thread, NULL);
	target_done();
	return target_result(NULL);
}
