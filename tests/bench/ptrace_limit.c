/*
 * What a stop costs by itself: ptrace_limit STOPS [own]
 *
 * A child executes int3 over and over; for each, its tracer waits, reads the registers,
 * reads 2 KB of the stack and lets it run on: the least that a tool which stops at an
 * int3 and looks at the stack can do.  Both on one core, or (own) each on its own.
 * Prints nanoseconds of wall time and of both processes' CPU time per stop.
 *
 * On CPUs whose break instruction would be met again, a signal that is ignored and that
 * the child sends itself is what it stops at.
 */
#include <elf.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 2048 };

static void stay_on(int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		perror("sched_setaffinity");
}

static int64_t nanoseconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int64_t cpu_of(int who)
{
	struct rusage usage;
	getrusage(who, &usage);
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000ll +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000ll;
}

static char *volatile *stack_of_child; /* shared with the child, which fills it in */

static void stop_here(void)
{
#ifdef __x86_64__
	__asm__ volatile("int3");
#else
	syscall(SYS_tkill, syscall(SYS_gettid), SIGURG);
#endif
}

static int read_registers(pid_t pid)
{
#ifdef __x86_64__
	struct user_regs_struct regs;
	return ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0;
#else
	uint64_t bytes[64];
	struct iovec regs = {bytes, sizeof(bytes)};
	return ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &regs) == 0;
#endif
}

static void stopping(long stops)
{
	char below[4096]; /* so that 2 KB above the stack pointer are there */
	below[0] = 0;
	*stack_of_child = below;
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	raise(SIGSTOP);
	for (long i = 0; i < stops; i++)
		stop_here();
	_exit(0);
}

int main(int argc, char **argv)
{
	long stops = argc > 1 ? atol(argv[1]) : 20000, seen = 0;
	int apart = argc > 2, status;
	stack_of_child = mmap(NULL, sizeof(*stack_of_child), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (stack_of_child == MAP_FAILED)
		return 2;
	pid_t pid = fork();
	if (pid == 0) {
		stay_on(apart ? 1 : 0);
		stopping(stops);
	}
	stay_on(0);
	if (waitpid(pid, &status, 0) != pid)
		return 2;
	int64_t begin = nanoseconds(), cpu = cpu_of(RUSAGE_SELF);
	while (ptrace(PTRACE_CONT, pid, 0, 0) == 0 && waitpid(pid, &status, 0) == pid &&
	       WIFSTOPPED(status)) {
		char stack[STACK_BYTES];
		struct iovec here = {stack, sizeof(stack)};
		struct iovec there = {*stack_of_child, sizeof(stack)};
		if (!read_registers(pid) ||
		    process_vm_readv(pid, &here, 1, &there, 1, 0) < 0)
			return 2;
		seen++;
	}
	int64_t wall = nanoseconds() - begin;
	cpu = cpu_of(RUSAGE_SELF) - cpu + cpu_of(RUSAGE_CHILDREN);
	printf("STOPS %ld wall %ld cpu %ld\n", seen, (long)(wall / seen), (long)(cpu / seen));
	return seen == stops ? 0 : 1;
}
