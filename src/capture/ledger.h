/* The ledger: the tables of what was counted, and the walker by which a stack gets into them.
 */
#ifndef MEMTRACE_LEDGER_H
#define MEMTRACE_LEDGER_H

#include <time.h>

#include "capture/capture.h"
#include "capture/case.h"
#include "capture/record.h"
#include "capture/selection.h"
#include "capture/tally.h"
#include "capture/walker.h"
#include "heap/mapped.h"
#include "region/book.h"
#include "region/region.h"

struct ledger {
	struct region_space space;
	struct region *region;
	struct book book;
	struct walker walker;
	struct tally tally; /* of what an agent has counted */
	struct selection selection;
	uint64_t stopped_calls; /* that were counted here, where there is an agent */
	uint64_t away_ms; /* in which no memtrace was there */
	struct mapped mapped;  /* by calls that are no allocator's */
	taddr_t program_break; /* a page's begin; 0: not known yet */
	unsigned depth;			/* frames kept of a stack */
	frame_t *frames;		/* so many, and WALKER_NESTED */
	struct recorder recorder;	/* hidden: what was walked, for other unwinders ... */
	struct case_recorder cases;	/* ... and other machines */
	int64_t started_ms;		/* clock_ms(): time base of ticks */
	struct timespec counting_since; /* CLOCK_REALTIME */
	uint64_t resident_at_start;	/* of the process then; 0: not known */
	int64_t looked_ms; /* when modules were last looked for because of an unknown pc; 0 */
};

/* The walker is the caller's to prepare (walker_init()). */
int ledger_init(struct ledger *ledger, const struct capture_options *options, struct err *err) MUST_CHECK;
void ledger_deinit(struct ledger *ledger);

/* Time begins, and the process has so much memory. */
void ledger_start(struct ledger *ledger, pid_t pid);
/* Ticks (1/100 s) since then. */
uint32_t ledger_now(const struct ledger *ledger);

/* So many frames are kept from now on.  False: that is too many, or memory is short. */
bool ledger_set_depth(struct ledger *ledger, unsigned depth);

/* Statistics begin anew: of the threads of the tracee, too. */
void ledger_clear(struct ledger *ledger, struct tracee *tracee);
/* The thread will not return from what it is in. */
void ledger_abandon(struct ledger *ledger, struct thread *thread);
/* Modules came or went; the process by its number. */
void ledger_modules_changed(struct ledger *ledger, pid_t pid);

#endif
