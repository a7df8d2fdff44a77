/*
 * The guardian waits on a pipe whose other end only memtrace holds.  End of file
 * means that memtrace is gone, by whatever signal; then what it left is put back (mend.c).
 */
#include "tracer/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "tracer/handover.h"
#include "tracer/mend.h"
#include "tracer/status.h"

enum { LIMIT_MS = 15000, STOP_LIMIT_MS = 20000 };

static void rest(void)
{
	struct timespec pause = {0, 1000000};

	nanosleep(&pause, NULL);
}

/*
 * By a process of its own, as it stops the target: one that does not come back (it waits for
 * a page that a hung device must bring) is killed, and what it held runs on.
 */
static void mend_within(pid_t target, struct undo *undo, unsigned limit_ms)
{
	uint64_t since = status_start(getpid());
	pid_t pid = fork();

	if (pid == 0) {
		mend_all(target, undo, since);
		_exit(0);
	}
	if (pid < 0) {
		mend_all(target, undo, since);
		return;
	}
	for (unsigned ms = 0; ms < limit_ms; ms++, rest())
		if (waitpid(pid, NULL, WNOHANG))
			return;
	kill(pid, SIGKILL);
}

static void __attribute__((noreturn))
guardian_main(int fd, const pid_t *target, struct undo *undo)
{
	char byte;
	ssize_t n;

	setsid();
	prctl(PR_SET_NAME, "memtrace-guard");
	for (int signo = 1; signo < 32; signo++)
		signal(signo, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	descriptors_close_but(fd, -1);
	do
		n = read(fd, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n == 0 && *target)
		mend_within(*target, undo, LIMIT_MS);
	else if (n == 0)
		handover_mend(undo, true);
	_exit(0);
}

int guardian_start(struct guardian *ret, struct undo *undo, struct err *err)
{
	int ends[2], code;

	ret->pid = -1;
	ret->fd = -1;
	ret->target = mmap(NULL, sizeof(pid_t), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ret->target == MAP_FAILED) {
		ret->target = NULL;
		return err_sys(err, -errno, "no guardian");
	}
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "no guardian");
	ret->pid = fork();
	if (ret->pid == 0)
		guardian_main(ends[0], ret->target, undo);
	code = errno;
	close(ends[0]);
	if (ret->pid < 0) {
		close(ends[1]);
		return err_sys(err, -code, "no guardian");
	}
	ret->fd = ends[1];
	return 0;
}

void guardian_watch(struct guardian *guardian, pid_t target)
{
	if (guardian->target)
		*guardian->target = target;
}

/* It ends by itself, unless somebody has stopped it (SIGSTOP, a debugger). */
static void end_within(pid_t pid, unsigned limit_ms)
{
	for (unsigned ms = 0; ms < limit_ms; ms++, rest())
		if (waitpid(pid, NULL, WNOHANG))
			return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

void guardian_stop(struct guardian *guardian)
{
	guardian_watch(guardian, 0);
	if (guardian->fd >= 0)
		close(guardian->fd);
	if (guardian->pid > 0)
		end_within(guardian->pid, STOP_LIMIT_MS);
	if (guardian->target)
		munmap(guardian->target, sizeof(pid_t));
	guardian->target = NULL;
	guardian->pid = guardian->fd = -1;
}
