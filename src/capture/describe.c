/* A snapshot's other half: who the process is, its modules and threads. */
#include "capture/describe.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "capture/generated.h"
#include "capture/share.h"
#include "capture/thread_data.h"

enum { SAMPLE_ROOM = 1 << 16 }; /* blocks of a sample, at first */

/* Of what is NULL-terminated, or nothing; NULL: memory is short. */
static char **list_copy(char *const *list)
{
	size_t count = 0;
	char **copy;

	while (list && list[count])
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < count; i++) {
		copy[i] = strdup(list[i]);
		if (!copy[i]) { /* (not a shorter list) */
			while (i)
				free(copy[--i]);
			free(copy);
			return NULL;
		}
	}
	return copy;
}

static int left_describe(struct notifier *notifier, struct snapshot *snapshot)
{
	if (!notifier->left.len)
		return 0;
	if (!vec_push(&notifier->left, NULL))
		return -ENOMEM;
	snapshot->left_behind = list_copy(notifier->left.at);
	notifier->left.len--;
	return snapshot->left_behind ? 0 : -ENOMEM;
}

static int modules_describe(struct engine *engine, struct snapshot *snapshot)
{
	size_t count = engine->program.modules.list.len;

	snapshot->modules = calloc(count ? count : 1, sizeof(*snapshot->modules));
	if (!snapshot->modules)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct module *from = engine->program.modules.list.at[i];
		struct snapshot_module *to = &snapshot->modules[i];
		const struct module_unwind *unwind = from->owner;

		to->instance = from->instance;
		to->begin = from->begin;
		to->end = from->end;
		to->bias = from->bias;
		to->mapped = from->mapped;
		to->deleted = from->deleted;
		snprintf(to->unwind_from, sizeof(to->unwind_from), "%s",
			 unwind ? unwind->from : "");
		snprintf(to->why, sizeof(to->why), "%s", from->why);
		snapshot->module_count = i + 1;
		if (!module_id_copy(&to->id, &from->id))
			return -ENOMEM;
	}
	return 0;
}

/* Of one that is let go there is no `thread`. */
static const char *state_words(const struct status *status, const struct thread *thread)
{
	if (thread && thread->state == THREAD_LISTENING)
		return "stopped by a signal";
	if (thread && thread->in_vfork)
		return "waiting (vfork)";
	if (thread && thread->sharer)
		return "running (vfork child)";
	return status->state == 'S'   ? "sleeping"
	       : status->state == 'D' ? "disk sleep"
	       : status->state == 'T' ? "stopped by a signal"
				      : "running";
}

static void thread_add(struct snapshot *snapshot, pid_t tid, const struct book_thread *book,
		       const struct thread *thread)
{
	struct snapshot_thread *to = &snapshot->threads[snapshot->thread_count];
	struct status status;

	if (status_read(snapshot->pid, tid, &status) && status_read(tid, 0, &status))
		return;
	*to = (struct snapshot_thread){.tid = tid};
	memcpy(to->name, status.name, sizeof(to->name));
	snprintf(to->state, sizeof(to->state), "%s", state_words(&status, thread));
	to->allocs = book ? book->allocs : 0;
	to->frees = book ? book->frees : 0;
	snapshot->thread_count++;
}

static void thread_describe(void *arg, struct thread *thread)
{
	struct thread_data *own = thread->owner;

	thread_add(arg, thread->tid, own ? &own->book : NULL, thread);
}

static void thread_keep(void *arg, struct thread *thread)
{
	struct engine *engine = arg;
	struct thread_data *own = thread->owner;
	struct snapshot_thread kept = {.tid = thread->tid,
				       .allocs = own ? own->book.allocs : 0,
				       .frees = own ? own->book.frees : 0};

	(void)vec_push(&engine->ending.threads, kept); /* no memory: the report has one less */
}

void describe_keep_threads(struct engine *engine)
{
	tracee_for_each(&engine->tracee, thread_keep, engine);
}

static int threads_describe(struct engine *engine, struct snapshot *snapshot)
{
	size_t count = engine->tracee.count + engine->ending.threads.len;

	snapshot->threads = calloc(count + 1, sizeof(*snapshot->threads));
	if (!snapshot->threads)
		return -ENOMEM;
	tracee_for_each(&engine->tracee, thread_describe, snapshot);
	for (size_t i = 0; i < engine->ending.threads.len; i++) {
		const struct snapshot_thread *kept = &engine->ending.threads.at[i];
		const struct book_thread book = {.allocs = kept->allocs, .frees = kept->frees};

		thread_add(snapshot, kept->tid, &book, NULL);
	}
	return 0;
}

/* What went by a system call past the C library (musl's threads unmap their own stacks so) is
 * gone, too. */
static int mappings_describe(struct engine *engine, struct snapshot *snapshot)
{
	struct mapped *mapped = &engine->ledger.mapped;
	pid_t alive = snapshot->running ? status_alive(engine->tracee.pid) : 0;
	struct maps maps;

	snapshot->maps_followed = engine->hooks.mappings;
	if (mapped->list.len && alive && !maps_read(alive, &maps, NULL)) {
		if (maps.list.len) /* (none: it has just ended) */
			mapped_reconcile(mapped, &maps);
		maps_deinit(&maps);
	}
	snapshot->mappings = calloc(mapped->list.len + 1, sizeof(*snapshot->mappings));
	if (!snapshot->mappings)
		return -ENOMEM;
	snapshot->mapping_count = mapped->list.len;
	if (mapped->list.len)
		memcpy(snapshot->mappings, mapped->list.at,
		       mapped->list.len * sizeof(*mapped->list.at));
	snapshot->totals.lost_events += mapped->lost;
	return 0;
}

static uint64_t resident_bytes(struct engine *engine)
{
	pid_t alive = engine->ending.ended && engine->ending.end != CAPTURE_DETACHED
			      ? 0
			      : status_alive(engine->tracee.pid);
	struct status status;

	return alive && !status_read(alive, 0, &status)
		       ? resident_of_program(&engine->resident, &status)
		       : 0;
}

static void replaced(void *arg, taddr_t addr)
{
	struct engine *engine = arg;
	const struct module *module = modules_find(&engine->program.modules, addr);
	const struct hook *hook = hooks_by_patch(&engine->hooks, addr);

	if (module && hook)
		notify_missed(&engine->notifier, module, hook->function->name,
			      "another tool has written over memtrace's patch; its calls since "
			      "then may be missing");
}

void describe_replaced(struct engine *engine)
{
	if (!engine->ending.ended && engine->traced)
		undo_for_each_replaced(engine->undoing.undo, &engine->tracee.target, replaced,
				       engine);
}

/* About so many; of a sample the counts are of more than there are. */
size_t describe_blocks(const struct engine *engine)
{
	const struct ledger *ledger = &engine->ledger;
	uint64_t live = region_totals(ledger->region)->live_blocks;

	return (size_t)(ledger->selection.coarsest && live > SAMPLE_ROOM ? SAMPLE_ROOM : live);
}

struct bearing {
	struct birth_list *list;
	const struct ages *ages; /* NULL: times are as they are */
	uint32_t now;
	bool failed;
};

static void block_born(void *arg, const struct region_block *block)
{
	struct bearing *b = arg;
	struct ages_range range = {block->time, block->time};

	if (b->ages)
		range = ages_range(b->ages, block->time, b->now);
	b->failed |= !vec_push(b->list, ((struct block_birth){block->context, range.first, range.last}));
}

/* Copied as they come, 12 bytes each, and made something of by who asks: the process waits. */
void describe_births(struct engine *engine, struct birth_list *births)
{
	const struct region *region = engine->ledger.region;
	const struct ledger *ledger = &engine->ledger;
	struct bearing bearing = {births, ledger->tally.shared ? &ledger->tally.ages : NULL,
				  ledger_now(ledger), false};

	if (!vec_reserve(births, describe_blocks(engine) + 1))
		return;
	region_for_each_block(region, block_born, &bearing);
	tally_for_each_block(&engine->ledger.tally, block_born, &bearing);
	if (bearing.failed)
		vec_deinit(births);
}

static void inherited_describe(const struct inherited *inherited, struct snapshot *snapshot)
{
	snapshot->inherited.parent = inherited->parent;
	snapshot->inherited.blocks = inherited->blocks;
	snapshot->inherited.bytes = inherited->bytes;
	snapshot->inherited.freed_blocks = inherited->freed_blocks;
	snapshot->inherited.freed_bytes = inherited->freed_bytes;
}

int describe_snapshot(struct engine *engine, struct snapshot **ret, struct err *err)
{
	struct snapshot *snapshot;
	int rc;

	share_sum(engine);
	rc = snapshot_create(engine->ledger.space.base, engine->ledger.space.limit, &snapshot,
			     err);
	if (rc)
		return rc;
	describe_replaced(engine);
	snapshot->pid = engine->tracee.pid;
	snprintf(snapshot->engine, sizeof(snapshot->engine), "%s",
		 engine->resident.injected.entry ? "agent" : "trap");
	if (!engine->resident.injected.entry)
		snprintf(snapshot->engine_reason, sizeof(snapshot->engine_reason), "%s",
			 engine->resident.reason);
	snapshot->stopped_calls = engine->ledger.stopped_calls;
	inherited_describe(&engine->inherited, snapshot);
	share_describe_alone(engine, &snapshot->alone);
	selection_describe(&engine->ledger.selection, engine->ledger.tally.shared,
			   &snapshot->sampling);
	snapshot->started = engine->ledger.counting_since;
	clock_gettime(CLOCK_REALTIME, &snapshot->taken);
	snapshot->ticks_now = ledger_now(&engine->ledger);
	snapshot->running = !engine->ending.ended || engine->ending.end == CAPTURE_DETACHED;
	snapshot->no_allocator = !engine->hooks.allocators && !snapshot->totals.allocs &&
			  (engine->ending.ended || !engine->program.loading);
	resident_measure(engine);
	snapshot->resident_bytes = resident_bytes(engine);
	snapshot->resident_at_start = engine->ledger.resident_at_start;
	snapshot->region_bytes = region_memory(engine->ledger.region);
	snapshot->own_heap = engine->program.own_heap;
	snapshot->own_heap_off = engine->program.runtime && !snapshot->own_heap;
	if (!engine->ending.ended)
		program_title(&engine->program, tracee_alive(&engine->tracee));
	snapshot->command = list_copy(engine->program.command);
	rc = snapshot->command ? modules_describe(engine, snapshot) : -ENOMEM;
	rc = rc ? rc : generated_describe(engine, snapshot);
	rc = rc ? rc : threads_describe(engine, snapshot);
	rc = rc ? rc : mappings_describe(engine, snapshot);
	rc = rc ? rc : left_describe(&engine->notifier, snapshot);
	rc = rc || missed_copy(&engine->notifier.missed, snapshot) ? rc : -ENOMEM;
	if (rc) {
		snapshot_destroy(snapshot);
		return err_set(err, rc, "memory is short");
	}
	*ret = snapshot;
	return 0;
}
