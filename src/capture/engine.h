/*
 * The breakpoint engine: everything the tracer thread owns.
 *
 *   stop --> trap of a stub? --> book (+ walker, region)
 *        --> the loader's?   --> rescan modules, plan and apply hooks
 *        --> signal, child, exec, exit --> passed on as without us
 */
#ifndef MEMTRACE_ENGINE_H
#define MEMTRACE_ENGINE_H

#include "capture/capture.h"
#include "capture/case.h"
#include "capture/missed.h"
#include "capture/record.h"
#include "capture/traps.h"
#include "capture/walker.h"
#include "hook/hooks.h"
#include "region/book.h"
#include "tracer/guardian.h"
#include "tracer/nearby.h"
#include "tracer/tracee.h"

/* How the engine speaks to the other thread. */
struct engine_voice {
	void (*say)(void *arg, enum notice_kind kind, const char *text);
	void *arg;
};

struct engine {
	struct capture_options options;
	struct engine_voice voice;
	struct tracee tracee;
	const atomic_bool *hurry; /* true: the process is to be let go, nothing is waited for */
	struct undo *undo;
	struct guardian guardian;
	struct nearby nearby;
	struct region_space space;
	struct region *region;
	struct book book;
	struct modules modules;
	struct maps maps;
	struct hooks hooks;
	struct traps traps;   /* the payload of the hooks */
	struct missed missed; /* by this program */
	struct walker walker;
	struct recorder recorder;
	struct case_recorder cases;
	struct externals externals;	/* walker and hooks look into it */
	frame_t *frames;		/* options.depth of them, and WALKER_NESTED */
	uint64_t started_ms;		/* CLOCK_MONOTONIC: time base of ticks */
	struct timespec counting_since; /* CLOCK_REALTIME */
	uint64_t rescan_ms; /* when modules were last looked for because of an unknown pc */
	char **command;
	bool traced;	 /* tracee is to be released */
	bool rescan;	 /* the loader changed its list: a thread waits for us */
	bool resign;	 /* the program is about to catch the trap's signal: the same */
	bool harden;	 /* one is about to get one: a thread waits for us */
	bool left;	 /* a predecessor's stubs could not be wiped: a thread was inside */
	bool loading;	 /* launched; libraries are not all there yet */
	pid_t child;	 /* of the process, by its last fork; 0 */
	pid_t dying;	 /* this thread is about to end the process; 0 */
	bool parting;	 /* a guest is about to ask its parent to trace it, and is held */
	pid_t parted;	 /* the last such that did not go its way at once; 0 */
	bool unkillable; /* by that, while it is traced */
	struct err stranger; /* code: the process runs another machine's program now; why that
				can't be followed */
	bool ended;
	enum capture_end end;
	int status;
	VEC(struct snapshot_thread) let_go; /* the threads when it was: no names, no states */
};

/* What the engine keeps of a thread of the target. */
struct engine_thread {
	struct book_thread book;
	taddr_t free_slot; /* where the return address of its last free() lay, by ... */
	uint32_t free_by;  /* ... which module's function */
	int swallow; /* this signal of its trap is to be dropped: the trap was counted before;
			0: none */
};

int engine_init(struct engine *ret, const struct capture_options *options,
		const struct engine_voice *voice, const atomic_bool *hurry, struct err *err);
/* Keeps what reports say of the threads, which are about to be let go. */
void engine_keep_threads(struct engine *engine);
/* After engine_leave(), or when it never began. */
void engine_deinit(struct engine *engine);

int engine_attach(struct engine *engine, pid_t pid, struct err *err);
int engine_launch(struct engine *engine, char *const argv[], struct err *err);

/* Waits for stops and handles one batch; returns early (0) when a signal interrupts
 * the waiting.  Sets engine->ended when the process is gone. */
int engine_turn(struct engine *engine, struct err *err);

/* Stops the process, puts everything back, lets it go.  Sets ended, CAPTURE_DETACHED. */
void engine_leave(struct engine *engine);

/* A snapshot of the present state. */
int engine_snapshot(struct engine *engine, struct snapshot **ret, struct err *err);
void engine_clear(struct engine *engine);
/* Takes what it can of them out of the list. */
void engine_take_externals(struct engine *engine, struct externals *externals);

/* Ticks (1/100 s) since the start. */
uint32_t engine_now(const struct engine *engine);

/* ---- between the engine's files ----------------------------------------- */

struct engine_thread *engine_thread(struct thread *thread);
/* A thread stands at the trap of one of our stubs: counts what it means. */
void engine_trap(struct engine *engine, struct thread *thread);
/* The signal by which the trap that the thread stands in is reported; 0: in none. */
int engine_trap_signal(struct engine *engine, struct thread *thread);
/* The stop is our trap's signal: it is counted, unless that was done before. */
bool engine_is_our_signal(struct engine *engine, struct stop *stop);
/* A stop that is not our trap's signal, at our trap: is the trap yet to be counted? */
void engine_trap_overtaken(struct engine *engine, struct thread *thread);
/* Follows modules: rescans, plans, applies.  World standing or one thread only.  As
 * engine_check_program(), if that has happened meanwhile. */
int engine_follow(struct engine *engine, enum hook_scope scope, struct err *err);
/* The process may have become a program that can't be followed: -ENOTSUP, and why; else 0. */
int engine_check_program(const struct engine *engine, struct err *err);
/* Clears away what memtraces that were killed left; before the first engine_follow(). */
int engine_inherit(struct engine *engine, struct err *err);
/* Has the loader still to map the libraries, or is it about to?  By its r_debug. */
bool engine_is_loading(struct engine *engine);
/* A thread is at the loader's notification. */
void engine_loader(struct engine *engine);
/* A thread calls prctl(), which may install a seccomp filter or Syscall User Dispatch. */
void engine_prctl(struct engine *engine, const uint64_t argument[4]);
/* A thread calls sigaction(signo). */
void engine_sigaction(struct engine *engine, int signo);
/* Our own signal `signo` was seen at the trap: from now on the thread blocks what it blocked
 * before. */
void engine_close_trap(struct engine *engine, struct thread *thread, int signo);
/* At a signal that is not ours.  True: it waits again, as the thread blocks it but for the
 * trap it is in, which is counted. */
bool engine_keep_signal(struct engine *engine, struct thread *thread, int signo);
/* Chooses the signal of the soft trap, before there is any.  `except`: a signal that the
 * program is about to catch; 0. */
void engine_choose_signal(struct engine *engine, int except);
/* Stops all threads and lets none stand in a soft trap before its signal is sent; wholly: nor
 * where it has system calls to make.  -EAGAIN: one does not come out. */
int engine_empty_traps(struct engine *engine, bool wholly, struct err *err);
/* Does what engine_prctl() and engine_sigaction() found to be necessary. */
int engine_change_trap(struct engine *engine, struct err *err);
/* Chooses soft or hard traps, by what stands between the target and its system calls.  The
 * world stands. */
void engine_choose_trap(struct engine *engine);
/* A signal is about to be delivered: if it ends the process with a core dump, the thread
 * waits for engine_bury(), which puts the code back before. */
void engine_fatal(struct engine *engine, const struct thread *thread, int signo);
int engine_bury(struct engine *engine, struct err *err);
/* ptrace() is about to be called: a guest that asks to be traced is held, until engine_part(). */
void engine_ptrace(struct engine *engine, struct thread *thread, long request);
/* Lets those go that are held.  All threads stand then, or -errno. */
int engine_part(struct engine *engine, struct err *err);
/* The same where all stand, or are about to be let go, and no trap does anything. */
void engine_part_standing(struct engine *engine);
/* Does one that was let go still share the memory?  It may be inside the stubs. */
bool engine_is_shared(const struct engine *engine);
/* Modules changed or an unknown pc was met: looks at the mappings anew. */
int engine_rescan_modules(struct engine *engine, bool *changed, struct err *err);
/* A stop has come; it ends with tracee_continue() or, for children, otherwise. */
void engine_handle(void *arg, struct stop *stop);
void engine_step(void *arg, const char *format, ...) __attribute__((format(printf, 2, 3)));
void engine_warn(void *arg, const char *format, ...) __attribute__((format(printf, 2, 3)));
void engine_remark(struct engine *engine, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A function of the module, or NULL: all of it, is not followed: said, and kept for reports. */
void engine_miss(void *arg, const struct module *module, const char *function,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
