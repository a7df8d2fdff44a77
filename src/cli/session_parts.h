/* What the parts of a session share: session*.c. */
#ifndef MEMTRACE_SESSION_PARTS_H
#define MEMTRACE_SESSION_PARTS_H

#include "capture/capture.h"
#include "capture/lacking.h"
#include "cli/allocators.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/detacher.h"
#include "cli/oom_victim.h"
#include "cli/options.h"
#include "cli/reporter.h"
#include "cli/signals.h"
#include "cli/output.h"
#include "cli/leak_scan.h"
#include "tracer/family.h"

enum session_state { STARTING, RUNNING, LEAVING, ENDED };

/* What is due, and when: clock_ms(), 0 = never. */
enum session_timer {
	TIMER_DURATION,
	TIMER_MONITOR,
	TIMER_SLOW,
	TIMER_SUSPEND,
	TIMER_JOB,
	TIMER_SAMPLE, /* of the course */
	TIMER_MARK, /* --mark-every */
	TIMER_EVERY,
	TIMER_RETRY,
	TIMER_CHILDREN, /* are looked for */
	TIMER_WAIT, /* the command `wait`, and a look at a shell command */
	TIMER_COUNT
};

struct session {
	const struct options *options;
	struct output output;
	struct signals signals;
	struct detacher detacher;
	struct reporter reporter;
	struct lacking *lacking; /* what modules lack; NULL: names are not wanted */
	struct capture *capture;
	struct console *console;
	struct oom_victim oom_victim; /* since the process runs */
	enum session_state state;
	struct notice ending; /* NOTICE_ENDED */
	struct marks marks;
	struct course course;
	struct generations generations;
	struct capture_contexts contexts; /* room for reading them */
	bool pss_is_dear;
	struct allocators allocators;
	struct course_point monitored; /* when monitor last showed something; ms 0: never */
	struct findings *findings; /* of the look of --leaks */
	struct findings *seen; /* of the console's last one */
	bool looked;		   /* that is over, or was given up */
	struct family family; /* children that were seen */
	int64_t children_ms;  /* from the last look for them to the next */
	unsigned children_looks;
	int left_by;	      /* the signal that made us leave, or 0 */
	bool failed;	      /* a -x command or a report */
	bool unwritten;	      /* the last report on the way; that was said */
	int64_t due[TIMER_COUNT];
	uint64_t monitor_ms;
	int64_t warned_ms; /* when a Ctrl-C was last answered by "again to detach" */
	bool waiting;	    /* the command `wait`; a Ctrl-C ends it */
	bool in_shell;	    /* a command of the shell runs; Ctrl-C is for that */
	bool in_top;	    /* the screen is a table, and keys are not the console's */
	int feeding;	    /* what it reads from, or -1 */
	/* One step of the loop, but for the console's input: what is in a command goes on by it. */
	void (*step)(struct session *s);
};

bool session_wants_console(const struct options *options);
/* Somebody sits at a terminal and has, or will have, a prompt. */
bool session_has_user(const struct session *s);
/* Does what there is to do, but for the console's input, until TIMER_WAIT, or `feeding` takes
 * more. */
void session_step(struct session *s);
/* Let go of the process, then report.  More than once does no harm. */
void session_leave(struct session *s);

/* The same, but the capture goes on in the process; or err says why it can't. */
int session_leave_behind(struct session *s, struct err *err) MUST_CHECK;

void session_signal(struct session *s, const struct signal_event *event);
/* Looks again later whether the terminal is ours, while it is not. */
void session_watch_terminal(struct session *s);
/* Looks now whether the terminal is ours. */
void session_resume(struct session *s);
/* The signal that the detacher took, if it did: as if it had come here. */
void session_take_leave(struct session *s);

/* One line of the console or of -x.  False: it failed, and that was said. */
bool session_command(struct session *s, const char *line);
/* A misspelled -x is known before anything is touched. */
int session_check_commands(const struct session *s, struct err *err) MUST_CHECK;

/* A command of the shell, which gets text[0..len) as its input; text NULL: it has the
 * terminal's.  The session goes on meanwhile. */
int session_shell(struct session *s, const char *command, const char *text, size_t len,
		  struct err *err) MUST_CHECK;

/* The course begins. */
void session_course(struct session *s);
/* Takes a sample for the course, and sees to the next one. */
void session_sample(struct session *s);
/* What was kept of the time before is forgotten: counting began anew. */
void session_forget(struct session *s);
/* A snapshot with the verdicts on it, and which blocks are min_age_ms old for a report on it, as far
 * as memory lets. */
int session_snapshot(struct session *s, uint64_t min_age_ms, struct snapshot **ret,
		     struct err *err) MUST_CHECK;
/* The same, and the ages of its blocks. */
int session_snapshot_blocks(struct session *s, uint64_t min_age_ms, struct birth_list *blocks,
			    struct snapshot **ret, struct err *err) MUST_CHECK;
/* What changed since monitor last said it, if it did. */
void session_rates(struct session *s);
/* history. */
int session_history(struct session *s, const struct command_call *call, struct err *err);
/* A numbered mark, for --mark-every, and sees to the next one. */
void session_mark_timer(struct session *s);
/* A report of --every, and sees to the next one. */
void session_report_timer(struct session *s);
/* A report to --output, or else as the command does. */
void session_report_now(struct session *s);
/* top. */
int session_top(struct session *s, const struct command_call *call, struct err *err);
/* mark, marks, diff. */
int session_mark(struct session *s, const struct command_call *call, struct err *err);
/* leaks, why, who, block, heap. */
int session_look(struct session *s, const struct command_call *call, struct err *err);
/* What the console's look found, taken over; reports carry it from now on.  NULL: nothing. */
void session_keep_look(struct session *s, struct findings *findings);
/* The look of --leaks, for the report; once. */
void session_look_last(struct session *s, bool exiting);
/* Does nothing but wait, until the time is over, the session ends, or a Ctrl-C comes. */
void session_wait(struct session *s, uint64_t ms);

/* Looks for children, and sees to the next look. */
void session_children_timer(struct session *s);
/* Who of them is not watched, if that matters: the last line. */
void session_children_tell(struct session *s);

/* After NOTICE_ENDED: says how, and writes the final report.  Returns the exit status. */
int session_finish(struct session *s);

#endif
