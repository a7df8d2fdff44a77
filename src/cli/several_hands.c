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
 *     children <-------- births: those that wait to be followed (several_births.c)
 *
 * A hand leaves by SIGINT, or when we end: its console ends then, and PR_SET_PDEATHSIG.  That of a
 * PROGRAM has it as its child, and leaves by SIGTERM.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/session.h"
#include "cli/several_parts.h"
#include "cli/wrapper.h"
#include "report/utf8.h"
#include "tracer/status.h"

enum { PIPES = HAND_STREAMS + 1, IN = HAND_STREAMS, LOOK_MOST = 1 << 16 };

static void close_if(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* What ends a session: of a PROGRAM SIGINT is for that (signals.h). */
static int leave_signal(const struct hand *hand)
{
	return hand->is_program ? SIGTERM : SIGINT;
}

/* ---- the new process ----------------------------------------------------------------- */

struct ends { /* of what leads there: [0] is read, [1] is written */
	int pipes[PIPES][2];
	int births[2]; /* ours, its; -1: children are not followed */
};

static void ends_close(const struct ends *ends)
{
	for (int i = 0; i < PIPES; i++)
		for (int end = 0; end < 2; end++)
			close_if(ends->pipes[i][end]);
	close_if(ends->births[0]);
	close_if(ends->births[1]);
}

static int ends_open(const struct several *s, struct ends *ret)
{
	int rc = 0;

	memset(ret, -1, sizeof(*ret));
	for (int i = 0; i < PIPES && !rc; i++)
		rc = pipe2(ret->pipes[i], O_CLOEXEC);
	if (!rc && s->room)
		rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret->births);
	if (!rc)
		return 0;
	rc = -errno;
	ends_close(ret);
	return rc;
}

/* Else this one would hold the others' consoles open. */
static void others_close(const struct several *s)
{
	for (size_t i = 0; i < s->hands.len; i++) {
		close_if(s->hands.at[i].in);
		close_if(s->hands.at[i].births);
		for (int k = 0; k < HAND_STREAMS; k++)
			close_if(s->hands.at[i].from[k]);
	}
	if (s->signals.fd >= 0)
		close(s->signals.fd);
}

/* Of --duration, for one that was born or has joined on the way. */
static uint64_t time_left(const struct several *s)
{
	int64_t left = s->started_ms + (int64_t)s->options->duration_ms - clock_ms();

	return s->options->duration_ms && left < 1 ? 1 : (uint64_t)left;
}

static void options_make(const struct several *s, const struct hand *hand, int births,
			 struct options *ret)
{
	*ret = *s->options;
	ret->pid = hand->target;
	ret->result = hand->result;
	ret->born = hand->born;
	ret->heirs = births > 0 ? births : 0;
	ret->heirs_room = s->room;
	if (hand->born && ret->follow_behind && !wrapper_is(hand->name)) {
		ret->follow = NULL;
		ret->follow_behind = ret->follow_programs = false;
	}
	if (ret->duration_ms)
		ret->duration_ms = time_left(s);
	if (!hand->is_program) {
		ret->program = NULL;
		return;
	}
	ret->files.theirs = true;
	for (int i = 0; i <= STDERR_FILENO; i++)
		ret->files.at[i] = fcntl(i, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static void __attribute__((noreturn))
hand_main(const struct several *s, const struct hand *hand, const struct ends *ends, pid_t parent)
{
	struct options options;
	char path[32];
	int status;

	if (!hand->is_program)
		setpgid(0, 0); /* Ctrl-C is for whoever has the terminal */
	prctl(PR_SET_PDEATHSIG, leave_signal(hand));
	if (getppid() != parent)
		_exit(1);
	options_make(s, hand, ends->births[1], &options);
	dup2(ends->pipes[IN][0], STDIN_FILENO);
	dup2(ends->pipes[HAND_OUT][1], STDOUT_FILENO);
	dup2(ends->pipes[HAND_ERR][1], STDERR_FILENO);
	others_close(s);
	close(ends->pipes[IN][1]);
	close_if(ends->births[0]);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends->pipes[HAND_REPORT][1]);
	options.output = options.output_each ? options.output : path;
	status = session_run(&options);
	fflush(NULL);
	_exit(status);
}

/* SIGINT is blocked in it from birth: it is taken by the session, and early or late it ends no
 * report.  (A PROGRAM has the mask that we have.) */
static pid_t fork_hand(const struct hand *hand)
{
	sigset_t interrupt, before;
	pid_t pid;

	sigemptyset(&interrupt);
	if (!hand->is_program)
		sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, &before);
	fflush(NULL);
	pid = fork();
	if (pid)
		sigprocmask(SIG_SETMASK, &before, NULL);
	return pid;
}

/* ---- starting one --------------------------------------------------------------------- */

static void name_it(const struct several *s, struct hand *hand)
{
	const char *program = hand->is_program ? s->options->program[0] : "", *slash;
	struct status status;

	slash = strrchr(program, '/');
	if (hand->is_program)
		snprintf(hand->name, sizeof(hand->name), "%s", slash ? slash + 1 : program);
	else if (!status_read(hand->target, 0, &status))
		memcpy(hand->name, status.name, sizeof(hand->name));
}

static void keep_ends(struct hand *hand, const struct ends *ends)
{
	hand->in = ends->pipes[IN][1];
	fcntl(hand->in, F_SETFL, O_NONBLOCK);
	close(ends->pipes[IN][0]);
	for (int i = 0; i < HAND_STREAMS; i++) {
		hand->from[i] = ends->pipes[i][0];
		close(ends->pipes[i][1]);
		fcntl(hand->from[i], F_SETFL, O_NONBLOCK);
	}
	hand->births = ends->births[0];
	close_if(ends->births[1]);
}

int hand_start(struct several *s, pid_t target, int born, struct err *err)
{
	struct hand hand = {
		.target = target, .born = born, .is_program = !target, .in = -1, .births = -1,
		.start = target ? status_start(target) : 0};
	pid_t us = getpid();
	struct ends ends;
	int rc;

	name_it(s, &hand);
	if (!vec_reserve(&s->hands, s->hands.len + 1))
		return err_set(err, -ENOMEM, "memory is short");
	rc = ends_open(s, &ends);
	if (rc)
		return err_sys(err, rc, "following pid %d", target);
	hand.result = mmap(NULL, sizeof(*hand.result), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	hand.pid = hand.result == MAP_FAILED ? -1 : fork_hand(&hand);
	if (hand.pid == 0)
		hand_main(s, &hand, &ends, us);
	if (hand.pid < 0) {
		rc = -errno;
		ends_close(&ends);
		if (hand.result != MAP_FAILED)
			munmap(hand.result, sizeof(*hand.result));
		return err_sys(err, rc, "following pid %d", target);
	}
	keep_ends(&hand, &ends);
	(void)vec_push(&s->hands, hand); /* (there is room) */
	return 0;
}

/* ---- what it says ------------------------------------------------------------------------ */

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
		if (stream == HAND_ERR && hand->target)
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

	if (!hand->target)
		hand->target = hand->result->pid;
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

/* What it runs by now has a name of its own, perhaps. */
static void rename_it(struct hand *hand)
{
	if (hand->result->name[0])
		memcpy(hand->name, hand->result->name, sizeof(hand->name) - 1);
}

bool hand_look(struct several *s, struct hand *hand)
{
	int status;

	rename_it(hand);
	if (hand->ended || waitpid(hand->pid, &status, WNOHANG) != hand->pid)
		return false;
	for (int i = 0; i < HAND_STREAMS; i++)
		hand_take(s, hand, i);
	rename_it(hand);
	hand->ended = true;
	hand->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (WIFSIGNALED(status))
		output_warn(&s->output, "the memtrace of pid %d was killed by signal %d",
			    (int)hand->target, WTERMSIG(status));
	hand_leave(hand);
	return true;
}

/* ---- what it is told ----------------------------------------------------------------------- */

static void close_in(struct hand *hand)
{
	close_if(hand->in);
	hand->in = -1;
}

/* It reads when it has answered what it was told before, which may be long: nobody waits for it. */
void hand_flush(struct hand *hand)
{
	ssize_t n = hand->in >= 0 && hand->to.len ? write(hand->in, hand->to.at, hand->to.len) : 0;

	if (n > 0) {
		memmove(hand->to.at, hand->to.at + n, hand->to.len - (size_t)n);
		hand->to.len -= (size_t)n;
	}
	if ((n < 0 && errno != EAGAIN && errno != EINTR) || (hand->closes && !hand->to.len))
		close_in(hand);
}

void hand_tell(struct hand *hand, const char *line)
{
	size_t len = strlen(line);

	if (hand->in < 0 || hand->ended || !vec_reserve(&hand->to, hand->to.len + len + 1))
		return;
	memcpy(hand->to.at + hand->to.len, line, len);
	hand->to.at[hand->to.len + len] = '\n';
	hand->to.len += len + 1;
	hand_flush(hand);
}

void hand_close(struct hand *hand)
{
	hand->closes = true;
	hand_flush(hand);
}

void hand_leave(struct hand *hand)
{
	close_in(hand);
	if (!hand->ended)
		kill(hand->pid, leave_signal(hand));
}

void hand_deinit(struct hand *hand)
{
	for (int i = 0; i < HAND_STREAMS; i++) {
		close_if(hand->from[i]);
		vec_deinit(&hand->text[i]);
	}
	close_if(hand->births);
	vec_deinit(&hand->to);
	munmap(hand->result, sizeof(*hand->result));
}
