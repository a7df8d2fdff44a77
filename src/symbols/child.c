/*
 * Starting and reaping memtrace-fs.  Only this child's pid is ever waited for: the
 * process' other children belong to the tracer.
 */
#include "symbols/child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/scope.h"
#include "base/vec.h"

enum { CHILD_FD = 3 };

extern char **environ;

/* memtrace-fs in the directory of this program; false: there is none. */
static bool beside(char path[PATH_MAX])
{
	static const char name[] = "memtrace-fs";
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(name));
	char *slash;

	if (n <= 0)
		return false;
	path[n] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return false;
	memcpy(slash + 1, name, sizeof(name));
	return access(path, X_OK) == 0;
}

static int spawn(const char *program, char *const argv[], int fd, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int e;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* The pair first: it may have got number 0 or 1 where those were closed. */
	e = posix_spawn_file_actions_adddup2(&files, fd, CHILD_FD);
	if (!e)
		e = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
	if (!e)
		e = posix_spawn_file_actions_adddup2(&files, 0, 1);
	if (!e)
		e = posix_spawnp(ret, program, &files, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -e;
}

int child_start(const char *server, const char *const *args, struct child *ret, struct err *err)
{
	char path[PATH_MAX];
	const char *program = server ? server : beside(path) ? path : "memtrace-fs";
	VEC(const char *) argv = {};
	int pair[2], e = -ENOMEM;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(err, -errno, "cannot make a socket pair for memtrace-fs");
	if (vec_push(&argv, program) && vec_push(&argv, "--fd=3")) {
		e = 0;
		for (; args && *args; args++)
			if (!vec_push(&argv, *args))
				e = -ENOMEM;
		if (!vec_push(&argv, NULL))
			e = -ENOMEM;
	}
	if (!e)
		e = spawn(program, (char *const *)argv.at, pair[1], &pid);
	vec_deinit(&argv);
	close(pair[1]);
	if (e)
		close(pair[0]);
	if (e == -ENOENT && !server)
		return err_set(err, e, "memtrace-fs is neither beside memtrace nor in PATH");
	if (e)
		return err_sys(err, e, "cannot start %s", program);
	*ret = (struct child){pid, pair[0]};
	return 0;
}

/* True when it was reaped, or is not ours to reap (SIGCHLD ignored; status is -1). */
static bool reap(pid_t pid, int flags, int *status)
{
	pid_t got;

	do
		got = waitpid(pid, status, flags);
	while (got < 0 && errno == EINTR);
	return got != 0;
}

static bool reap_within(pid_t pid, unsigned ms, int *status)
{
	enum { TICK_MS = 2 };

	for (unsigned waited = 0; !reap(pid, WNOHANG, status); waited += TICK_MS) {
		if (waited >= ms)
			return false;
		poll(NULL, 0, TICK_MS);
	}
	return true;
}

/* (One that waits for a file system that does not answer can't be killed, either.) */
int child_end(struct child *child, unsigned grace_ms)
{
	enum { KILLED_MS = 1000 };
	int status = -1, ignored;

	if (child->pid <= 0)
		return -1;
	if (!reap_within(child->pid, grace_ms, &status)) {
		kill(child->pid, SIGKILL);
		reap_within(child->pid, KILLED_MS, &ignored);
	}
	child->pid = 0;
	return status;
}
