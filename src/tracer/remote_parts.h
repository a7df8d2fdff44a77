/* What the files share that have a thread of the process run code for us: remote.c,
 * remote_choose.c, copy.c. */
#ifndef MEMTRACE_REMOTE_PARTS_H
#define MEMTRACE_REMOTE_PARTS_H

#include "tracer/tracee.h"
#include "tracer/undo.h"

/* What is to be run: code by build(), whose system calls a filter must let pass. */
struct remote_program {
	int (*build)(const struct tracee *tracee, const struct thread *thread, const void *arg,
		     taddr_t at, const struct regs *regs, const int64_t *own,
		     struct remote_code *ret);
	const void *arg;
	const struct remote_call *calls;
	size_t count;
};

enum { REMOTE_HEAD = 16 }; /* bytes before the code, as of every area (arch/trap.h) */

/* A thread that can run it at a place, none that is in the way of anything.  Errors as
 * remote_call()'s: -EAGAIN, -EPERM, -ERANGE. */
int remote_choose(struct tracee *tracee, const struct undo_place *place,
		  const struct remote_program *program, struct thread **ret,
		  struct err *err) MUST_CHECK;
/* Where a stopped thread is, so far as it matters for that. */
enum remote_at remote_whereabouts(const struct tracee *tracee, const struct thread *thread,
				  const struct regs *regs);

/* For remote_code.spare: where the thread with these registers is, in the code of a file. */
unsigned remote_spare(struct tracee *tracee, const struct regs *regs);

struct remote_run {
	struct tracee *tracee;
	struct thread *thread;
	struct remote_code code;
	struct regs home; /* as they were */
};

/* Chooses the thread and writes the code.  Errors as remote_call()'s. */
int remote_begin(struct tracee *tracee, struct undo *undo, const struct undo_place *place,
		 const struct remote_program *program, struct remote_run *ret,
		 struct err *err) MUST_CHECK;
/* Takes the code away.  rc: what became of it, put in words. */
int remote_end(struct remote_run *r, struct undo *undo, const struct undo_place *place, int rc,
	       struct err *err) MUST_CHECK;

/* Is that all there is: code that remote_begin() wrote at the beginning of zeros, and that a
 * memtrace which was killed has left? */
bool remote_is_left(const struct arch *arch, const uint8_t *bytes, size_t len);

void remote_regs_set(const struct remote_run *r, const struct regs *regs);
/* The thread's next stop, which is left to be taken.  -ETIMEDOUT: it takes long; it is handed
 * on, as if it ran. */
int remote_run_to(const struct remote_run *r, long request, int *status);
/* Another stop than what was waited for: it is left to be handed out, but for a refusal. */
int remote_give_up(const struct remote_run *r, int status);
/* Back to a stop as it was before. */
int remote_come_home(const struct remote_run *r);

/* The next status of a tracee of ours, left where it is.  -ETIMEDOUT: there was none. */
int remote_next_stop(pid_t tid, unsigned limit_ms, int *status);
void remote_take(pid_t tid);
bool remote_is_call_stop(int status);

#endif
