/* Writing down what a successor needs, while we are there; see kept.h. */
#include "capture/kept.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture/estate.h"
#include "capture/parts.h"
#include "capture/share_parts.h"
#include "region/atom.h"

_Static_assert(SHARED_OWNER_DIED == FUTEX_OWNER_DIED, "it is the kernel's");

const char *kept_objection(const struct engine *engine)
{
	if (engine->ending.ended || !engine->traced)
		return "the process has ended";
	if (!engine->resident.injected.entry || engine->resident.owed)
		return "no agent counts in it (--engine=agent)";
	if (engine->resident.faults)
		return "its threads go without a thread pointer at times, which the agent reads";
	if (engine->program.loading)
		return "its libraries are not all there yet";
	if (engine->traps.hard)
		return "its traps are break instructions, which nobody would answer";
	if (engine->hooks.mappings)
		return "--mmap can't be followed without memtrace";
	if (engine->undoing.left)
		return "stubs of a killed memtrace are still in use there";
	return NULL;
}

/* The kernel looks for the word from here when the thread ends: the list is ours alone, the word is not. */
static _Thread_local struct {
	struct robust_list_head head;
	struct robust_list entry;
} robust;

static bool watch(uint32_t *word)
{
	robust.entry.next = &robust.head.list;
	robust.head.futex_offset = (long)((uintptr_t)word - (uintptr_t)&robust.entry);
	robust.head.list.next = &robust.entry;
	return syscall(SYS_set_robust_list, &robust.head, sizeof(robust.head)) == 0;
}

static struct shared_left *left_of(const struct engine *engine)
{
	return shared_at(share_memory(engine), SHARED_LEFT_AT);
}

void kept_begin(struct engine *engine)
{
	struct shared_told *told;

	if (!share_memory(engine))
		return;
	told = shared_told(share_memory(engine));
	if (watch(&told->owner)) /* (a kernel without it: there is nobody to be told of) */
		atom_store32(&told->owner, (uint32_t)gettid());
	undo_warns(engine->undoing.undo, &left_of(engine)->current);
}

void kept_end(struct engine *engine)
{
	if (!share_memory(engine))
		return;
	undo_warns(engine->undoing.undo, NULL);
	atom_store32(&left_of(engine)->current, 0);
	robust.head.list.next = &robust.head.list;
	atom_store32(&shared_told(share_memory(engine))->owner, 0);
}

static bool is_begun(const struct engine *engine)
{
	return shared_told(share_memory(engine))->owner == (uint32_t)gettid();
}

void kept_write(struct engine *engine)
{
	struct shared_estate_place *place;
	struct shared_left *left;
	uint32_t next;
	uint8_t *at;

	if (!share_memory(engine) || engine->ending.ended || !is_begun(engine))
		return;
	left = left_of(engine);
	if (kept_objection(engine)) {
		atom_store32(&left->current, 0);
		return;
	}
	next = left->current == 1 ? 2 : 1;
	place = &left->place[next - 1];
	at = shared_at(share_memory(engine), SHARED_ESTATE_AT + (next - 1) * SHARED_ESTATE_BYTES / 2);
	shared_told(share_memory(engine))->loader_state = engine->hooks.loader_state;
	place->bytes = estate_write(engine, at, SHARED_ESTATE_BYTES / 2);
	place->hash = estate_hash(at, place->bytes);
	estate_sign(engine, left);
	atom_store64(&left->magic, SHARED_KEPT_MAGIC);
	left->lacks_room = !place->bytes;
	atom_store32(&left->current, place->bytes ? next : 0);
}

void kept_look(struct engine *engine)
{
	if (share_memory(engine) && !left_of(engine)->current &&
	    !left_of(engine)->lacks_room)
		kept_write(engine);
}
