/*
 * A hand: a memtrace of its own for each process, forked before there are threads, that runs a
 * session as for one process.  So one process' trouble is not another's, they are followed on as many
 * cores as there are, and what is promised to a target is what one memtrace promises.
 *
 *     console --lines--> in                    target
 *     answers <--------- out     hand  --ptrace-->  + guardian
 *     words   <--------- err
 *     report  <--------- a pipe by its name in /proc: --output of that session
 *
 * A hand leaves by SIGINT, or when we end: its console ends then, and PR_SET_PDEATHSIG.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/session.h"
#include "cli/several_parts.h"
#include "report/utf8.h"
#include "tracer/status.h"

enum { PIPES = HAND_STREAMS + 1, IN = HAND_STREAMS, LOOK_MOST = 1 << 16 };

static void pipes_close(int pipes[PIPES][2])
{
	for (int i = 0; i < PIPES; i++)
		for (int end = 0; end < 2; end++)
			if (pipes[i][end] >= 0)
				close(pipes[i][end]);
}

static int pipes_open(int pipes[PIPES][2])
{
	memset(pipes, -1, sizeof(int) * 2 * PIPES);
	for (int i = 0; i < PIPES; i++)
		if (pipe2(pipes[i], O_CLOEXEC)) {
			int code = -errno;

			pipes_close(pipes);
			return code;
		}
	return 0;
}

/* In the new process. */
static void __attribute__((noreturn))
hand_main(const struct several *s, struct hand *hand, int pipes[PIPES][2], pid_t parent)
{
	struct options options = *s->options;
	char path[32];
	int status;

	setpgid(0, 0); /* Ctrl-C is for whoever has the terminal */
	prctl(PR_SET_PDEATHSIG, SIGINT);
	if (getppid() != parent)
		_exit(1);
	dup2(pipes[IN][0], STDIN_FILENO);
	dup2(pipes[HAND_OUT][1], STDOUT_FILENO);
	dup2(pipes[HAND_ERR][1], STDERR_FILENO);
	/* Else this one would hold the others' consoles open. */
	for (size_t i = 0; i < s->hands.len; i++) {
		if (s->hands.at[i].in >= 0)
			close(s->hands.at[i].in);
		for (int k = 0; k < HAND_STREAMS; k++)
			close(s->hands.at[i].from[k]);
	}
	close(pipes[IN][1]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[HAND_REPORT][1]);
	options.output = path;
	options.pid = hand->target;
	options.totals = hand->totals;
	status = session_run(&options);
	fflush(NULL);
	_exit(status);
}

/* SIGINT is blocked in it from birth: it is taken by the session, and early or late it ends no
 * report. */
static pid_t fork_hand(void)
{
	sigset_t interrupt, before;
	pid_t pid;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, &before);
	fflush(NULL);
	pid = fork();
	if (pid)
		sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

int hand_start(struct several *s, pid_t target, struct err *err)
{
	struct hand hand = {.target = target, .in = -1};
	struct status status;
	int pipes[PIPES][2];
	pid_t us = getpid();
	int rc;

	if (!status_read(target, 0, &status))
		memcpy(hand.name, status.name, sizeof(hand.name));
	if (!vec_reserve(&s->hands, s->hands.len + 1))
		return err_set(err, -ENOMEM, "memory is short");
	rc = pipes_open(pipes);
	if (rc)
		return err_sys(err, rc, "following pid %d", target);
	hand.totals = mmap(NULL, sizeof(*hand.totals), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	hand.pid = hand.totals == MAP_FAILED ? -1 : fork_hand();
	if (hand.pid == 0)
		hand_main(s, &hand, pipes, us);
	if (hand.pid < 0) {
		rc = -errno;
		pipes_close(pipes);
		return err_sys(err, rc, "following pid %d", target);
	}
	hand.in = pipes[IN][1];
	close(pipes[IN][0]);
	for (int i = 0; i < HAND_STREAMS; i++) {
		hand.from[i] = pipes[i][0];
		close(pipes[i][1]);
		fcntl(hand.from[i], F_SETFL, O_NONBLOCK);
	}
	(void)vec_push(&s->hands, hand); /* (there is room) */
	return 0;
}

/* Answers have a line before them that says whose they are, where that changes. */
static void pass_on(struct several *s, struct hand *hand, int stream, const char *lines, size_t len)
{
	FILE *out = stream == HAND_ERR ? stderr : s->answers;

	output_begin(&s->output);
	if (stream == HAND_OUT && s->speaker != hand) {
		fprintf(out, "%s==> %d (", s->speaker ? "\n" : "", (int)hand->target);
		utf8_print(out, hand->name);
		fputs(") <==\n", out);
		s->speaker = hand;
	}
	for (const char *end; len; len -= (size_t)(end - lines), lines = end) {
		end = (const char *)memchr(lines, '\n', len) + 1;
		if (stream == HAND_ERR)
			fprintf(out, "[%d] ", (int)hand->target);
		fwrite(lines, 1, (size_t)(end - lines), out);
	}
	fflush(out);
	output_end(&s->output);
}

static void take_lines(struct several *s, struct hand *hand, int stream)
{
	struct hand_text *text = &hand->text[stream];
	const char *last = text->len ? memrchr(text->at, '\n', text->len) : NULL;
	size_t whole = last ? (size_t)(last - text->at) + 1 : 0;

	if (!whole)
		return;
	pass_on(s, hand, stream, text->at, whole);
	memmove(text->at, text->at + whole, text->len - whole);
	text->len -= whole;
}

void hand_take(struct several *s, struct hand *hand, int stream)
{
	struct hand_text *text = &hand->text[stream];
	ssize_t n = 1;

	while (n > 0 && hand->from[stream] >= 0) {
		if (!vec_reserve(text, text->len + LOOK_MOST))
			return;
		n = read(hand->from[stream], text->at + text->len, LOOK_MOST);
		text->len += n > 0 ? (size_t)n : 0;
		if (stream != HAND_REPORT)
			take_lines(s, hand, stream);
	}
	if (n == 0) {
		close(hand->from[stream]);
		hand->from[stream] = -1;
	}
}

void hand_look(struct several *s, struct hand *hand)
{
	int status;

	if (hand->ended || waitpid(hand->pid, &status, WNOHANG) != hand->pid)
		return;
	for (int i = 0; i < HAND_STREAMS; i++)
		hand_take(s, hand, i);
	hand->ended = true;
	hand->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (WIFSIGNALED(status))
		output_warn(&s->output, "the memtrace of pid %d was killed by signal %d",
			    (int)hand->target, WTERMSIG(status));
	hand_leave(hand);
}

void hand_tell(struct hand *hand, const char *line)
{
	if (hand->in >= 0 && !hand->ended)
		dprintf(hand->in, "%s\n", line);
}

void hand_leave(struct hand *hand)
{
	if (hand->in >= 0)
		close(hand->in);
	hand->in = -1;
	if (!hand->ended)
		kill(hand->pid, SIGINT);
}

void hand_deinit(struct hand *hand)
{
	for (int i = 0; i < HAND_STREAMS; i++) {
		if (hand->from[i] >= 0)
			close(hand->from[i]);
		vec_deinit(&hand->text[i]);
	}
	munmap(hand->totals, sizeof(*hand->totals));
}
