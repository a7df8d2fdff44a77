/*
 * What is told, and when a sample becomes coarser; see selection.h.
 *
 * --max-overhead: calls are counted, stops too, and the process' CPU time is the kernel's; what a call
 * costs is what bench measured (tests/bench): so it is known to some tenths, on other machines as well, as
 * it is a ratio of two times of the same CPU.  Where it is too much, all allocations are sampled, each
 * look by half as many points; where three looks say that twice as many would do, twice as many.
 */
#include "capture/selection.h"

#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "region/atom.h"
#include "region/known.h"

enum {
	FIRST_LEVEL = 8, /* a point each 256 bytes: the finest that saves anything */
	CALM_LOOKS = 3,
	LOOK_MS = 900,
	CALL_NS = 26,	 /* a call that is counted: half of a pair */
	PASSED_NS = 9,	 /* and of one that is passed */
	STOP_NS = 12500, /* half of a pair that stops */
};

unsigned selection_level(uint64_t bytes)
{
	unsigned level = 0;

	while (level < SAMPLE_MOST && bytes >> level > 1)
		level++;
	return level;
}

static void tell(struct selection *s, const struct shared *shared, struct book *book)
{
	struct shared_told *told = shared ? shared_told(shared) : NULL;
	uint32_t selects = s->level || s->options.min_size ? SHARED_SELECTS + s->level : 0;

	if (told && s->coarsest < s->level)
		s->coarsest = s->level;
	/* (what was chosen once may be freed later, when all count) */
	book->passes |= s->options.min_size || s->coarsest;
	if (!told)
		return;
	told->min_size = s->options.min_size;
	told->coarsest = s->coarsest;
	if (!selects && book->passes)
		selects = SHARED_SELECTS;
	atom_store32(&told->selects, selects);
}

void selection_tell(struct selection *s, const struct shared *shared, struct book *book)
{
	s->level = selection_level(s->options.sample);
	tell(s, shared, book);
}

void selection_go_on(struct selection *s, const struct shared *shared, struct book *book)
{
	const struct shared_told *told = shared_told(shared);
	const struct selection_options *o = &s->options;

	s->coarsest = told->coarsest <= SAMPLE_MOST ? told->coarsest : SAMPLE_MOST;
	book->passes = told->selects;
	s->level = selection_level(o->sample);
	if (!o->min_size && !o->sample && !o->overhead) {
		s->options.min_size = told->min_size;
		s->level = told->selects % SHARED_SELECTS;
		s->level = s->level <= SAMPLE_MOST ? s->level : SAMPLE_MOST;
		s->options.sample = s->level ? 1ull << s->level : 0;
	}
	tell(s, shared, book);
}

static uint64_t small_there(const struct shared *shared)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; shared && i < known_threads(shared); i++)
		sum += atom_load_whole(&known_thread_at(shared, known_list(shared)[i])->small);
	return sum;
}

void selection_clear(struct selection *s, const struct shared *shared)
{
	s->small = 0;
	s->small_before = small_there(shared);
	s->coarsest = s->level;
	if (shared)
		shared_told(shared)->coarsest = s->coarsest;
}

void selection_keep(struct selection *s, const struct shared *shared)
{
	s->small += small_there(shared) - s->small_before;
	s->small_before = 0;
}

void selection_forget(struct selection *s, struct book *book)
{
	*s = (struct selection){.options = s->options};
	book->passes = s->options.min_size;
}

void selection_take(struct selection *s, struct shared_thread *own, uint64_t slot,
		    struct book_event *event, bool outer)
{
	uint64_t selected = own ? own->selected : 0;

	if (own)
		atom_store64(&own->selected, 0);
	if ((selected & ~(uint64_t)SHARED_PASSED) == slot && selected & SHARED_PASSED) {
		event->passed = true; /* (it is in the agent's count of them) */
		return;
	}
	event->passed = event->size < s->options.min_size;
	s->small += event->passed && !outer;
	if (selected == slot && own->sampler.level <= SAMPLE_MOST &&
	    !sample_is_whole(own->sampler.level, event->size))
		event->level = own->sampler.level;
}

unsigned selection_next(const struct selection *s, uint64_t per_mille, unsigned *calm)
{
	unsigned least = selection_level(s->options.sample), level = s->level;
	uint64_t most = s->options.overhead * 10ull;

	if (per_mille > most) {
		*calm = 0;
		if (!level)
			return least > FIRST_LEVEL ? least : FIRST_LEVEL;
		return level < SAMPLE_MOST ? level + 1 : level;
	}
	*calm = level > least && per_mille * 2 < most ? *calm + 1 : 0;
	if (*calm < CALM_LOOKS)
		return level;
	*calm = 0;
	return level > FIRST_LEVEL ? level - 1 : least;
}

/* So many calls, of counted and of passed allocations and their frees, since. */
static uint64_t cost_ns(const struct shared *shared)
{
	uint64_t counted = 0, passed = 0;

	for (uint32_t i = 0; i < known_threads(shared); i++) {
		const struct shared_thread *own =
			known_thread_at(shared, known_list(shared)[i]);

		counted += atom_load_whole(&own->allocs) + atom_load_whole(&own->frees);
		passed += atom_load_whole(&own->small) + atom_load_whole(&own->passed);
	}
	return counted * CALL_NS + passed * 2 * PASSED_NS;
}

bool selection_is_due(const struct selection *s)
{
	return s->options.overhead && clock_ms() - s->looked_ms >= LOOK_MS;
}

void selection_look(struct selection *s, const struct shared *shared, struct book *book,
		    uint64_t cpu_ms, uint64_t stops)
{
	uint64_t cost = cost_ns(shared) + stops * STOP_NS;
	uint64_t used = (cpu_ms - s->cpu_ms) * 1000000, more = cost - s->cost_ns;
	/* (a clear counts stops anew; what the program may write to goes anywhere) */
	bool first = !s->looked_ms || cost < s->cost_ns || cpu_ms < s->cpu_ms;

	s->looked_ms = clock_ms();
	s->cost_ns = cost;
	s->cpu_ms = cpu_ms;
	if (first || !used)
		return;
	/* (a process has at least a tenth of its time for itself) */
	s->level = selection_next(s, more * 1000 / (used > more + used / 10 ? used - more : used / 10),
				  &s->calm);
	tell(s, shared, book);
}

uint64_t selection_seed(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec) * 0x9e3779b97f4a7c15ull +
	       (uint64_t)getpid();
}

void selection_describe(const struct selection *s, const struct shared *shared,
			struct snapshot_sampling *ret)
{
	*ret = (struct snapshot_sampling){
		.bytes = s->level && shared ? 1ull << s->level : 0,
		.coarsest = s->coarsest ? 1ull << s->coarsest : 0,
		.min_size = s->options.min_size,
		.small = s->small + small_there(shared) - s->small_before,
	};
}
