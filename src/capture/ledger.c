/* What is counted, and since when; see ledger.h. */
#include "capture/ledger.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "capture/origin.h"
#include "capture/thread_data.h"

enum { MOST_FRAMES = 512 };

#define REGION_LIMIT_64 (1ull << 38)
#define REGION_LIMIT_32 (1ull << 29)

int ledger_init(struct ledger *ledger, const struct capture_options *options, struct err *err)
{
	uint64_t limit = sizeof(void *) == 8 ? REGION_LIMIT_64 : REGION_LIMIT_32;
	int rc;

	ledger->started_ms = clock_ms();
	clock_gettime(CLOCK_REALTIME, &ledger->counting_since);
	ledger->depth = options->depth;
	ledger->frames = calloc(options->depth + WALKER_NESTED, sizeof(*ledger->frames));
	if (!ledger->frames)
		return err_set(err, -ENOMEM, "memory is short");
	rc = region_space_private(&ledger->space, limit);
	if (!rc)
		rc = region_init(&ledger->space, &ledger->region);
	if (rc)
		return err_sys(err, rc, "cannot reserve memory for the tables");
	ledger->book = (struct book){.region = ledger->region, .space = &ledger->space};
	ledger->selection.options = options->selection;
	ledger->book.passes = options->selection.min_size;
	rc = case_recorder_open(&ledger->cases, options->record_case, err);
	return rc ? rc
		  : recorder_open(&ledger->recorder, options->record, options->record_every,
				  err);
}

bool ledger_set_depth(struct ledger *ledger, unsigned depth)
{
	frame_t *frames = NULL;

	if (depth == ledger->depth)
		return true;
	if (depth && depth <= MOST_FRAMES)
		frames = realloc(ledger->frames, (depth + WALKER_NESTED) * sizeof(*frames));
	if (!frames)
		return false;
	ledger->frames = frames;
	ledger->depth = depth;
	return true;
}

void ledger_deinit(struct ledger *ledger)
{
	tally_end(&ledger->tally);
	recorder_close(&ledger->recorder);
	case_recorder_close(&ledger->cases);
	walker_deinit(&ledger->walker);
	mapped_deinit(&ledger->mapped);
	region_space_deinit(&ledger->space);
	free(ledger->frames);
}

static void begin(struct ledger *ledger, pid_t pid)
{
	struct status status;

	clock_gettime(CLOCK_REALTIME, &ledger->counting_since);
	ledger->resident_at_start =
		status_read(pid, 0, &status) ? 0 : status.resident_kb * 1024;
}

void ledger_start(struct ledger *ledger, pid_t pid)
{
	ledger->started_ms = clock_ms();
	begin(ledger, pid);
}

uint32_t ledger_now(const struct ledger *ledger)
{
	return (uint32_t)((clock_ms() - ledger->started_ms) / 10);
}

static void thread_forget(void *arg, struct thread *thread)
{
	(void)arg;
	if (thread->owner)
		book_forget(&thread_data(thread)->book);
}

void ledger_clear(struct ledger *ledger, struct tracee *tracee)
{
	tracee_for_each(tracee, thread_forget, NULL);
	region_clear(ledger->region, &ledger->space);
	ledger->stopped_calls = ledger->away_ms = 0;
	mapped_clear(&ledger->mapped);
	begin(ledger, tracee_alive(tracee));
}

void ledger_abandon(struct ledger *ledger, struct thread *thread)
{
	if (thread->owner)
		book_abandon(&ledger->book, &thread_data(thread)->book);
	mapped_abandon(&ledger->mapped, thread->tid);
}

void ledger_modules_changed(struct ledger *ledger, pid_t pid)
{
	walker_forget(&ledger->walker);
	ledger->walker.first_sp = status_first_sp(pid);
	recorder_maps_changed(&ledger->recorder);
	origin_write(ledger, pid);
}
