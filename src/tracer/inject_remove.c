/*
 * The agent's way out of the process, whoever put it there: its descriptor, its memory, and
 * last its code, by which a successor would know it.  What a memtrace that was killed has left
 * is known by its looks: the memory by its file's name, the code by its head, or, before there
 * is one, by its address.
 */
#include "tracer/inject.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "elf/maps.h"
#include "tracer/inject_memory.h"
#include "tracer/inject_parts.h"
#include "tracer/inside.h"
#include "tracer/remote.h"

/* ---- out ------------------------------------------------------------------ */

static bool is_code(const struct mapping *mapping)
{
	return !mapping->shared && mapping->exec && !mapping->write && !*mapping->path;
}

/* Is what is mapped in [begin, begin + len) ours alone?  *some: anything is. */
static bool range_is(const struct maps *maps, taddr_t begin, uint64_t len,
		     bool (*is)(const struct mapping *mapping), bool *some)
{
	*some = false;
	for (size_t i = 0; i < maps->list.len; i++) {
		const struct mapping *mapping = &maps->list.at[i];

		if (mapping->end <= begin || mapping->begin >= begin + len)
			continue;
		*some = true;
		if (mapping->begin < begin || mapping->end > begin + len || !is(mapping))
			return false;
	}
	return true;
}

static int call_once(struct tracee *tracee, struct undo *undo, int16_t number, uint64_t first,
		     uint64_t second)
{
	const struct remote_call call = {number, {first, second}};
	int64_t result = -EAGAIN;
	struct err err;
	int rc = remote_call_from_any(tracee, undo, &undo->agent.places, &call, 1, 0, &result,
				      &err);

	if (result == 0)
		return 0;
	return rc == -ERANGE ? -EAGAIN : rc ? rc : (int)result;
}

static int unmap(struct tracee *tracee, struct undo *undo, const struct maps *maps,
		 taddr_t begin, uint64_t len, bool (*is)(const struct mapping *mapping))
{
	bool some;

	if (!range_is(maps, begin, len, is, &some))
		return -EBUSY;
	return some ? call_once(tracee, undo, tracee->arch->trap->page_calls[1], begin, len)
		    : 0;
}

/* By its name, wherever: a thread that a predecessor had make the call may have made it since
 * the log was written. */
static int unmap_memory(struct tracee *tracee, struct undo *undo, const struct maps *maps)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < maps->list.len; i++) {
		const struct mapping *mapping = &maps->list.at[i];

		if (inject_is_memory(mapping))
			rc = call_once(tracee, undo, tracee->arch->trap->page_calls[1],
				       mapping->begin, mapping->end - mapping->begin);
	}
	return rc;
}

static int remove_all(struct tracee *tracee, struct undo *undo, const struct maps *maps)
{
	const struct undo_agent *agent = &undo->agent;
	int descriptor = inject_find_descriptor(tracee_alive(tracee)), rc = 0;

	if (descriptor >= 0)
		rc = call_once(tracee, undo, tracee->arch->trap->agent_calls[3],
			       (uint64_t)descriptor, 0);
	if (!rc)
		rc = unmap_memory(tracee, undo, maps);
	if (!rc) /* by which a successor would know it: last */
		rc = unmap(tracee, undo, maps, agent->base, agent->len, is_code);
	if (!rc)
		undo->agent.len = 0;
	return rc;
}

int inject_remove(struct tracee *tracee, struct undo *undo)
{
	const struct undo_agent *agent = &undo->agent;
	struct inside_range range = {agent->base - 1, agent->base + agent->len};
	struct maps maps = {.text = NULL};
	taddr_t other;
	int rc;

	if (!agent->len)
		return 0;
	if (agent->held || undo_others(undo, &tracee->target, &other))
		return -EBUSY;
	if (inside_agent(tracee, &range, true))
		return -EAGAIN;
	rc = maps_read(tracee_alive(tracee), &maps, NULL);
	if (!rc)
		rc = remove_all(tracee, undo, &maps);
	maps_deinit(&maps);
	return rc;
}

/* ---- of predecessors ------------------------------------------------------- */

union head {
	struct blob_head head;
	uint8_t bytes[sizeof(struct blob_head)];
};

/* Killed between the call that mapped it and the head, which is written last? */
static bool is_begun(const struct mapping *mapping, const union head *there)
{
	static const uint8_t none[sizeof(there->bytes)];

	return mapping->end - mapping->begin == INJECT_CODE_BYTES &&
	       mapping->begin % INJECT_MARK_EVERY == INJECT_MARK &&
	       !memcmp(there->bytes, none, sizeof(none));
}

static bool head_read(struct tracee *tracee, taddr_t base, union head *ret)
{
	return blob_len && !target_read(&tracee->target, base, ret, sizeof(*ret));
}

static bool is_ours(const union head *there)
{
	return !memcmp(there->head.magic, blob_bytes, sizeof(there->head.magic));
}

static bool is_left(struct tracee *tracee, const struct mapping *mapping)
{
	union head there;

	return is_code(mapping) && mapping->end - mapping->begin <= INJECT_CODE_BYTES &&
	       head_read(tracee, mapping->begin, &there) &&
	       (is_ours(&there) || is_begun(mapping, &there));
}

static bool adopt(struct tracee *tracee, struct undo *undo, const struct undo_places *places, bool held,
		  const struct maps *maps)
{
	struct undo_agent agent = {.held = held};

	for (size_t i = 0; i < maps->list.len; i++) {
		const struct mapping *mapping = &maps->list.at[i];

		if (inject_is_memory(mapping)) { /* in two parts */
			agent.memory = agent.memory ? agent.memory : mapping->begin;
			agent.memory_len = mapping->end - agent.memory;
		}
		if (agent.len || !is_left(tracee, mapping))
			continue;
		agent.base = mapping->begin;
		agent.len = INJECT_CODE_BYTES;
		agent.control = agent.base + BLOB_BYTES;
		memcpy(agent.head, blob_bytes, sizeof(agent.head));
	}
	if (!agent.len &&
	    agent.memory) { /* alone, which has happened: the code was in front of it */
		agent.base = agent.memory - INJECT_CODE_BYTES;
		agent.len = INJECT_CODE_BYTES;
		agent.control = agent.base + BLOB_BYTES;
		memcpy(agent.head, blob_bytes, blob_len ? sizeof(agent.head) : 0);
	}
	if (!agent.len)
		return false;
	agent.places = *places;
	undo_agent(undo, &agent);
	return true;
}

bool inject_adopt(struct tracee *tracee, struct undo *undo, const struct undo_places *places, bool held)
{
	struct maps maps = {.text = NULL};
	bool found = !undo->agent.len && !maps_read(tracee_alive(tracee), &maps, NULL) &&
		     adopt(tracee, undo, places, held, &maps);
	union head there;

	maps_deinit(&maps);
	/* (in front of a memory that is alone anything may be by now) */
	if (!found || !head_read(tracee, undo->agent.base, &there) || !is_ours(&there))
		return found;
	return !inject_switch(undo, &tracee->target, false);
}
