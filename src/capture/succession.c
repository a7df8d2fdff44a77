/*
 * Is a program that begins the one that is wanted?  All descendants are runners until then
 * (tracer/runners.h); what is done about it, succeed.c.
 */
#include "capture/succession.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "capture/parts.h"
#include "tracer/runners.h"

enum { COMM = 15 }; /* so many bytes of a name the kernel keeps: TASK_COMM_LEN, linux/sched.h */

static bool is_wanted(const struct engine *engine)
{
	return parts_have(PART_several) && engine->succession.wish && !engine->succession.begins &&
	       !engine->tracee.leaves_runners;
}

bool succession_lasts(struct engine *engine)
{
	enum capture_end end = engine->ending.end;

	if (!engine->ending.ended || (end != CAPTURE_EXITED && end != CAPTURE_KILLED))
		return false;
	if (is_wanted(engine) && !engine->tracee.runners.len) /* (its last child may still be on its way) */
		tracee_hand_out_children(&engine->tracee);
	return engine->succession.begins || (is_wanted(engine) && engine->tracee.runners.len);
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
static bool is_called(pid_t pid, const char *name, size_t len)
{
	size_t most = len < COMM ? len : COMM, at;
	char path[64], exe[4096];
	struct status status;
	const char *last;
	ssize_t n;

	if (!status_read(pid, 0, &status) && !strncmp(status.name, name, most) && !status.name[most])
		return true;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	last = strrchr(exe, '/');
	at = last ? (size_t)(last - exe) + 1 : 0;
	return last && strlen(exe + at) == len && !memcmp(exe + at, name, len);
}

/* any: "exec" is among the names. */
static bool is_the_one(const struct engine *engine, pid_t pid, bool any)
{
	const char *name = engine->succession.wish;
	size_t len;

	for (; name; name = name[len] ? name + len + 1 : NULL) {
		len = strcspn(name, ",");
		if (len == 4 && !memcmp(name, "exec", 4) ? any : is_called(pid, name, len))
			return true;
	}
	return false;
}

void succession_own(struct engine *engine)
{
	if (!is_wanted(engine) || !is_the_one(engine, engine->tracee.pid, false))
		return;
	engine->succession.wish = NULL;
	runners_leave(&engine->tracee);
}

void succession_exec(struct engine *engine, pid_t runner)
{
	if (!is_wanted(engine) || !is_the_one(engine, runner, true)) {
		runners_continue(&engine->tracee, runner);
		return;
	}
	runners_park(&engine->tracee, runner);
	engine->succession.begins = true;
	engine->pending.set |= PENDING_SUCCEED;
}
