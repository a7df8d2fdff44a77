/*
 * Commands of the shell: "!COMMAND", and "| COMMAND" behind one of ours.
 *
 * They belong to our job: the terminal is theirs, and so is its Ctrl-C.  The session goes on
 * while they run, only its words wait (output_hold()).  Nobody could continue a command that a
 * Ctrl-Z stops, so that is ignored in it.
 */
#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/session_parts.h"

enum { LOOK_MS = 20 };

extern char **environ;

/* What we have blocked is not blocked there. */
static int spawn(struct session *s, const char *command, int in, pid_t *ret)
{
	char *argv[] = {"sh", "-c", (char *)command, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	void (*before)(int);
	int e;

	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setsigmask(&attr, &s->signals.original);
	e = in >= 0		  ? posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO)
	    : session_has_user(s) ? 0 /* (commands that are to come are not its input) */
				  : posix_spawn_file_actions_addopen(&files, STDIN_FILENO,
								     "/dev/null", O_RDONLY, 0);
	before = signal(SIGTSTP, SIG_IGN);
	oom_victim_withdraw(&s->oom_victim);
	if (!e)
		e = posix_spawn(ret, _PATH_BSHELL, &files, &attr, argv, environ);
	oom_victim_offer(&s->oom_victim);
	signal(SIGTSTP, before);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attr);
	return -e;
}

/* As much as it takes now; closes the pipe behind the last byte, or when it takes no more. */
static void feed(struct session *s, const char **text, size_t *len)
{
	ssize_t put;

	while (s->feeding >= 0 && *len) {
		put = write(s->feeding, *text, *len);
		if (put < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		*text += put > 0 ? put : 0;
		*len = put > 0 ? *len - (size_t)put : 0;
	}
	if (s->feeding >= 0)
		close(s->feeding);
	s->feeding = -1;
}

/* True when it has ended. */
static bool has_ended(pid_t pid)
{
	int status;
	pid_t got = waitpid(pid, &status, WNOHANG | WUNTRACED);

	if (got == pid && WIFSTOPPED(status))
		kill(pid, SIGCONT);
	return (got == pid && !WIFSTOPPED(status)) || (got < 0 && errno != EINTR);
}

static void attend(struct session *s, pid_t pid, const char *text, size_t len)
{
	bool ended = false;

	detacher_output_end(&s->detacher); /* here signals are taken at once */
	s->in_shell = true;
	output_hold(&s->output);
	while (!ended && s->state == RUNNING) {
		feed(s, &text, &len);
		s->due[TIMER_WAIT] = clock_ms() + LOOK_MS;
		session_step(s);
		ended = has_ended(pid);
	}
	s->due[TIMER_WAIT] = 0;
	feed(s, &text, &(size_t){0});
	s->in_shell = false;
	output_release(&s->output);
}

int session_shell(struct session *s, const char *command, const char *text, size_t len,
		  struct err *err)
{
	int ends[2] = {-1, -1}, rc;
	pid_t pid;

	if (text && pipe2(ends, O_CLOEXEC))
		return err_sys(err, -errno, "%s", command);
	fflush(s->output.out);
	rc = spawn(s, command, ends[0], &pid);
	if (ends[0] >= 0)
		close(ends[0]);
	if (rc && ends[1] >= 0)
		close(ends[1]);
	if (rc)
		return err_sys(err, rc, "%s", command);
	if (ends[1] >= 0)
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
	s->feeding = ends[1];
	attend(s, pid, text, len);
	return 0;
}
