/*
 * Is a program that begins the one that is wanted?  All descendants are runners until then
 * (tracer/runners.h); what is done about it, succeed.c.
 */
#include "capture/succession.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tracer/runners.h"

static bool is_wanted(const struct engine *engine)
{
	return engine->succession.wish && !engine->succession.begins &&
	       !engine->tracee.leaves_runners;
}

bool succession_child(struct engine *engine, struct thread *child)
{
	pid_t tid = child->tid;

	if (!is_wanted(engine) || !runners_take(&engine->tracee, child))
		return false;
	runners_continue(&engine->tracee, tid);
	return true;
}

bool succession_sharer(struct engine *engine, struct thread *sharer)
{
	pid_t tid = sharer->tid;

	if (!is_wanted(engine) || !runners_take(&engine->tracee, sharer))
		return false;
	succession_exec(engine, tid);
	return true;
}

/* By the name of its file, which is what was asked for; a script's is its own. */
static bool is_the_one(const struct engine *engine, pid_t pid)
{
	const char *wish = engine->succession.wish;
	char path[64], exe[4096];
	struct status status;
	const char *name;
	ssize_t len;

	if (!strcmp(wish, "exec"))
		return true;
	if (!status_read(pid, 0, &status) && !strncmp(status.name, wish, sizeof(status.name) - 1))
		return true;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	len = readlink(path, exe, sizeof(exe) - 1);
	exe[len > 0 ? len : 0] = '\0';
	name = strrchr(exe, '/');
	return name && !strcmp(name + 1, wish);
}

void succession_exec(struct engine *engine, pid_t runner)
{
	if (!is_wanted(engine) || !is_the_one(engine, runner)) {
		runners_continue(&engine->tracee, runner);
		return;
	}
	runners_park(&engine->tracee, runner);
	engine->succession.begins = true;
	engine->pending.set |= PENDING_SUCCEED;
}
