/*
 * The threads: their table (chained hashing by tid; a process has one to some thousands), and
 * what a stopped one has: its registers, the signal that it is stopped by, its signal mask.
 */
#include "tracer/threads.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef PTRACE_SETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif

/* ---- the table --------------------------------------------------------- */

static struct thread **bucket_of(struct tracee *tracee, pid_t tid)
{
	return &tracee->bucket[(unsigned)tid % TRACEE_BUCKETS];
}

struct thread *threads_find(const struct tracee *tracee, pid_t tid)
{
	struct thread *at = tracee->bucket[(unsigned)tid % TRACEE_BUCKETS];

	while (at && at->tid != tid)
		at = at->next;
	return at;
}

struct thread *tracee_find(const struct tracee *tracee, pid_t tid)
{
	return threads_find(tracee, tid);
}

struct thread *threads_add(struct tracee *tracee, pid_t tid)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	struct thread **bucket = bucket_of(tracee, tid);

	if (!thread)
		return NULL;
	thread->tid = tid;
	thread->next = *bucket;
	*bucket = thread;
	tracee->count++;
	return thread;
}

void threads_remove(struct tracee *tracee, struct thread *thread)
{
	struct thread **link = bucket_of(tracee, thread->tid);

	while (*link && *link != thread)
		link = &(*link)->next;
	if (!*link)
		return;
	*link = thread->next;
	tracee->count--;
}

void threads_free(struct tracee *tracee, struct thread *thread)
{
	if (thread->owner && tracee->forget)
		tracee->forget(thread->owner);
	free(thread);
}

void threads_free_exited(struct tracee *tracee)
{
	if (tracee->exited_thread)
		threads_free(tracee, tracee->exited_thread);
	tracee->exited_thread = NULL;
}

void threads_keep_only(struct tracee *tracee, struct thread *thread)
{
	for (size_t i = 0; i < TRACEE_BUCKETS; i++) {
		struct thread *at = tracee->bucket[i], *next;

		for (; at; at = next) {
			next = at->next;
			if (at == thread || at->sharer || at->unannounced)
				continue;
			threads_remove(tracee, at);
			threads_free(tracee, at);
		}
	}
}

void threads_deinit(struct tracee *tracee)
{
	threads_free_exited(tracee);
	for (size_t i = 0; i < TRACEE_BUCKETS; i++) {
		while (tracee->bucket[i]) {
			struct thread *thread = tracee->bucket[i];
			threads_remove(tracee, thread);
			threads_free(tracee, thread);
		}
	}
}

void tracee_for_each(struct tracee *tracee, void (*visit)(void *arg, struct thread *thread),
		     void *arg)
{
	for (size_t i = 0; i < TRACEE_BUCKETS; i++)
		for (struct thread *at = tracee->bucket[i]; at; at = at->next)
			visit(arg, at);
}

pid_t tracee_alive(struct tracee *tracee)
{
	struct status status;

	if (!tracee->alive || status_read(tracee->pid, tracee->alive, &status) ||
	    status.state == 'Z' || status.state == 'X')
		tracee->alive = status_alive(tracee->pid);
	return tracee->alive;
}

/* ---- a stopped thread -------------------------------------------------- */

struct regs *thread_regs(const struct tracee *tracee, struct thread *thread)
{
	struct iovec iov = {thread->regs.bytes, tracee->arch->regs_len};

	if (thread->regs_read)
		return &thread->regs;
	if (ptrace(PTRACE_GETREGSET, thread->tid, NT_PRSTATUS, &iov) < 0)
		return NULL;
	thread->regs.len = (uint32_t)iov.iov_len;
	thread->regs_read = true;
	thread->regs_changed = 0;
	return &thread->regs;
}

bool thread_was_killed(const struct thread *thread)
{
	unsigned long message;

	return ptrace(PTRACE_GETEVENTMSG, thread->tid, 0, &message) < 0 && errno == ESRCH;
}

void thread_regs_commit(struct thread *thread)
{
	struct iovec iov = {thread->regs.bytes, thread->regs_changed};

	if (thread->regs_read && thread->regs_changed)
		ptrace(PTRACE_SETREGSET, thread->tid, NT_PRSTATUS, &iov);
	thread->regs_changed = 0;
}

void thread_regs_flush(struct thread *thread)
{
	thread_regs_commit(thread);
	thread->regs_read = false;
}

bool thread_siginfo(pid_t tid, siginfo_t *ret)
{
	return ptrace(PTRACE_GETSIGINFO, tid, 0, ret) == 0;
}

void thread_mask_set(const struct arch *arch, const struct thread *thread, uint64_t mask)
{
	_Alignas(8) uint8_t set[ARCH_SIGNAL_SET] = {0};

	if (arch->signal_set_len > sizeof(mask))
		ptrace(PTRACE_GETSIGMASK, thread->tid, (long)arch->signal_set_len, set);
	arch_put_signal_set(arch, set, mask);
	ptrace(PTRACE_SETSIGMASK, thread->tid, (long)arch->signal_set_len, set);
}
