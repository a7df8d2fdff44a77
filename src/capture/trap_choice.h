/* Which trap: its signal, and whether it is soft or hard. */
#ifndef MEMTRACE_TRAP_CHOICE_H
#define MEMTRACE_TRAP_CHOICE_H

#include "capture/engine.h"

/* Chooses the signal of the soft trap, before there is any.  `except`: a signal that the
 * program is about to catch; 0. */
void trap_choice_signal(struct engine *engine, int except);

/* Soft or hard, by what is between the target and its system calls.  All threads are
 * stopped. */
void trap_choice_kind(struct engine *engine);

/* A thread calls prctl(), which may install a seccomp filter or Syscall User Dispatch. */
void trap_choice_on_prctl(struct engine *engine, const uint64_t argument[4]);
/* A thread calls sigaction(signo). */
void trap_choice_on_sigaction(struct engine *engine, int signo);

/* Does what they found to be necessary, PENDING_SIGNAL and PENDING_HARD.  All threads are
 * stopped behind it; -ETIMEDOUT, ...: as tracee_stop(). */
int trap_choice_change_signal(struct engine *engine, struct err *err) MUST_CHECK;
int trap_choice_use_break(struct engine *engine, struct err *err) MUST_CHECK;

#endif
