/*
 * dies HOW: allocates, says its tally as RESULT, and dies.
 *
 *   segv, thread   a null pointer's target is written, by the first thread or another
 *   overflow       the stack runs out
 *   bus            a mapping's file has become shorter
 *   trap           an instruction that there is not
 *   abort, heap    abort(); a block is freed twice, which glibc finds
 *   malloc         the heap is damaged, which glibc finds within malloc
 *   handler        the handler of a segv allocates, and dies of the same again
 *   exit           exit(7)
 *   NUMBER         raise(NUMBER)
 *
 * With `busy FILE HOW` further threads allocate all the while: their counts of calls begun
 * and ended lie in the file.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "target.h"

enum { BLOCKS = 300, THREADS = 3 };

static struct counts {
	unsigned long begun, ended;
} * counts;

static int *volatile nowhere;

NOINLINE static void segv(void)
{
	*nowhere = 1;
}

/* Until the first thread is where it stays. */
static void wait_until_asleep(void)
{
	char text[64] = "", *at;
	do {
		int fd = open("/proc/self/stat", O_RDONLY);
		ssize_t n = read(fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = 0;
		close(fd);
		at = strchr(text, ')');
	} while (!at || at[2] != 'S');
}

static void *segv_in_thread(void *arg)
{
	wait_until_asleep();
	wait_until_asleep(); /* at the first look: registers are the same every time */
	segv();
	return arg;
}

NOINLINE static int overflow(volatile char *above)
{
	volatile char here[4096];
	here[0] = *above;
	return here[0] ? 0 : overflow(here) + here[0];
}

static void bus(void)
{
	char name[] = "/tmp/dies-XXXXXX";
	int fd = mkstemp(name);
	unlink(name);
	if (ftruncate(fd, 4096))
		return;
	volatile char *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ftruncate(fd, 0))
		return;
	at[0] = 1;
}

static void on_segv(int signo)
{
	target_kept[1] = malloc(77);
	signal(signo, SIG_DFL);
}

static void *busy(void *arg)
{
	for (;;) {
		ADD(counts->begun, 1);
		void *volatile block = malloc(40);
		ADD(counts->ended, 1);
		free(block);
	}
	return arg;
}

static void begin_busy(const char *file)
{
	int fd = open(file, O_RDWR);
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counts == MAP_FAILED)
		_exit(2);
	pthread_t thread;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, NULL, busy, NULL);
	while (READ(counts->ended) < 2000)
		;
}

static void die(const char *how)
{
	pthread_t thread;
	char byte = 0;
	if (!strcmp(how, "segv"))
		segv();
	if (!strcmp(how, "thread") && !pthread_create(&thread, NULL, segv_in_thread, NULL))
		pthread_join(thread, NULL);
	if (!strcmp(how, "overflow"))
		overflow(&byte);
	if (!strcmp(how, "bus"))
		bus();
	if (!strcmp(how, "trap"))
		__builtin_trap();
	if (!strcmp(how, "abort"))
		abort();
	if (!strcmp(how, "heap")) {
		free(target_kept[0]);
		free(target_kept[0]);
	}
	if (!strcmp(how, "malloc")) {
		memset(malloc(2000), 0xff, 2000 + 4096);
		target_kept[0] = malloc(50000);
	}
	if (!strcmp(how, "handler"))
		segv();
	if (!strcmp(how, "exit"))
		exit(7);
	raise(atoi(how));
}

int main(int argc, char **argv)
{
	const char *how = argv[argc - 1];
	uint32_t seed = 5;
	if (!strcmp(how, "handler"))
		signal(SIGSEGV, on_segv);
	target_ready();
	for (int i = 0; i < BLOCKS; i++) {
		size_t size = 1 + dice(&seed) % 500;
		void *block = got(malloc(size), size);
		if (i % 3)
			drop(block, size);
		else
			target_kept[0] = block;
	}
	if (argc > 3)
		begin_busy(argv[2]);
	target_result(NULL);
	die(how);
	return 3;
}
