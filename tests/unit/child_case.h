/*
 * A child process for tests that trace: it runs a function of the test, says when it is
 * ready, and ends with the test, whatever happens.
 */
#ifndef MEMTRACE_CHILD_CASE_H
#define MEMTRACE_CHILD_CASE_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tracer/tracee.h"

struct child_case {
	pid_t pid;
	int hear; /* the parent's end: what the child says */
	int say;  /* the child's end, in the child */
};

/* In the child: one word to the parent. */
static inline void child_say(const struct child_case *child, long word)
{
	if (write(child->say, &word, sizeof(word)) != sizeof(word))
		_exit(99);
}

/* In the parent: the child's next word. */
static inline long child_hear(const struct child_case *child)
{
	long word = -12345;

	if (read(child->hear, &word, sizeof(word)) != sizeof(word))
		fail_msg("the child says nothing any more");
	return word;
}

/* Forks; the child runs `run` and ends. */
static inline struct child_case child_start(void (*run)(struct child_case *self, void *arg),
					    void *arg)
{
	struct child_case child;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		fail_msg("pipe: %s", strerror(errno));
	child.hear = ends[0];
	child.say = ends[1];
	child.pid = fork();
	if (child.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run(&child, arg);
		_exit(0);
	}
	close(ends[1]);
	return child;
}

/* Kills it, where that is still needed, and reaps it: the status of waitpid(). */
static inline int child_end(struct child_case *child)
{
	int status = 0;

	kill(child->pid, SIGKILL);
	while (waitpid(child->pid, &status, __WALL) == child->pid && WIFSTOPPED(status))
		; /* a stop that nobody has reaped */
	close(child->hear);
	return status;
}

/* What a file of the child says of it, as text.  (Neither this nor what calls it is to be in the
 * frame of who forks next: the child would have what is left in `text` on its stack, and it is
 * searched for code addresses.) */
__attribute__((noinline, unused)) static void child_read(pid_t pid, const char *name, char *text, size_t size)
{
	int fd;
	ssize_t n;

	snprintf(text, size, "/proc/%d/%s", pid, name);
	fd = open(text, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		fail_msg("the child is gone");
	text[n] = 0;
}

/* Waits until /proc says that the child is blocked in the system call `number`; -1: that
 * it runs.  The number alone does not say it: a thread that is just being woken, out of a
 * stop, has one, too (TASK_WAKING; task_current_syscall() in lib/syscall.c of the kernel,
 * 6.18), and what comes then finds it in front of the call. */
__attribute__((noinline, unused)) static void child_wait_for_call(pid_t pid, long number)
{
	char text[512];

	for (;; sched_yield()) {
		child_read(pid, "syscall", text, sizeof(text));
		if (text[0] == 'r' ? number >= 0 : strtol(text, NULL, 10) != number)
			continue;
		if (number < 0)
			return;
		child_read(pid, "stat", text, sizeof(text));
		if (strstr(text, ") S "))
			return;
	}
}

/* The system call of pause(). */
#ifdef SYS_pause
enum { CHILD_IDLE_CALL = SYS_pause };
#else
enum { CHILD_IDLE_CALL = SYS_ppoll };
#endif

/* For ever, without doing anything. */
static inline void child_idle(struct child_case *self, void *arg)
{
	(void)arg;
	child_say(self, 1);
	for (;;)
		pause();
}

/* Stops all threads; stops that come meanwhile, and from now on, go to `handle`. */
static inline int child_stop(struct tracee *tracee,
			     void (*handle)(void *arg, struct stop *stop), void *arg,
			     struct err *err)
{
	tracee->handle = handle;
	tracee->handle_arg = arg;
	return tracee_stop(tracee, err);
}

/* A handler that lets whoever has stopped go on; arg: the tracee. */
static inline void child_go_on(void *arg, struct stop *stop)
{
	if (stop->thread)
		tracee_continue(arg, stop->thread);
}

#endif
