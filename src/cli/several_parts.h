/* What the parts of a session over several processes share: several*.c. */
#ifndef MEMTRACE_SEVERAL_PARTS_H
#define MEMTRACE_SEVERAL_PARTS_H

#include "base/vec.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "region/region.h"

VEC_TYPE(hand_text, char);

enum { HAND_OUT, HAND_ERR, HAND_REPORT, HAND_STREAMS };

struct hand {
	pid_t target, pid; /* what is followed, and the memtrace that follows it */
	char name[16];
	int in;			  /* its console; -1: it has none, or was told to leave */
	int from[HAND_STREAMS];	  /* -1: closed */
	struct hand_text text[HAND_STREAMS]; /* of OUT, ERR the unfinished line */
	struct region_totals *totals;	      /* shared with it, written at its end */
	bool ended;
	int status; /* its exit status */
};

struct several {
	const struct options *options;
	struct output output;
	struct signals signals;
	struct console *console;
	VEC(struct hand) hands;
	const struct hand *selected; /* whom commands are for; NULL: all */
	const struct hand *speaker;  /* who wrote the last answer */
	FILE *answers;
	bool leaving;
	int left_by;	   /* the signal, or 0 */
	int64_t warned_ms; /* of a Ctrl-C; 0 */
};

/* Starts one, in a process of its own; before signals_init(). */
int hand_start(struct several *s, pid_t target, struct err *err) MUST_CHECK;
/* Takes what it has said; answers and words are passed on as whole lines. */
void hand_take(struct several *s, struct hand *hand, int stream);
/* Has it ended?  Its status is taken then, and what it has said last. */
void hand_look(struct several *s, struct hand *hand);
void hand_tell(struct hand *hand, const char *line);
void hand_leave(struct hand *hand);
void hand_deinit(struct hand *hand);

/* The final report of all.  False: it could not be written, and that was said. */
bool several_report(struct several *s);

#endif
