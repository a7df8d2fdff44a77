/*
 * The breakpoint engine: everything the tracer thread owns, by who owns it.
 *
 *   a stop --> dispatcher --> whose signal? (trap_signal) --> a call (call) --> counted (count)
 *                  |                                            --> of the loader, or about
 *                  v                                                the trap itself: pending
 *         signal, child, exec, exit: passed on, as without us
 *
 *   engine_turn(): the next stop; then what is pending
 */
#ifndef MEMTRACE_ENGINE_H
#define MEMTRACE_ENGINE_H

#include "capture/capture.h"
#include "capture/heirs.h"
#include "capture/ledger.h"
#include "capture/notify.h"
#include "capture/pending.h"
#include "capture/program.h"
#include "capture/resident.h"
#include "capture/traps.h"
#include "hook/hooks.h"
#include "tracer/guardian.h"
#include "tracer/affinity.h"
#include "tracer/tracee.h"

struct undoing {
	struct undo *undo;
	struct guardian guardian;
	bool left; /* a predecessor's stubs could not be wiped: a thread was inside */
	/* A child that was let go while it shared the memory, and did not go its way at once;
	 * 0.  It may be inside the stubs. */
	pid_t sharer;
};

struct ending {
	bool ended;
	bool left; /* detached, and the capture goes on there (leave.h) */
	enum capture_end end;
	int status;
	VEC(struct snapshot_thread) threads; /* when all was let go: no names, no states */
};

struct looks {
	bool only;   /* allocations are not followed */
	bool at_end; /* the process is to be looked at before it ends */
	pid_t exiting; /* this thread waits for that; 0 */
};

struct engine {
	struct notifier notifier;
	struct tracee tracee;
	bool traced; /* tracee is to be released */
	struct affinity affinity;
	struct program program;
	struct hooks hooks;
	struct traps traps; /* the payload of the hooks */
	struct resident resident;
	struct ledger ledger;
	struct pending pending;
	struct undoing undoing;
	struct ending ending;
	struct looks looks;
	struct heirs heirs;
	struct inherited inherited; /* it was born of a process that is followed */
	bool killed; /* whose capture is gone on with was killed (takeover.h) */
	bool stays;  /* at the end the capture is to go on (leave.h) */
	bool clears; /* what predecessors left is taken out, and nothing else is done */
};

/* notifier: how the engine speaks to the other thread.  *hurry: the process is to be let go, and
 * nothing is waited for. */
int engine_init(struct engine *ret, const struct capture_options *options,
		const struct notifier *notifier, const atomic_bool *hurry,
		struct err *err) MUST_CHECK;
/* After detach_process(), or when it never began. */
void engine_deinit(struct engine *engine);

/* On the thread that is to call all the others: a ptracer is a thread.  0: its functions are
 * followed (or looks alone are wanted), and it runs; else err says why not, in words for who asked,
 * and detach_process() undoes what was begun.  engine_launch(): argv[0] is searched for in PATH; it
 * is followed from its first instruction. */
int engine_attach(struct engine *engine, pid_t pid, struct err *err) MUST_CHECK;
/* The same of a child that waits for it: file, heirs_receive()'s. */
int engine_take(struct engine *engine, pid_t pid, int file, struct err *err) MUST_CHECK;
int engine_launch(struct engine *engine, const struct capture_options *options,
		  char *const argv[], struct err *err) MUST_CHECK;

/* Waits for stops and handles one batch; returns early (0) when a signal interrupts
 * the waiting.  Sets ending.ended when the process is gone. */
int engine_turn(struct engine *engine, struct err *err) MUST_CHECK;

/* Takes what it can of them out of the list. */
void engine_take_externals(struct engine *engine, struct externals *externals);

#endif
