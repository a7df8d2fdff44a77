/*
 * For memtrace itself: holds it before its first PTRACE_INTERRUPT (all is planned by then, and
 * nothing is written yet), which is told by the file $GAP/reached, until $GAP/go is there.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>

long ptrace(enum __ptrace_request request, ...)
{
	static long (*next)(enum __ptrace_request, long, void *, void *);
	static int reached;
	char path[4096];
	__builtin_va_list args;
	__builtin_va_start(args, request);
	long pid = __builtin_va_arg(args, int);
	void *addr = __builtin_va_arg(args, void *), *data = __builtin_va_arg(args, void *);
	__builtin_va_end(args);
	if (!next)
		next = dlsym(RTLD_NEXT, "ptrace");
	if (request == PTRACE_INTERRUPT && !__atomic_exchange_n(&reached, 1, __ATOMIC_SEQ_CST)) {
		snprintf(path, sizeof(path), "%s/reached", getenv("GAP"));
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		snprintf(path, sizeof(path), "%s/go", getenv("GAP"));
		while (access(path, F_OK))
			usleep(1000);
	}
	return next(request, pid, addr, data);
}
