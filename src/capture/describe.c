/* A snapshot's other half: who the process is, its modules and threads. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "capture/engine.h"

static char **command_copy(char *const *command)
{
	size_t count = 0;
	char **copy;

	while (command && command[count])
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < count; i++)
		copy[i] = strdup(command[i]);
	return copy;
}

static int modules_describe(struct engine *engine, struct snapshot *snapshot)
{
	size_t count = engine->modules.list.len;

	snapshot->modules = calloc(count ? count : 1, sizeof(*snapshot->modules));
	if (!snapshot->modules)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct module *from = engine->modules.list.at[i];
		struct snapshot_module *to = &snapshot->modules[i];
		const struct module_unwind *unwind = from->owner;

		to->instance = from->instance;
		to->path = strdup(from->path);
		to->begin = from->begin;
		to->end = from->end;
		to->bias = from->bias;
		to->mapped = from->mapped;
		to->deleted = from->deleted;
		to->build_id_len = from->build_id_len;
		memcpy(to->build_id, from->build_id, sizeof(to->build_id));
		if (from->has_fingerprint) {
			to->fingerprint_len = sizeof(to->fingerprint);
			memcpy(to->fingerprint, from->fingerprint.bytes,
			       sizeof(to->fingerprint));
		}
		memcpy(to->debuglink, from->debuglink, sizeof(to->debuglink));
		to->debuglink_crc = from->debuglink_crc;
		snprintf(to->unwind_from, sizeof(to->unwind_from), "%s",
			 unwind ? unwind->from : "");
		snprintf(to->why, sizeof(to->why), "%s", from->why);
		snapshot->module_count = i + 1;
		if (!to->path)
			return -ENOMEM;
	}
	return 0;
}

struct describing {
	struct engine *engine;
	struct snapshot *snapshot;
};

static void thread_describe(void *arg, struct thread *thread)
{
	struct describing *d = arg;
	struct snapshot_thread *to = &d->snapshot->threads[d->snapshot->thread_count];
	struct engine_thread *own = thread->owner;
	struct status status;

	if (status_read(d->engine->tracee.pid, thread->tid, &status) &&
	    status_read(thread->tid, 0, &status))
		return;
	to->tid = thread->tid;
	memcpy(to->name, status.name, sizeof(to->name));
	snprintf(to->state, sizeof(to->state), "%s",
		 thread->state == THREAD_LISTENING ? "stopped by a signal"
		 : thread->in_vfork		   ? "waiting (vfork)"
		 : thread->guest		   ? "running (vfork child)"
		 : status.state == 'S'		   ? "sleeping"
		 : status.state == 'D'		   ? "disk sleep"
						   : "running");
	to->allocs = own ? own->book.allocs : 0;
	to->frees = own ? own->book.frees : 0;
	d->snapshot->thread_count++;
}

static int threads_describe(struct engine *engine, struct snapshot *snapshot)
{
	struct describing d = {engine, snapshot};

	snapshot->threads = calloc(engine->tracee.count + 1, sizeof(*snapshot->threads));
	if (!snapshot->threads)
		return -ENOMEM;
	tracee_for_each(&engine->tracee, thread_describe, &d);
	return 0;
}

static uint64_t resident_bytes(struct engine *engine)
{
	pid_t alive = engine->ended && engine->end != CAPTURE_DETACHED
			      ? 0
			      : status_alive(engine->tracee.pid);
	struct status status;

	return alive && !status_read(alive, 0, &status) ? status.resident_kb * 1024 : 0;
}

int engine_snapshot(struct engine *engine, struct snapshot **ret, struct err *err)
{
	struct snapshot *snapshot;
	int rc = snapshot_create(engine->region, &snapshot, err);

	if (rc)
		return rc;
	snapshot->pid = engine->tracee.pid;
	snprintf(snapshot->engine, sizeof(snapshot->engine), "breakpoint");
	snapshot->started = engine->counting_since;
	clock_gettime(CLOCK_REALTIME, &snapshot->taken);
	snapshot->ticks_now = engine_now(engine);
	snapshot->running = !engine->ended || engine->end == CAPTURE_DETACHED;
	snapshot->blind = !engine->hooks.allocators && !snapshot->totals.allocs &&
			  (engine->ended || !engine->loading);
	snapshot->resident_bytes = resident_bytes(engine);
	snapshot->region_bytes = region_memory(engine->region);
	snapshot->command = command_copy(engine->command);
	rc = snapshot->command ? modules_describe(engine, snapshot) : -ENOMEM;
	rc = rc ? rc : threads_describe(engine, snapshot);
	rc = rc || missed_copy(&engine->missed, snapshot) ? rc : -ENOMEM;
	if (rc) {
		snapshot_destroy(snapshot);
		return err_set(err, rc, "memory is short");
	}
	*ret = snapshot;
	return 0;
}
