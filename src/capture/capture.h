/*
 * Capture: a process whose allocations are being followed.
 *
 * The tracer runs in a thread of its own (ptrace belongs to one thread) and writes
 * the region.  The caller's thread talks to it through this interface alone: it
 * polls capture_fd() for notices and asks for snapshots.  Nothing here prints.
 *
 *    attach/launch --> STARTING --- NOTICE_READY ---> RUNNING --+-- NOTICE_ENDED
 *                         |                                     |   (exit, signal,
 *                         +------- NOTICE_ENDED (failed) <------+    detached)
 */
#ifndef MEMTRACE_CAPTURE_H
#define MEMTRACE_CAPTURE_H

#include <signal.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/vec.h"
#include "capture/look.h"
#include "capture/resident.h"
#include "capture/selection.h"
#include "heap/births.h"
#include "heap/snapshot.h"
#include "tracer/tracee.h"
#include "unwind/external.h"

struct capture;
struct heirs_room;

struct capture_options {
	unsigned depth;		  /* frames kept per stack, 1..512 */
	struct externals externals; /* taken over; empty in the caller's hands afterwards */
	bool stdin_null;	  /* launch: the program's stdin is /dev/null */
	struct launch_files files; /* launch: the program's others */
	int born; /* attach: to a child that waits for it: a file of heirs.h, closed by its owner; 0 */
	int heirs; /* children are to be followed by others: the socket (heirs.h); 0: they are not */
	struct heirs_room *heirs_room;
	bool heirs_forks; /* who: fork children; programs that begin, or NULL: as struct heirs has them */
	const char *heirs_programs;
	bool heirs_once;
	sigset_t mask;		  /* launch: the program's signal mask */
	bool look_only;		  /* attach: allocations are not followed */
	bool stay;  /* at the end the capture goes on without us, if it can */
	bool clear; /* attach: what is left of memtraces is taken out, nothing else */
	bool mappings;		  /* what maps memory is followed, too */
	bool look_at_end; /* NOTICE_EXITING: the process waits for a look before it ends */
	enum capture_engine engine;
	struct selection_options selection;
	const char *record;	  /* hidden: write sampled stacks here (tests/), or NULL */
	unsigned record_every;	  /* every n-th allocation */
	const char *record_case;  /* hidden: the folder for unwind cases (case.h), or NULL */
};

enum notice_kind {
	NOTICE_STEP,	/* "Opening /lib/... begin=0x.. offset=0", "Set breakpoint on ..." */
	NOTICE_REMARK,	/* what became of something: a child that runs on */
	NOTICE_WARNING, /* something the user should know: a module that can't be read ... */
	NOTICE_READY,	/* attached, or the program is about to run: counting has begun */
	NOTICE_NO_ROWS, /* text: a module that stacks can't be followed through: see
			   capture_take_externals() */
	NOTICE_EXITING, /* the process waits for capture_look(), capture_look_end() */
	NOTICE_EXEC,  /* the process runs a new program: statistics begin anew; text = its path
		       */
	NOTICE_ENDED, /* the last notice: see capture_end */
};

enum capture_end {
	CAPTURE_EXITED,	  /* the process exited: status */
	CAPTURE_KILLED,	  /* by signal `status` */
	CAPTURE_GONE,	  /* the process has ended; nobody told us how */
	CAPTURE_DETACHED, /* by us; the process runs on */
	CAPTURE_FAILED,	  /* it never began: text says why; the process is untouched */
	CAPTURE_LOST,	  /* the tracer failed later; text says why; the process was let go */
};

struct notice {
	enum notice_kind kind;
	enum capture_end end; /* NOTICE_ENDED only */
	int status;	      /* NOTICE_ENDED: exit status or signal; CAPTURE_FAILED: -errno */
	bool wished; /* NOTICE_ENDED: programs were asked for by name, and none of them began */
	bool others; /* NOTICE_ENDED: .. others than the process' own did, which was not asked for */
	bool left; /* NOTICE_ENDED, CAPTURE_DETACHED: the capture goes on there */
	char text[480];
};

/* Both return at once; what happens is told by notices.  -errno only when the
 * thread can't be started. */
int capture_attach(const struct capture_options *options, pid_t pid, struct capture **ret,
		   struct err *err) MUST_CHECK;
int capture_launch(const struct capture_options *options, char *const argv[],
		   struct capture **ret, struct err *err) MUST_CHECK;

/* Readable (poll) while notices wait. */
int capture_fd(const struct capture *capture);
/* Takes the oldest notice; false: none waits. */
bool capture_next(struct capture *capture, struct notice *ret);

pid_t capture_pid(const struct capture *capture); /* 0 until it is known */
/* The child that it made last, once it is followed no more; 0: it made none. */
pid_t capture_child(const struct capture *capture);

/* Makes the tracer let go of the process; returns when that is done (milliseconds;
 * longer only if a thread is in uninterruptible sleep).  NOTICE_ENDED waits then.
 * May be called at any time, from STARTING too, more than once.  -ETIMEDOUT: the tracer waits in
 * the kernel, and only its end lets go; the guardian sees to the rest.  -EBUSY: the same, as it
 * has not let go within three minutes. */
int capture_detach(struct capture *capture);

/* Lets the process go, and its capture go on there.  NOTICE_ENDED waits then, or err says why it
 * can't; nothing has changed then. */
int capture_leave(struct capture *capture, struct err *err) MUST_CHECK;

/* A copy of the present state, within milliseconds; also after the end. */
int capture_snapshot(struct capture *capture, struct snapshot **ret, struct err *err) MUST_CHECK;
/* The same, and when each of its blocks in use was allocated (added to `births`, which stays
 * without room (cap) where memory is short). */
int capture_snapshot_births(struct capture *capture, struct birth_list *births,
			    struct snapshot **ret, struct err *err) MUST_CHECK;
/* For a mark: of a block that is in use later it is known whether it came before that. */
int capture_snapshot_mark(struct capture *capture, struct snapshot **ret, struct err *err) MUST_CHECK;

/* The ticks of this moment, in the time base of a snapshot. */
uint32_t capture_now(const struct capture *capture);

/* The counters of all contexts, by id, without asking the tracer: each as it is at a moment.
 * What was in *ret is overwritten.  -EAGAIN: not now; -ENOMEM. */
VEC_TYPE(capture_contexts, struct region_context);
int capture_contexts(const struct capture *capture, struct capture_contexts *ret) MUST_CHECK;

/* Of the process, in bytes; 0: it has ended. */
struct capture_memory {
	uint64_t resident; /* without the agent's */
	uint64_t mapped; /* for data: what allocators have of the kernel, and whoever else maps private
			  * memory to write to it, stacks of threads among it (VmData of proc(5)) */
	uint64_t all, shared; /* with it; and what is shared memory of all */
};

/* The totals of this moment, and the memory of the process, without
 * waiting for the tracer (but 20 ms, where an agent counts).  generation_ends: what comes then is of
 * another one, which an agent has to be told.  -EAGAIN: they never stood still. */
int capture_totals(struct capture *capture, bool generation_ends,
		   struct region_totals *totals, struct capture_memory *memory) MUST_CHECK;

/* A look at the process (look.h), while it is followed; capture_look_end() is due, and
 * look_destroy(). */
int capture_look(struct capture *capture, const struct look_options *options, struct look **ret,
		 struct err *err);
void capture_look_end(struct capture *capture, struct look *look);
/* NOTICE_EXITING, and no look is taken. */
void capture_let_exit(struct capture *capture);

/* Statistics begin anew. */
void capture_clear(struct capture *capture);

/* More is known of modules; taken over.  Stacks from now on use it. */
void capture_take_externals(struct capture *capture, struct externals *externals);

/* The i-th (0..) of the functions that are looked for; NULL: there are no more. */
const char *capture_function(size_t i);

/* Sends a signal to the (launched) process. */
void capture_signal(struct capture *capture, int signo);

/* Detaches if that has not happened, ends the thread, frees.  NULL is allowed. */
void capture_destroy(struct capture *capture);

#endif
