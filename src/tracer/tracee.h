/*
 * A process under our control: its threads, their stops, and stopping all of them.
 *
 * One thread of ours is the tracer and makes every call here.  Threads of the
 * target are THREAD_RUNNING until a stop of theirs is reaped; tracee_next() hands
 * the stop out, and tracee_continue() ends it.
 *
 *              tracee_next()             tracee_continue()
 *    RUNNING ----------------> STOPPED ---------------------> RUNNING
 *       |                         | (group stop)                 ^
 *       | exits                   +------> LISTENING --- SIGCONT -+
 *       v
 *     GONE --> removed when its exit status is reaped
 *
 * Stops are reaped in batches (block for one, then all others with WNOHANG), as
 * a wait for any alone starves threads at the end of the kernel's list.  A stop at a signal of
 * the program's own is looked at, not reaped: so the kernel delivers it if we are killed
 * (reap.c).
 *
 * While all threads are stopped (tracee_stop() .. tracee_resume()) tracee_continue()
 * only marks: the handlers of stops are the same in both worlds.  But a signal is passed
 * on then, too: the thread stops again before it runs an instruction.
 */
#ifndef MEMTRACE_TRACEE_H
#define MEMTRACE_TRACEE_H

#include <signal.h>

#include "arch/cpu.h"
#include "tracer/status.h"
#include "tracer/target.h"
#include "tracer/sched_fifo.h"

enum thread_state { THREAD_RUNNING, THREAD_STOPPED, THREAD_LISTENING, THREAD_GONE };

struct thread {
	pid_t tid;
	enum thread_state state;
	int deliver;	  /* signal that the next continue delivers */
	int event;	  /* of its stop: PTRACE_EVENT_*; 0: a signal */
	bool group_stop;  /* in a stop of the target's own (SIGSTOP ...): listen, don't continue
			   */
	bool interrupted; /* PTRACE_INTERRUPT sent, its stop not seen yet */
	bool continued;	  /* it was in a group stop until now: SIGCONT has come */
	bool attached;	  /* its first stop has been seen */
	bool in_exec_stop; /* in the stop of STOP_EXEC */
	bool at_call;	  /* in a stop at the begin or the end of a system call */
	bool in_remote;	  /* remote.c's: the stop of its system call was not waited for */
	bool sharer;	  /* not a thread of the process, but shares its memory (vfork child) */
	unsigned calls;	  /* of a sharer: how many stops at system calls are still looked at */
	bool own_stack;	  /* of a sharer: not the stack of who made it */
	bool held;	  /* a sharer in the stop of STOP_ASKS: not continued, but let go */
	bool call_taken;  /* it is held at the call, which it would not make: sharers.c */
	bool stands; /* at its birth: tracee_resume() leaves it there */
	bool unannounced; /* stopped before the event that says what it is */
	bool seen_traced; /* /proc has by its number what we trace: target_open_traced() */
	bool in_vfork; /* waits in the kernel until its vfork child is gone: cannot stop, cannot
			  run */
	bool regs_read;
	uint32_t regs_changed; /* so many bytes from the first on are to be written back */
	struct regs regs;      /* by thread_regs(); in_vfork: as they were at its beginning */
	int64_t restarted_call; /* hide.c's: 1 + number of the call whose result it changed */
	void *owner;	       /* of the layer above; freed by tracee->forget */
	struct thread *next;   /* same bucket */
};

enum stop_kind {
	STOP_SIGNAL, /* about to be delivered `signal`: thread->deliver is set; set 0 to drop it
		      */
	STOP_QUIET,  /* our own interrupt, or a first stop: nothing happened */
	STOP_GROUP,  /* the target was stopped by `signal` */
	STOP_CHILD,  /* a new process, thread->tid, stopped: with memory of its own if
		      * !shares_memory.  When handled: tracee_let_go() or, for a sharer,
		      * tracee_continue() */
	STOP_EXEC,   /* a new program in thread->tid == pid; every other thread is gone */
	STOP_SHARER_EXEC, /* a sharer has left our memory; tracee_let_go() it */
	STOP_RUNNER_EXEC, /* stop.runner begins a new program: runners.h */
	STOP_ASKS,	  /* a sharer is about to ask to be traced by its parent
			   * (PTRACE_TRACEME): it is held; let go, it will be */
	STOP_THREAD_EXIT, /* `thread` is gone; valid until the next call */
	STOP_EXITING,	  /* the process is about to end by itself, its memory still there;
			   * tracee_tell_exits() */
	STOP_EXIT,	  /* the process is gone: status as of waitpid */
};

struct stop {
	enum stop_kind kind;
	struct thread *thread; /* NULL for STOP_EXIT */
	int signal;
	int status;
	bool shares_memory;
	pid_t runner;
};

struct runner { /* runners.h */
	pid_t tid, tgid;
};

/* A new process (not thread), by its parent's event. */
struct birth {
	pid_t pid; /* 0: the parent was killed before it could be asked which */
	bool vfork;
	taddr_t sp; /* the parent's; 0: not known */
	bool compared; /* with its parent: */
	long differs;  /* has it other memory?  -errno: the kernel did not say */
};

enum { TRACEE_BUCKETS = 1024, COPIES_MOST = 8 };

/* A frame of a stopped thread: pc, or where it will go on, and what of the stack is its. */
struct stack_frame {
	taddr_t pc, sp, end;
};

struct tracee {
	pid_t pid;
	pid_t process; /* tracee_process(), once it was asked */
	const struct arch *arch;
	struct target target;
	struct thread *bucket[TRACEE_BUCKETS];
	size_t count;
	pid_t alive;   /* see tracee_alive() */
	taddr_t unread;	  /* of a stack, when it was last searched: not there while all are
			     stopped; 0 */
	bool all_stopped; /* between tracee_stop() and tracee_resume() */
	int64_t stop_most_ms; /* so long tracee_stop() may take, however many there are; 0: any time */
	struct sched_fifo sched_fifo;
	int own_signal; /* of the layer above, to be dropped: others are the program's */
	bool watches_sharers; /* all of them, see tracee_watch_sharers() */
	bool own_breaks; /* SIGTRAP of a break instruction is, too */
	bool batch_cut;	 /* the last batch was cut short for one of the program's */
	bool takes_all;	 /* waitid() does not know threads */
	bool launched;	/* our own child */
	bool exited;
	bool succeeded; /* it had, and who shared its memory took its place */
	/* Of the layer above: whoever waits for something else hands the stops that come to it.
	 * At first one by which they end at once. */
	void (*handle)(void *arg, struct stop *stop);
	void *handle_arg;
	void (*forget)(void *owner);
	/* Of the layer above, which can unwind: the frames of a thread that is stopped in a
	 * system call, innermost first, up to the first one that is not known for sure.
	 * While all threads are stopped.  NULL: nothing is known. */
	size_t (*frames)(void *arg, struct thread *thread, struct stack_frame *ret, size_t max);
	void *frames_arg;
	VEC(struct {
		pid_t tid;
		int status;
	})
	queue; /* reaped, not handed out */
	size_t queue_head;
	size_t queue_signals; /* so many at the front are signals of the program's */
	struct {
		unsigned pause, left;
	} poll_backoff;			       /* see reap() */
	VEC(struct runner) runners;   /* traced, and not followed */
	bool leaves_runners;	      /* they are to be let go */
	pid_t copies[COPIES_MOST]; /* of the process (copy.h), each in a stop that was reaped; 0 */
	VEC(struct birth) expected;	       /* children announced, not yet stopped */
	unsigned unannounced;	     /* children stopped, not yet announced */
	unsigned unannounced_rests; /* see children.c */
	struct thread
		*exited_thread; /* handed out with STOP_THREAD_EXIT; freed at the next call */
};

/* Seizes every thread; they run on, but sharers, which were asked to stop and go on when that
 * stop was handed out.  Errors say why not and what would help. */
int tracee_attach(struct tracee *ret, pid_t pid, struct err *err) MUST_CHECK;

/* Behind it: hands these stops out, for some 20 ms at most. */
void tracee_settle_sharers(struct tracee *tracee);

struct launch_files { /* its descriptors 0, 1, 2 */
	bool theirs; /* false: ours */
	int at[3];
	bool stdin_null;
};

/*
 * Starts argv (found in PATH) and returns when it is stopped at its first instruction,
 * STOP_EXEC taken: its one thread is THREAD_STOPPED.  `mask` is its signal mask (ours
 * says nothing of what our caller's was).  -ENOENT, -EACCES, -ENOTSUP
 * (another machine's program), ...: with the reason; nothing is left then.
 */
int tracee_launch(struct tracee *ret, char *const argv[], const struct launch_files *files,
		  const sigset_t *mask, struct err *err) MUST_CHECK;

/* Lets every thread go (stopped ones with their pending signal) and frees.  The
 * caller has undone its changes.  Running threads are stopped first. */
void tracee_release(struct tracee *tracee);

/* 1: *ret is the next stop.  0: nothing to report (wait was interrupted by a signal
 * of ours, or !wait).  -ECHILD: no thread is left. */
int tracee_next(struct tracee *tracee, bool wait, struct stop *ret);

/* Hands the next stop to tracee->handle: 1; else as tracee_next(). */
int tracee_take(struct tracee *tracee, bool wait);

/* Hands out the stops of threads that run, for so long, or until the process has ended. */
void tracee_take_for(struct tracee *tracee, unsigned ms);

/* Ends a stop, of a thread that is not held.  While all are stopped, only takes note. */
void tracee_continue(struct tracee *tracee, struct thread *thread);

/* The process has ended, or is another program: hands out, as STOP_CHILD, the children of what
 * it was whose first stop is still to come or whose parent was killed before it told of them,
 * and what else there is. */
void tracee_hand_out_children(struct tracee *tracee);

/* Does a sharer run in the same memory as this thread of another process? */
bool tracee_has_company(struct tracee *tracee, const struct thread *thread);

/* The process has ended, and a sharer runs in its memory still: that one takes its place, until
 * it is let go, or leaves that memory by an exec (STOP_SHARER_EXEC, tracee.exited).  False: there is none. */
bool tracee_succeed(struct tracee *tracee);

/* Whether STOP_ASKS is to come of every sharer that does, also by a call of ptrace(): where
 * that is not patched.  So it is after tracee_attach(). */
void tracee_watch_sharers(struct tracee *tracee, bool all);

/* The same, of a sharer that has entered ptrace() to ask.  False: this kernel (before
 * Linux 5.3) does not tell. */
bool tracee_watch_sharer(struct thread *sharer);

/* Lets one process (a fork child) go for good, and forgets it. */
void tracee_let_go(struct tracee *tracee, struct thread *thread);

/*
 * Stops every thread; stops that come meanwhile go to tracee->handle, as always.  Then
 * memory and registers can be changed as if they were data.  -ETIMEDOUT: a thread
 * does not stop (uninterruptible sleep); the others were resumed.  -ECHILD: the
 * process is gone.
 */
int tracee_stop(struct tracee *tracee, struct err *err) MUST_CHECK;
void tracee_resume(struct tracee *tracee);
/* Lets one thread run for a moment while all others are stopped. */
void tracee_run_one(struct tracee *tracee, struct thread *thread);
/* Lets one thread run, the others not: it is going to end the process. */
void tracee_resume_one(struct tracee *tracee, struct thread *thread);

/* From now on STOP_EXITING is handed out, of threads that are stopped, and of those that they start. */
void tracee_tell_exits(struct tracee *tracee);

/* The thread whose /proc files speak for the process: the leader's, unless it has
 * ended before its threads. */
pid_t tracee_alive(struct tracee *tracee);

/* The process by its own number, in its pid namespace, which its traps bear; 0: they don't. */
pid_t tracee_process(struct tracee *tracee);

/* NULL: not ours. */
struct thread *tracee_find(const struct tracee *tracee, pid_t tid);
/* Calls visit for every thread; visit may not remove any. */
void tracee_for_each(struct tracee *tracee, void (*visit)(void *arg, struct thread *thread),
		     void *arg);

/* The registers of a stopped thread, read once per stop.  NULL: it died. */
struct regs *thread_regs(const struct tracee *tracee, struct thread *thread);
/* The thread pointer of a stopped thread.  0: it is not to be known. */
taddr_t thread_pointer(const struct tracee *tracee, struct thread *thread);
/* Of one that the kernel has for io_uring (Linux 5.12)?  It is listed, traced and stops as any other, but runs none
 * of the process' code. */
bool regs_are_kernels(const struct arch *arch, const struct regs *regs);
/* All of its vector registers, as the kernel gives them; malloc'ed.  NULL: it has none. */
void *thread_vectors(const struct tracee *tracee, const struct thread *thread, size_t *len);
/* Of the signal that a thread is stopped by.  False: it has none, or has died. */
bool thread_siginfo(pid_t tid, siginfo_t *ret);
/* Of a stopped thread; ignored before Linux 3.11. */
void thread_mask_set(const struct arch *arch, const struct thread *thread, uint64_t mask);
/* Was it killed while it stood (its exit status will come)? */
bool thread_was_killed(const struct thread *thread);
/* Changed ones are written back at once, not when the stop ends: for what is wrong without
 * them even if we are killed in the next moment. */
void thread_regs_commit(struct thread *thread);
/* They were changed: written back when the stop ends. */
static inline void thread_regs_touch(struct thread *thread)
{
	thread->regs_changed = thread->regs.len;
}
/* Only the first len bytes were: the kernel writes register by register, some of them
 * slowly. */
static inline void thread_regs_touch_first(struct thread *thread, uint32_t len)
{
	if (thread->regs_changed < len)
		thread->regs_changed = len;
}

#endif
