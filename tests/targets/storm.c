/*
 * storm [-t THREADS] [-f] [-v] [-b] [-s]: threads that allocate as fast as they can, fill
 * what they got with a pattern, hand blocks to each other and check the pattern before
 * every realloc and free.  A line from the test ends it.  What it is for: somebody
 * attaches, detaches, is killed meanwhile, and the sums must still be right.  READY when
 * it blows; it does not end before a child, and a signal, has come if there are any.
 *
 *   -f   a thread forks over and over; each child allocates, checks, exits with 11
 *   -v   every second of these children shares our memory, though it is no vfork
 *   -b   every second thread blocks all signals
 *   -s   a thread sends SIGUSR2 to another one, each counted on arrival
 *   -S   the same, but one that does not arrive is counted, not a fault
 *   -x   a seccomp filter forbids it to send signals
 *   -p   pauses: a thread rests now and then, so that threads are also met asleep
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "filter.h"

enum { MOST = 64, SLOTS = 64, POOL = 128, BLOWS = 1000, ARRIVES_MS = 60000 };

struct block {
	uint32_t size, key;
	unsigned char bytes[];
};

static volatile int stop;
static int pauses, blocking, may_lose, sharing;
static unsigned long turns, children, signals_sent, signals_seen, signals_lost, signal_ms;
static struct block *pool[POOL];
static pthread_t threads[MOST];

static void paint(struct block *block, size_t size, uint32_t key)
{
	block->size = size;
	block->key = key;
	memset(block->bytes, key & 0xff, size - sizeof(*block));
}

static void check(const struct block *block, size_t upto)
{
	for (size_t i = 0; i < upto - sizeof(*block); i++)
		if (block->bytes[i] != (block->key & 0xff)) {
			target_fail("a block of %u bytes is damaged at %zu", block->size, i);
			return;
		}
}

NOINLINE static struct block *storm_alloc(uint32_t *seed)
{
	uint32_t r = dice(seed);
	size_t size = sizeof(struct block) + r % 400;
	struct block *block = NULL;
	switch (r >> 28) {
	case 0:
		block = calloc(1, size);
		break;
	case 1:
		if (posix_memalign((void **)&block, 64, size))
			block = NULL;
		break;
	case 2:
		block = aligned_alloc(32, size);
		break;
	default:
		block = malloc(size);
	}
	got(block, size);
	if (r >> 28 == 0)
		check(block, size); /* zeroed: but for the tally's mark */
	paint(block, size, r);
	return block;
}

NOINLINE static void storm_free(struct block *block)
{
	check(block, block->size);
	drop(block, block->size);
}

NOINLINE static struct block *storm_realloc(struct block *block, uint32_t *seed)
{
	uint32_t old = block->size, size = sizeof(*block) + dice(seed) % 800;
	struct block *next = realloc(block, size);
	gone(old);
	got(next, size);
	next->size = size;
	check(next, size < old ? size : old);
	paint(next, size, dice(seed));
	return next;
}

static void *storming(void *arg)
{
	uint32_t seed = 100 + (uintptr_t)arg;
	struct block *own[SLOTS] = {NULL};
	if (blocking && (uintptr_t)arg % 2) {
		sigset_t all;
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, NULL);
	}
	while (!stop) {
		struct block **slot = &own[dice(&seed) % SLOTS];
		if (!*slot)
			*slot = storm_alloc(&seed);
		else if (seed % 7 == 0)
			*slot = storm_realloc(*slot, &seed);
		else if (seed % 3 == 0)
			*slot = __atomic_exchange_n(&pool[dice(&seed) % POOL], *slot,
						    __ATOMIC_ACQ_REL);
		else {
			storm_free(*slot);
			*slot = NULL;
		}
		ADD(turns, 1);
		if (pauses && seed % 64 == 0) {
			struct timespec rest = {.tv_nsec = 1000000};
			nanosleep(&rest, NULL);
		}
	}
	for (int i = 0; i < SLOTS; i++)
		if (own[i])
			storm_free(own[i]);
	return NULL;
}

static int sharing_child(void *arg)
{
	struct timespec rest = {.tv_nsec = 1000000};
	(void)arg;
	nanosleep(&rest, NULL);
	_exit(11);
}

static pid_t new_child(void)
{
	static _Alignas(16) char stack[65536];
	static int turn;
	if (sharing && turn++ % 2)
		return clone(sharing_child, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
	return fork();
}

static void *forking(void *arg)
{
	while (!stop) {
		pid_t pid = new_child();
		if (pid == 0) {
			uint32_t seed = 3;
			for (int i = 0; i < 50; i++)
				storm_free(storm_realloc(storm_alloc(&seed), &seed));
			_exit(strcmp(target_verdict, "ok") ? 12 : 11);
		}
		int status = 0;
		while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 11)
			target_fail("a fork child ended with 0x%x", status);
		ADD(children, 1);
		struct timespec rest = {.tv_nsec = 2000000};
		nanosleep(&rest, NULL);
	}
	return arg;
}

static void on_usr2(int signo)
{
	ADD(signals_seen, signo == SIGUSR2);
}

static void *signalling(void *arg)
{
	while (!stop) {
		unsigned long want = signals_sent + 1;
		pthread_kill(threads[0], SIGUSR2);
		signals_sent = want;
		int64_t sent = now_ns(), end = sent + ARRIVES_MS * 1000000ll;
		while (READ(signals_seen) < want && now_ns() < end && !stop)
			sched_yield();
		unsigned long took = (unsigned long)(now_ns() - sent) / 1000000;
		signal_ms = took > signal_ms ? took : signal_ms;
		if (READ(signals_seen) != want && !stop) {
			if (!may_lose)
				target_fail("SIGUSR2: %lu sent, %lu seen", want,
					    READ(signals_seen));
			signals_lost++;
			signals_sent = READ(signals_seen);
		}
		struct timespec rest = {.tv_nsec = 1000000};
		nanosleep(&rest, NULL);
	}
	return arg;
}

int main(int argc, char **argv)
{
	int count = 8, option, forks = 0, sends = 0;
	while ((option = getopt(argc, argv, "t:fvbsSpx")) != -1) {
		count = option == 't' ? atoi(optarg) : count;
		forks |= option == 'f';
		sharing |= option == 'v';
		blocking |= option == 'b';
		sends |= option == 's' || option == 'S';
		may_lose |= option == 'S';
		pauses |= option == 'p';
		if (option == 'x')
			forbid_signals(SECCOMP_RET_ERRNO | EPERM);
	}
	if (count < 1 || count > MOST - 2)
		return 2;
	struct sigaction action = {.sa_handler = on_usr2, .sa_flags = SA_RESTART};
	sigaction(SIGUSR2, &action, NULL);
	int total = count;
	for (intptr_t i = 0; i < count; i++)
		pthread_create(&threads[i], NULL, storming, (void *)i);
	if (forks)
		pthread_create(&threads[total++], NULL, forking, NULL);
	if (sends)
		pthread_create(&threads[total++], NULL, signalling, NULL);
	while (READ(turns) < BLOWS)
		sched_yield();
	target_ready(); /* all the while */
	while ((forks && !READ(children)) || (sends && !may_lose && !READ(signals_seen)))
		sched_yield();
	stop = 1;
	for (int i = 0; i < total; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < POOL; i++)
		if (pool[i])
			storm_free(pool[i]);
	if (tally_allocs != tally_frees || tally_bytes != tally_freed)
		target_fail("%lu allocated, %lu freed", tally_allocs, tally_frees);
	char more[160];
	snprintf(more, sizeof(more),
		 ", \"turns\": %lu, \"children\": %lu, \"signals\": %lu, \"lost\": %lu, \"longest_ms\": %lu",
		 turns, children, signals_seen, signals_lost, signal_ms);
	return target_result(more);
}
