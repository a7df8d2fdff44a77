/*
 * altstack: a signal interrupts it within an allocator of its own, and the handler, on a
 * stack of its own too, says DONE and waits for the test.  Then it goes back to where it
 * was interrupted, and out of the allocator.
 */
#include <signal.h>

#include "target.h"

void *__libc_malloc(size_t size);

static volatile int interrupt;
static char other_stack[64 * 1024];

void *malloc(size_t size)
{
	void *block = __libc_malloc(size);
	if (interrupt)
		raise(SIGUSR1);
	return block;
}

static void on_usr1(int signo)
{
	interrupt = 0 * signo;
	target_done();
}

int main(void)
{
	stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
	struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK};
	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	target_ready();
	interrupt = 1;
	char *block = got(malloc(1000), 1000);
	memset(block, 1, 1000);
	drop(block, 1000);
	return target_result(NULL);
}
