/* What the parts of a session over several processes share: several*.c. */
#ifndef MEMTRACE_SEVERAL_PARTS_H
#define MEMTRACE_SEVERAL_PARTS_H

#include "base/vec.h"
#include "cli/console.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/session.h"

VEC_TYPE(hand_text, char);

enum { HAND_OUT, HAND_ERR, HAND_REPORT, HAND_STREAMS };

struct hand {
	pid_t target, pid; /* what is followed (0: not known yet), and the memtrace that follows it */
	bool is_program;   /* PROGRAM, and its child */
	int born;	   /* of another one's process: the file that came with it, or 0 */
	bool joined;	   /* on the way: a control group, or those of a name */
	uint64_t start;	   /* of the target, status_start() */
	char name[16];
	int in;			  /* its console; -1: it has none, or was told to leave */
	struct hand_text to;	  /* what is to go there still */
	bool closes;		  /* .. and then it is closed */
	int from[HAND_STREAMS];	  /* -1: closed */
	struct hand_text text[HAND_STREAMS]; /* of OUT, ERR the unfinished line */
	int births;			     /* where its process' children come from; -1 */
	struct session_result *result;	     /* shared with it */
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
	struct heirs_room *room; /* NULL: children are not followed */
	bool refusal_told;
	int64_t started_ms;
	bool members_join;
	int64_t members_due; /* the next look for them */
	int64_t members_none; /* since then there is none; 0 */
	bool leaving;
	int left_by;	   /* the signal, or 0 */
	int64_t warned_ms; /* of a Ctrl-C; 0 */
};

/* Starts one, in a process of its own; target 0: PROGRAM.  born: what is known of a child that waits
 * (capture/heirs.h), or 0. */
int hand_start(struct several *s, pid_t target, int born, struct err *err) MUST_CHECK;
/* Takes what it has said; answers and words are passed on as whole lines. */
void hand_take(struct several *s, struct hand *hand, int stream);
/* Has it just ended?  Its status is taken then, and what it has said last. */
bool hand_look(struct several *s, struct hand *hand);
/* A line for its console, which takes it when it can; more of it now, if it is waited for. */
void hand_tell(struct hand *hand, const char *line);
void hand_flush(struct hand *hand);
/* It was told all. */
void hand_close(struct hand *hand);
void hand_leave(struct hand *hand);
void hand_deinit(struct hand *hand);

/* Those that join a control group, or begin with a name of --pid, will be followed. */
int members_init(struct several *s, struct err *err) MUST_CHECK;
/* Starts those that have joined since, once a second. */
void members_look(struct several *s);
/* All processes have ended, and it is waited for others. */
bool members_may_come(struct several *s);

/* Children are followed, as far as there is room. */
int births_init(struct several *s, struct err *err) MUST_CHECK;
/* Takes those of its process that wait to be followed. */
void births_take(struct several *s, struct hand *hand);
/* A hand has ended, whose last ones were taken: there is room for another one. */
void births_end(struct several *s, struct hand *hand);
/* No more of them are. */
void births_stop(struct several *s);
/* Says, once, that there was no room for some. */
void births_tell(struct several *s);

/* Has it anything to say of its process?  (Into a file of its own, or to be put together.) */
bool hand_has_report(const struct several *s, const struct hand *hand);

/* The final report of all.  False: it could not be written, and that was said. */
bool several_report(struct several *s);

#endif
