/*
 * dispatched [libc|all] [before|later|thread]: Syscall User Dispatch, as Wine and interposers use it:
 * system calls are for libc's own text (or for all text), any other place raises SIGSYS.
 *
 *   before   it is on when the test comes, in the thread that allocates
 *   later    it is switched on behind READY
 *   thread   on behind READY, too, by a thread of its own, and not in the one that allocates first
 *
 * The result counts the calls from elsewhere: of those the program makes none.
 * 77: the kernel has none of it.
 */
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

#include "target.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#endif
enum { ON = 1, ALLOW = 0, BLOCK = 1 };

static unsigned long begin, end, strange;
static volatile char selector;

static void on_sys(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)info, (void)context;
	selector = ALLOW;
	strange++;
	selector = BLOCK;
}

static int libc_text(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (int i = 0; strstr(info->dlpi_name, "libc.so") && i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_flags & PF_X) {
			begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
			end = begin + info->dlpi_phdr[i].p_memsz;
		}
	return 0;
}

static void dispatch(void)
{
	selector = ALLOW;
	if (prctl(PR_SET_SYSCALL_USER_DISPATCH, ON, begin, end - begin, &selector))
		_exit(77);
	selector = BLOCK;
}

NOINLINE static void work(void)
{
	uint32_t seed = 1;

	for (int i = 0; i < 500; i++) {
		size_t size = 1 + dice(&seed) % 400;
		drop(got(malloc(size), size), size);
	}
}

static void *thread(void *arg)
{
	(void)arg;
	dispatch();
	work();
	return NULL;
}

int main(int argc, char **argv)
{
	const char *when = argc > 2 ? argv[2] : "before";
	struct sigaction action = {.sa_sigaction = on_sys, .sa_flags = SA_SIGINFO};
	pthread_t other;

	sigaction(SIGSYS, &action, NULL);
	dl_iterate_phdr(libc_text, NULL);
	if (argc > 1 && !strcmp(argv[1], "all")) {
		begin = 4096;
		end = ~0ul >> 1;
	}
	if (!strcmp(when, "before"))
		dispatch();
	target_ready();
	if (!strcmp(when, "later"))
		dispatch();
	work();
	if (!strcmp(when, "thread") && !pthread_create(&other, NULL, thread, NULL))
		pthread_join(other, NULL);
	target_done();
	char more[64];
	snprintf(more, sizeof(more), ", \"strange\": %lu", strange);
	return target_result(more);
}
