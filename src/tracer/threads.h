/* The table of a tracee's threads, by id.  Used within tracer/ only. */
#ifndef MEMTRACE_THREADS_H
#define MEMTRACE_THREADS_H

#include "tracer/tracee.h"

struct thread *threads_find(const struct tracee *tracee, pid_t tid);
/* A new thread, THREAD_RUNNING.  NULL: memory is short. */
struct thread *threads_add(struct tracee *tracee, pid_t tid);
/* Takes it out of the table; it stays allocated. */
void threads_remove(struct tracee *tracee, struct thread *thread);
void threads_free(struct tracee *tracee, struct thread *thread);
/* After exec: every thread but this one is gone (sharers stay). */
void threads_keep_only(struct tracee *tracee, struct thread *thread);
/* Frees the thread that was handed out with STOP_THREAD_EXIT, if there is one. */
void threads_free_exited(struct tracee *tracee);
/* Changed registers are written back; they will be read anew. */
void thread_regs_flush(struct thread *thread);
/* Detaches a stopped thread, with its signal. */
void thread_end(const struct tracee *tracee, struct thread *thread);
void threads_deinit(struct tracee *tracee);

#endif
