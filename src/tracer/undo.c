/* The undo log; see undo.h for its promise. */
#include "tracer/undo.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

/* What is said of the target beside the log is true no more. */
static const struct undo *warned;
static uint32_t *warning;

void undo_warns(const struct undo *undo, uint32_t *word)
{
	warned = undo;
	warning = word;
}

static void warn(const struct undo *undo)
{
	if (warning && warned == undo)
		__atomic_store_n(warning, 0, __ATOMIC_SEQ_CST);
}

struct undo *undo_create(void)
{
	void *at = mmap(NULL, sizeof(struct undo), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? NULL : at;
}

void undo_destroy(struct undo *undo)
{
	if (undo)
		munmap(undo, sizeof(*undo));
}

/* Everything written so far is in the log before what follows. */
static void log_barrier(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

/* The first entry that is not in use: of what was unmapped, or the next.  The limit: none. */
static uint32_t patch_free(const struct undo *undo)
{
	uint32_t i = 0;

	while (i < undo->patch_count && undo->patch[i].active)
		i++;
	return i;
}

static uint32_t area_free(const struct undo *undo)
{
	uint32_t i = 0;

	while (i < undo->area_count && undo->area[i].active)
		i++;
	return i;
}

int undo_patch(struct undo *undo, struct target *target, taddr_t addr, const void *old,
	       const void *now, uint32_t len)
{
	uint32_t i = patch_free(undo);
	struct undo_patch *patch = &undo->patch[i];
	int rc;

	warn(undo);
	if (i == UNDO_PATCHES || len > sizeof(patch->old))
		return -ENOSPC;
	*patch = (struct undo_patch){.addr = addr, .len = len};
	memcpy(patch->old, old, len);
	memcpy(patch->now, now, len);
	log_barrier();
	patch->active = 1;
	undo->patch_count += i == undo->patch_count;
	log_barrier();
	rc = target_write(target, addr, now, len);
	if (rc) {
		target_write(target, addr, old, len);
		patch->active = 0;
	}
	return rc;
}

int undo_area(struct undo *undo, struct target *target, taddr_t base, const void *old,
	      const void *now, uint32_t len, taddr_t payload, const void *disarm,
	      uint32_t disarm_len)
{
	uint32_t i = area_free(undo);
	struct undo_area *area = &undo->area[i];
	int rc;

	warn(undo);
	if (i == UNDO_AREAS || len > sizeof(area->old) || disarm_len > sizeof(area->disarm))
		return -ENOSPC;
	area->base = base;
	area->len = len;
	area->payload = payload;
	area->disarm_len = disarm_len;
	memcpy(area->disarm, disarm, disarm_len);
	area->head_len = payload - base < sizeof(area->head) ? (uint32_t)(payload - base)
							     : sizeof(area->head);
	memcpy(area->head, now, area->head_len);
	memcpy(area->old, old, len);
	log_barrier();
	area->active = 1;
	undo->area_count += i == undo->area_count;
	log_barrier();
	rc = target_write(target, base, now, len);
	if (rc) {
		target_write(target, base, old, len);
		area->active = 0;
	}
	return rc;
}

int undo_area_change(const struct undo *undo, struct target *target, taddr_t base,
		     const void *bytes, uint32_t len)
{
	for (uint32_t i = 0; i < undo->area_count; i++)
		if (undo->area[i].active && undo->area[i].base == base &&
		    len <= undo->area[i].len)
			return target_write(target, base, bytes, len);
	return -ENOENT;
}

int undo_page_begin(const struct undo_page *page, struct target *target, const void *bytes,
		    uint32_t len)
{
	return len <= page->len ? target_write(target, page->base, bytes, len) : -ENOENT;
}

void undo_agent(struct undo *undo, const struct undo_agent *agent)
{
	uint32_t len = agent->len;

	warn(undo);
	undo->agent = *agent;
	undo->agent.len = 0;
	log_barrier();
	undo->agent.len = len;
	log_barrier();
}

void undo_agent_hold(struct undo *undo, bool held)
{
	undo->agent.held = held;
	log_barrier();
}

void undo_agent_memory(struct undo *undo, taddr_t memory, uint64_t len)
{
	undo->agent.memory = memory;
	log_barrier();
	undo->agent.memory_len = len;
	log_barrier();
}

int undo_agent_write(const struct undo *undo, struct target *target, uint32_t offset,
		     const void *bytes, uint32_t len)
{
	const struct undo_agent *agent = &undo->agent;

	if (offset > agent->len || len > agent->len - offset)
		return -ENOENT;
	return target_write(target, agent->base + offset, bytes, len);
}

/* Of a fork's child, where it is off, or what is mapped there by now, nothing is written. */
static int agent_off(const struct undo_agent *agent, struct target *target)
{
	uint8_t there[sizeof(agent->head)];
	uint32_t on = 0;

	if (!agent->len || target_read(target, agent->base, there, sizeof(there)) ||
	    memcmp(there, agent->head, sizeof(there)) ||
	    target_read(target, agent->control, &on, sizeof(on)) || !on)
		return 0;
	on = 0;
	return target_write(target, agent->control, &on, sizeof(on));
}

/*
 * Writes only what is still ours: somebody may have changed it behind us.  A breakpoint on the
 * first byte (of a uprobe, say) keeps that byte, and everything behind it comes back: who
 * takes the breakpoint away knows the original by the file.  *changed: it was not ours, or could not
 * be written.
 */
static int patch_restore(const struct undo_patch *patch, struct target *target, bool *changed)
{
	uint8_t there[sizeof(patch->old)];
	int rc = target_read(target, patch->addr, there, patch->len);
	uint32_t from = !rc && undo_has_breakpoint(patch, there);

	if (rc || memcmp(there + from, patch->now + from, patch->len - from)) {
		*changed = true;
		return rc;
	}
	rc = target_write(target, patch->addr + from, patch->old + from, patch->len - from);
	*changed |= rc != 0;
	return rc;
}

/* The same for an area.  -errno: it can't be read. */
static int area_write(const struct undo_area *area, struct target *target, taddr_t addr,
		      const void *bytes, uint32_t len)
{
	uint8_t there[sizeof(area->head)];
	int rc = area->head_len ? target_read(target, area->base, there, area->head_len) : 0;

	if (rc || memcmp(there, area->head, area->head_len))
		return rc;
	return target_write(target, addr, bytes, len);
}

static int area_disarm(const struct undo_area *area, struct target *target)
{
	return area->active ? area_write(area, target, area->payload, area->disarm,
					 area->disarm_len)
			    : 0;
}

static int run(const struct undo *undo, struct target *target, bool *changed)
{
	int first = agent_off(&undo->agent, target);

	for (uint32_t i = undo->patch_count; i-- > 0;) {
		int rc = undo->patch[i].active ? patch_restore(&undo->patch[i], target, changed) : 0;
		first = first ? first : rc;
	}
	for (uint32_t i = undo->area_count; i-- > 0;) {
		int rc = area_disarm(&undo->area[i], target);
		first = first ? first : rc;
	}
	return first;
}

int undo_run(const struct undo *undo, struct target *target)
{
	bool changed = false;

	return run(undo, target, &changed);
}

/* (A kill in between leaves payloads that do nothing, which the guardian takes as they are.) */
int undo_disarm(const struct undo *undo, struct target *target, struct undo_payloads *ret)
{
	for (uint32_t i = 0; i < undo->area_count; i++) {
		const struct undo_area *area = &undo->area[i];
		int rc = area->active ? target_read(target, area->payload, ret->bytes[i],
						    area->disarm_len)
				      : 0;
		if (rc)
			return rc;
	}
	for (uint32_t i = 0; i < undo->area_count; i++) {
		int rc = area_disarm(&undo->area[i], target);

		if (rc) {
			undo_rearm(undo, target, ret);
			return rc;
		}
	}
	return 0;
}

int undo_rearm(const struct undo *undo, struct target *target,
	       const struct undo_payloads *payloads)
{
	int first = 0;

	for (uint32_t i = 0; i < undo->area_count; i++) {
		const struct undo_area *area = &undo->area[i];
		int rc = area->active ? area_write(area, target, area->payload,
						   payloads->bytes[i], area->disarm_len)
				      : 0;
		first = first ? first : rc;
	}
	return first;
}

static int area_hold(const struct undo_area *area, struct target *target)
{
	const uint32_t held = 1;

	if (area->len < UNDO_HELD_AT + sizeof(held))
		return 0;
	return area_write(area, target, area->base + UNDO_HELD_AT, &held, sizeof(held));
}

static int wipe(const struct undo *undo, struct target *target, bool hold)
{
	int first = 0;

	for (uint32_t i = undo->area_count; i-- > 0;) {
		const struct undo_area *area = &undo->area[i];
		int rc = 0;

		if (area->active)
			rc = hold ? area_hold(area, target)
				  : area_write(area, target, area->base, area->old, area->len);
		first = first ? first : rc;
	}
	return first;
}

int undo_wipe(const struct undo *undo, struct target *target)
{
	taddr_t where;

	return wipe(undo, target, undo_others(undo, target, &where) != 0);
}

bool undo_all(const struct undo *undo, struct target *target, bool (*is_inside)(void *arg), void *arg)
{
	bool changed = false;

	run(undo, target, &changed);
	if (is_inside(arg))
		return false;
	if (changed)
		undo_wipe(undo, target);
	else
		wipe(undo, target, false);
	return true;
}

int undo_take_back(struct undo *undo, struct target *target, taddr_t base)
{
	for (uint32_t i = 0; i < undo->area_count; i++) {
		const struct undo_area *area = &undo->area[i];
		int rc;

	warn(undo);
		if (!area->active || area->base != base)
			continue;
		rc = area_write(area, target, base, area->old, area->len);
		if (!rc)
			undo_forget(undo, base, base + 1);
		return rc;
	}
	return 0;
}

int undo_wipe_place(struct target *target, const struct undo_place *place)
{
	static const uint8_t zeros[UNDO_PLACE_BYTES];

	return target_write(target, place->base, zeros, place->room);
}

int undo_put_words(struct target *target, taddr_t addr, const void *words, uint32_t len)
{
	return target_write(target, addr, words, len);
}

struct undo_held *undo_held(struct undo *undo, pid_t pid, taddr_t base)
{
	struct undo_held *held = &undo->held[undo->held_next++ % UNDO_HELD];

	held->pid = 0;
	log_barrier();
	held->base = base;
	held->behind = 0;
	log_barrier();
	held->pid = pid;
	log_barrier();
	return held;
}

struct undo_page *undo_page(struct undo *undo, taddr_t base, uint32_t len,
			    const struct undo_places *places)
{
	for (uint32_t i = 0; i < UNDO_PAGES; i++) {
		struct undo_page *page = &undo->page[i];

	warn(undo);
		if (page->len)
			continue;
		page->base = base;
		page->places = *places;
		log_barrier();
		page->len = len;
		log_barrier();
		return page;
	}
	return NULL;
}

void undo_forget(struct undo *undo, taddr_t begin, taddr_t end)
{
	for (uint32_t i = 0; i < undo->patch_count; i++)
		if (undo->patch[i].addr >= begin && undo->patch[i].addr < end)
			undo->patch[i].active = 0;
	for (uint32_t i = 0; i < undo->area_count; i++)
		if (undo->area[i].base >= begin && undo->area[i].base < end)
			undo->area[i].active = 0;
	while (undo->patch_count && !undo->patch[undo->patch_count - 1].active)
		undo->patch_count--;
	while (undo->area_count && !undo->area[undo->area_count - 1].active)
		undo->area_count--;
}

/* (Stubs are not wiped whose patches are not known, nor is the agent taken out that they lead to.) */
void undo_take_up(struct undo *undo, const struct undo *other)
{
	memcpy(undo->patch, other->patch, sizeof(undo->patch));
	memcpy(undo->area, other->area, sizeof(undo->area));
	log_barrier();
	undo->patch_count = other->patch_count;
	log_barrier();
	undo->area_count = other->area_count;
	for (uint32_t i = 0; i < UNDO_PAGES; i++) {
		undo->page[i].base = other->page[i].base;
		undo->page[i].places = other->page[i].places;
		log_barrier();
		undo->page[i].len = other->page[i].len;
	}
	undo_agent(undo, &other->agent);
}

void undo_clear(struct undo *undo)
{
	undo->agent.len = 0;
	undo->patch_count = 0;
	undo->area_count = 0;
	for (uint32_t i = 0; i < UNDO_PAGES; i++)
		undo->page[i].len = 0;
}
