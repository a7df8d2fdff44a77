/*
 * Where threads are counted by the agent; see share.h.
 *
 * A thread is counted by the agent on its own stack alone: from its sp to the thread pointer,
 * where both lie in one mapping (glibc's and musl's control block is at a stack's upper end),
 * or to the end of [stack].  The mappings are read for that once for all threads that stand when
 * functions are hooked, then for each that comes to its first trap, and again, ever more rarely,
 * when it comes from elsewhere (another stack, a deeper one).
 *
 * No two threads may be counted at one place at a time.  A thread pointer that two threads have
 * (clone(CLONE_VM) without CLONE_SETTLS) is nobody's from then on; a vfork child has its
 * parent's while that waits.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "capture/parts.h"
#include "capture/share.h"
#include "capture/share_parts.h"
#include "capture/thread_data.h"
#include "region/known.h"

enum { MAPS_PART = 9 /* times as long as it took they are not read again */ };

struct owning {
	const struct thread *but;
	taddr_t pointer;
	struct thread *found;
};

static void is_owner(void *arg, struct thread *thread)
{
	struct owning *o = arg;

	if (thread != o->but && thread->owner &&
	    thread_data(thread)->share.pointer == o->pointer)
		o->found = thread;
}

struct thread *share_owner_of(struct engine *engine, const struct thread *but, taddr_t pointer)
{
	struct owning owning = {but, pointer, NULL};

	tracee_for_each(&engine->tracee, is_owner, &owning);
	return owning.found;
}

void share_ban(struct engine *engine, struct thread *thread)
{
	struct thread_share *share = &thread_data(thread)->share;

	share->banned = true;
	known_thread_set(share_memory(engine), share->pointer, 0, 0);
}

static int64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Thousands of mappings take milliseconds, and a thread waits: so, of our time, no more than a part.  Who is not
 * looked for now stops, and is when it has stopped more often. */
static int maps_read_now_and_then(struct engine *engine, struct maps *ret)
{
	struct resident *resident = &engine->resident;
	int64_t began = cpu_ns();
	int rc;

	if (clock_ms() < resident->maps_after_ms)
		return -EAGAIN;
	rc = maps_read(tracee_alive(&engine->tracee), ret, NULL);
	resident->maps_after_ms = clock_ms() + (cpu_ns() - began) / 1000000 * MAPS_PART;
	return rc;
}

/* Where the thread's stack is; false: not where it is known. */
static bool stack_find(const struct maps *maps, taddr_t pointer, taddr_t slot, struct range *ret)
{
	const struct mapping *mapping = maps_find(maps, slot);

	if (!mapping || !mapping->read || !mapping->write)
		return false;
	if (!strcmp(mapping->path, "[stack]"))
		*ret = (struct range){mapping->begin, mapping->end};
	else if (pointer > slot && pointer < mapping->end)
		*ret = (struct range){mapping->begin, pointer};
	else
		return false;
	return true;
}

/* Does what the agent reads (the thread pointer, or the word there) name this thread? */
static bool names_itself(struct engine *engine, taddr_t pointer)
{
	const struct arch *arch = engine->tracee.arch;
	struct target *target = &engine->tracee.target;
	uint8_t word[8];
	bool read;

	if (!arch->tls_is_read || !pointer)
		return pointer;
	read = engine->tracee.all_stopped
		       ? target_read_stopped(target, pointer, word, arch->word_size) == arch->word_size
		       : !target_read(target, pointer, word, arch->word_size);
	return read && arch_word(arch, word) == pointer;
}

/* A thread has a thread pointer.  If the agent waits for that, and for all others, too, it is looked
 * at soon, ever more rarely: a static program gets its first one when it runs. */
static void remind(struct engine *engine)
{
	struct resident *resident = &engine->resident;

	if (resident->owed && !(resident->asked & (resident->asked + 1)))
		engine->pending.set |= PENDING_AGENT;
	resident->asked += resident->owed;
}

static void enter(struct engine *engine, struct thread *thread, taddr_t slot, const struct maps *maps)
{
	struct thread_share *share = &thread_data(thread)->share;
	taddr_t pointer = thread_pointer(&engine->tracee, thread);
	bool is_known = known_thread(share_memory(engine), pointer) != KNOWN_NONE;
	struct thread *other = is_known ? share_owner_of(engine, thread, pointer) : NULL;
	struct range stack;
	uint32_t number;

	if (other && pointer) {
		share_ban(engine, other);
		share->banned = true;
	}
	if (share->banned || !names_itself(engine, pointer) ||
	    !stack_find(maps, pointer, slot, &stack))
		return;
	number = known_thread_set(share_memory(engine), pointer, stack.begin, stack.end);
	if (number == KNOWN_NONE)
		return;
	remind(engine);
	if (share->pointer != pointer) {
		struct shared_thread *own = known_thread_at(share_memory(engine), number);

		share->pointer = pointer;
		share->number = number;
		share->allocs = own->allocs;
		share->frees = own->frees;
		share->fresh = true;
		own->pending.slot = own->inner = 0;
		own->free_hook = 0; /* (another thread's that has ended) */
	}
}

void share_enter(struct engine *engine, struct thread *thread, taddr_t slot)
{
	struct maps maps = {0};

	if (maps_read_now_and_then(engine, &maps))
		return;
	enter(engine, thread, slot, &maps);
	maps_deinit(&maps);
}

void share_call_ends(struct engine *engine, struct thread *thread)
{
	struct thread_data *data = thread_data(thread);
	struct shared_thread *own;

	tally_tell(&engine->ledger.tally);
	if (!share_memory(engine) || !data->share.pointer)
		return;
	own = known_thread_at(share_memory(engine), data->share.number);
	own->allocs = data->share.allocs = data->book.allocs;
	own->frees = data->share.frees = data->book.frees;
	own->last_alloc = data->book.last_alloc;
	own->small_slot = data->book.small_slot;
	own->last_free = data->book.last_free;
	data->share.fresh = false;
}

struct entering {
	struct engine *engine;
	struct maps maps;
	bool are_read;
};

/* (From the time before us: share_threads_go_on() is still to come.) */
static bool has_place(struct engine *engine, struct thread *thread)
{
	const struct shared *shared = share_memory(engine);
	uint32_t number = known_thread(shared, thread_pointer(&engine->tracee, thread));

	return number != KNOWN_NONE && known_place(shared, number)->low;
}

/* (The call that it may be in has no stub of ours yet, or has stopped.) */
static void thread_enter(void *arg, struct thread *thread)
{
	struct entering *e = arg;
	const struct tracee *tracee = &e->engine->tracee;
	struct thread_data *data =
		thread->state == THREAD_STOPPED && !thread->sharer ? thread_data(thread) : NULL;
	const struct regs *regs;

	if (!data || data->share.pointer || data->share.banned || has_place(e->engine, thread))
		return;
	regs = thread_regs(tracee, thread);
	if (!regs ||
	    (!e->are_read && maps_read(tracee_alive(&e->engine->tracee), &e->maps, NULL)))
		return;
	e->are_read = true;
	enter(e->engine, thread, regs_read(tracee->arch, regs, tracee->arch->reg_sp), &e->maps);
	share_call_ends(e->engine, thread);
}

void share_threads_enter(struct engine *engine)
{
	struct entering entering = {.engine = engine};

	if (!parts_have(PART_agent) || !share_memory(engine))
		return;
	tracee_for_each(&engine->tracee, thread_enter, &entering);
	maps_deinit(&entering.maps);
}
