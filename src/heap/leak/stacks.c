/*
 * Stacks of threads, alive and ended.  glibc and musl keep a thread's descriptor at the upper
 * end of its stack, and in it, side by side, where the stack was mapped and how long it is
 * (glibc nptl/descr.h: stackblock, stackblock_size; musl pthread_impl.h: map_base, map_size).
 * So every pair of words {address, length} that describes a piece of the mapping it lies in,
 * and lies near that piece's end, is a stack.  The thread is alive if a thread pointer is in
 * it; glibc keeps the stacks of ended ones for the next, with all that they pointed to, and of
 * that only the table of thread-local data holds anything (roots.c).
 */
#include <errno.h>

#include "heap/leak/parts.h"

enum {
	PAGE = 4096,
	STACK_LEAST = 4 * PAGE,
};

struct search {
	taddr_t low, high; /* where stacks may be: the mapping, and the guard in front */
};

static bool is_alive(const struct leak *leak, const struct stack *stack)
{
	for (size_t i = 0; i < leak->in.thread_count; i++) {
		taddr_t tp = leak->in.threads[i].tp & leak->tag_mask;

		if (stack->begin <= tp && tp <= stack->end)
			return true;
	}
	return false;
}

static int found(struct leak *leak, taddr_t begin, uint64_t length)
{
	struct stack stack = {begin, begin + length, false};

	for (size_t i = 0; i < leak->stacks.len; i++)
		if (leak->stacks.at[i].begin == begin && leak->stacks.at[i].end == stack.end)
			return 0;
	stack.alive = is_alive(leak, &stack);
	return leak_push(leak, &leak->stacks, stack) ? 0 : -ENOMEM;
}

static int visit(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes, size_t len)
{
	const struct search *search = arg;
	unsigned word = leak->in.cpu.word;
	taddr_t begin = word_at(bytes, word);

	for (size_t i = word; i < len; i += word) {
		taddr_t length = word_at(bytes + i, word), end = begin + length;
		int code = 0;

		if (begin % PAGE == 0 && length % PAGE == 0 && begin >= search->low &&
		    length >= STACK_LEAST && end <= search->high && end > begin &&
		    end > at + i && end - (at + i) < DESCRIPTOR_NEAR)
			code = found(leak, begin, length);
		if (code)
			return code;
		begin = length;
	}
	return 0;
}

/* Neighbours without a gap, from i down, of which nothing can be read: guards. */
static taddr_t guard_begin(const struct maps *maps, size_t i)
{
	taddr_t begin = maps->list.at[i].begin;

	while (i-- > 0 && maps->list.at[i].end == begin && !maps->list.at[i].read)
		begin = maps->list.at[i].begin;
	return begin;
}

static bool in_heap(const struct leak *leak, const struct mapping *mapping)
{
	for (size_t i = 0; i < leak->heaps.len; i++)
		if (leak->heaps.at[i].begin <= mapping->begin &&
		    mapping->end <= leak->heaps.at[i].end)
			return true;
	return false;
}

int leak_find_stacks(struct leak *leak, struct err *err)
{
	const struct maps *maps = leak->in.maps;
	uint64_t unread = 0;

	for (size_t i = 0; i < maps->list.len; i++) {
		const struct mapping *mapping = &maps->list.at[i];
		struct search search = {guard_begin(maps, i), mapping->end};
		int code;

		/* ("[stack:TID]" of old kernels too) */
		if ((!mapping_is_anonymous(mapping) && mapping->path[0] != '[') ||
		    !mapping->write || mapping->shared || in_heap(leak, mapping))
			continue;
		code = leak_scan(leak, mapping->begin, mapping->end, visit, &search, &unread);
		if (code)
			return leak_no_memory(leak, err);
	}
	return 0;
}
