/*
 * A program that switches between stacks by itself, in a signal handler that has interrupted its
 * own malloc: the stack that is left, to which it will return, is an array in a frame of the
 * one that waits.  DONE when it waits.
 */
#include <signal.h>
#include <ucontext.h>

#include "target.h"

enum { STACK = 64 * 1024, MEMORY = 1 << 20, HEAD = 16 };

static ucontext_t first, left, second;
static volatile sig_atomic_t switching;
static _Alignas(16) char memory[MEMORY];
static size_t used;

void *malloc(size_t size)
{
	char *block = memory + used + HEAD;

	used += HEAD + ((size + 15) & ~(size_t)15);
	if (switching)
		raise(SIGUSR1);
	if (used > sizeof(memory))
		return NULL;
	memcpy(block - HEAD, &size, sizeof(size));
	return block;
}

void free(void *block)
{
	__asm__ volatile("" : : "r"(block) : "memory");
}

void *calloc(size_t count, size_t size)
{
	void *block = malloc(count * size);

	return block ? memset(block, 0, count * size) : NULL;
}

void *realloc(void *block, size_t size)
{
	void *next = malloc(size);
	size_t old = 0;

	if (block)
		memcpy(&old, (char *)block - HEAD, sizeof(old));
	return next ? memcpy(next, block, old < size ? old : size) : NULL;
}

static void on_usr1(int signo)
{
	(void)signo;
	switching = 0;
	swapcontext(&left, &first);
}

static void allocate(void)
{
	switching = 1;
	got(malloc(100), 100);
}

NOINLINE static void run(void)
{
	char stack[STACK];

	getcontext(&second);
	second.uc_stack.ss_sp = stack;
	second.uc_stack.ss_size = sizeof(stack);
	second.uc_link = &first;
	makecontext(&second, allocate, 0);
	swapcontext(&first, &second);
	say("DONE\n");
	await_test();
	swapcontext(&first, &left);
	__asm__ volatile("" : : "r"(stack) : "memory");
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_usr1};

	sigaction(SIGUSR1, &action, NULL);
	target_ready();
	run();
	return target_result(NULL);
}
