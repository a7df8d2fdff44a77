/*
 * interrupted HOW ROUNDS: has a malloc of its own in front of libc's, and a signal comes while
 * it runs.  The handler's calls are the program's, whatever they interrupt:
 *
 *   alloc   it allocates, reallocates and frees
 *   jump    it leaves malloc by siglongjmp()
 *   fork    it forks: the child returns into malloc, allocates, and ends
 *   end     the thread ends within realloc; the block is as it was
 *   dirty   no signal: posix_memalign, whose result is an int, with the rest of its register
 *           not zero
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "target.h"

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void __libc_free(void *block);

enum { HEADER = 32 };

static volatile sig_atomic_t armed;
static sigjmp_buf out;
static char how;
static int children;

/* A jump to the inner function would leave no frame to be interrupted in. */
NOINLINE static void interrupt(void)
{
	if (!armed)
		return;
	armed = 0;
	raise(SIGUSR1);
}

NOINLINE void *malloc(size_t size)
{
	char *inner;

	interrupt();
	inner = __libc_malloc(size + HEADER);
	return inner ? inner + HEADER : NULL;
}

NOINLINE void *calloc(size_t count, size_t size)
{
	char *inner = __libc_calloc(1, count * size + HEADER);

	return inner ? inner + HEADER : NULL;
}

NOINLINE void *realloc(void *block, size_t size)
{
	char *inner;

	if (how == 'e')
		interrupt();
	inner = __libc_realloc(block ? (char *)block - HEADER : NULL, size + HEADER);

	return inner ? inner + HEADER : NULL;
}

NOINLINE void free(void *block)
{
	if (block)
		__libc_free((char *)block - HEADER);
}

/* An int, by name; callers look at no more of the register. */
uint64_t dirty(void **ret, size_t alignment, size_t size) __asm__("posix_memalign");
NOINLINE uint64_t dirty(void **ret, size_t alignment, size_t size)
{
	char *inner = __libc_malloc(size + HEADER + alignment);

	*ret = (void *)(((uintptr_t)inner + HEADER + alignment - 1) & ~(alignment - 1));
	return 0xfedcba9800000000 | !inner;
}

NOINLINE static void fork_here(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		children = 1;
		return;
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		target_fail("a child that was forked within malloc ended with status %#x",
			    pid < 0 ? -1 : status);
}

NOINLINE static void on_signal(int signo)
{
	void *block;

	(void)signo;
	if (how == 'j')
		siglongjmp(out, 1);
	if (how == 'e')
		syscall(SYS_exit, 0);
	if (how == 'f') {
		fork_here();
		return;
	}
	block = got(malloc(40), 40);
	gone(40);
	block = got(realloc(block, 400), 400);
	drop(block, 400);
	target_kept[1] = got(malloc(7), 7);
}

static void *end_within(void *block)
{
	armed = 1;
	return realloc(block, 1000);
}

NOINLINE static void round_of_end(unsigned i)
{
	void *block = got(malloc(100 + i), 100 + i);
	pthread_t thread;

	pthread_create(&thread, NULL, end_within, block);
	pthread_join(thread, NULL);
	drop(block, 100 + i);
}

NOINLINE static void round_of_dirty(unsigned i)
{
	int (*call)(void **, size_t, size_t) = (int (*)(void **, size_t, size_t))(void *)dirty;
	void *block = NULL;

	if (call(&block, 64, 100 + i))
		target_fail("no memory");
	target_kept[2] = got(block, 100 + i);
}

NOINLINE static void round_of(unsigned i)
{
	if (sigsetjmp(out, 1))
		return;
	armed = 1;
	target_kept[0] = got(malloc(100 + i), 100 + i);
	if (children) {
		free(target_kept[0]);
		_exit(strcmp(target_verdict, "ok") ? 1 : 0);
	}
	drop(target_kept[0], 100 + i);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1;

	how = argc > 1 ? *argv[1] : 'a';
	sigaction(SIGUSR1, &action, NULL);
	target_ready();
	for (unsigned i = 0; i < rounds; i++)
		(how == 'e' ? round_of_end : how == 'd' ? round_of_dirty : round_of)(i);
	target_done();
	return target_result(NULL);
}
