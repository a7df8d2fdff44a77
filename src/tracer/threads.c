/* The thread table: chained hashing by tid; a process has one to some thousands. */
#include "tracer/threads.h"

#include <stdlib.h>

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

void threads_bury(struct tracee *tracee)
{
	if (tracee->corpse)
		threads_free(tracee, tracee->corpse);
	tracee->corpse = NULL;
}

void threads_keep_only(struct tracee *tracee, struct thread *thread)
{
	for (size_t i = 0; i < TRACEE_BUCKETS; i++) {
		struct thread *at = tracee->bucket[i], *next;

		for (; at; at = next) {
			next = at->next;
			if (at == thread || at->guest || at->unclaimed)
				continue;
			threads_remove(tracee, at);
			threads_free(tracee, at);
		}
	}
}

void threads_deinit(struct tracee *tracee)
{
	threads_bury(tracee);
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
