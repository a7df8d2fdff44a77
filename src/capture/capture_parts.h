/* What the files of the border share: capture.c, capture_requests.c. */
#ifndef MEMTRACE_CAPTURE_PARTS_H
#define MEMTRACE_CAPTURE_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/vec.h"
#include "capture/capture.h"
#include "capture/engine.h"

enum capture_request {
	REQUEST_NONE,
	REQUEST_SNAPSHOT,
	REQUEST_CLEAR,
	REQUEST_LEAVE,
	REQUEST_EXTERNALS,
	REQUEST_LOOK,
	REQUEST_LOOK_END,
	REQUEST_LET_EXIT,
};

struct capture {
	struct engine engine;
	pid_t attach_to; /* 0: launch argv */
	char *const *argv;
	struct capture_options options; /* (its externals are the engine's) */
	pthread_t thread;
	_Atomic pid_t tid; /* that thread's; 0: it has not begun */
	int notice_fd;

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t answered;
	VEC(struct notice) notices;
	size_t notices_head;
	enum capture_request request;
	struct snapshot *snapshot;
	struct birth_list *births;   /* of REQUEST_SNAPSHOT, the caller's; NULL: not asked for */
	bool is_mark;		     /* .. ages of blocks are to be known by that moment */
	struct externals *externals; /* of REQUEST_EXTERNALS, the caller's */
	const struct look_options *look_options; /* of REQUEST_LOOK */
	struct look *look;
	struct err request_err;
	int request_rc;
	bool finished; /* the tracer thread touches the engine no more */

	/* (Whole words: where a CPU exchanges no bytes, gcc would have libatomic do it.) */
	atomic_uint kicked; /* there is something to do between two stops */
	atomic_uint to_sum; /* .. for which nobody waits long */
	atomic_uint to_age; /* .. at the end of a generation */
	atomic_bool detach;
	_Atomic pid_t pid;
};

/* ---- for the tracer thread ---- */

/* Between two stops: does what is asked for. */
void capture_requests_serve(struct capture *capture);
/* Its last act: from now on whoever asks does it himself. */
void capture_requests_finish(struct capture *capture);

/* ---- for all others ---- */

enum { CAPTURE_KICK_MS = 5 };

/* The signal by which the tracer is woken; before it begins. */
int capture_kick_signal(void);
void capture_kick_prepare(void);
/* With the lock held: wakes the tracer, and waits up to CAPTURE_KICK_MS for an answer. */
void capture_kick(struct capture *capture);
/* How often it has woken up by that. */
unsigned capture_kicks_taken(void);

#endif
