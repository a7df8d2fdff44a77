/*
 * Where what a program uses begins: writable memory that is no heap, stacks from sp on, and
 * registers.
 *
 *   mapping   [==============================================]
 *   - heaps         [xxxxx]           [xxxxxx]
 *   - a stack                  [xxxxxx|sp ====]  (of an ended thread: all of it)
 *
 * One word of an ended thread's stack counts nevertheless: glibc, which keeps the stack for the
 * next thread, keeps the table of its thread-local data (the dtv) with it, and frees what is in
 * there when the stack is used again (nptl/allocatestack.c, get_cached_stack()).
 */
#include <errno.h>
#include <string.h>

#include "base/order.h"
#include "heap/leak/parts.h"
#include "region/shared.h"

enum { FILE_SHARED_MAX = 64 << 20 };

/* ---- pieces of memory -------------------------------------------------------------- */

struct wanted {
	struct range blocks; /* addresses that may be a block's */
	bool dtvs;	     /* pointers to these alone */
};

/*
 * Does value point where a thread descriptor points into its dtv?  One is n + 2 pairs of words
 * long: n, the generation, and n modules' (elf/dl-tls.c, allocate_dtv() and _dl_resize_dtv());
 * the pointer is to the second pair.
 */
static bool is_dtv(struct leak *leak, taddr_t value)
{
	uint64_t pair = 2 * leak->in.cpu.word, size;
	uint32_t block = leak_target(leak, value - pair);
	taddr_t n;

	if (block == LEAK_NONE || block & LEAK_INTERIOR ||
	    !reader_word(&leak->jump, value - pair, &n))
		return false;
	size = leak_size(leak, block);
	/* (an allocator's size class may be a quarter larger than what was asked for) */
	return n && n < size / pair && (n + 2) * pair <= size &&
	       size <= (n + 2) * pair * 5 / 4 + 4 * pair;
}

static int visit(struct leak *leak, void *arg, taddr_t at, const uint8_t *bytes, size_t len)
{
	const struct wanted *wanted = arg;
	const struct range *blocks = &wanted->blocks;
	unsigned word = leak->in.cpu.word;
	uint64_t *total = &leak->totals.root_bytes;

	for (size_t i = 0; i + word <= len; i += word) {
		taddr_t value = word_at(bytes + i, word) & leak->tag_mask;
		uint32_t target;

		if (value < blocks->begin || value >= blocks->end)
			continue;
		target = leak_target(leak, value);
		if (target == LEAK_NONE || (wanted->dtvs && !is_dtv(leak, value)))
			continue;
		if (!leak_push(leak, &leak->roots,
			       ((struct root_edge){at + i, target, LEAK_NONE})))
			return -ENOMEM;
	}
	*total += len;
	return leak_tick(leak, LEAK_STEP_ROOTS, *total, *total);
}

static int scan(struct leak *leak, taddr_t begin, taddr_t end, bool dtvs)
{
	struct wanted wanted = {{0, 0}, dtvs};

	if (leak->count)
		wanted.blocks =
			(struct range){leak->index.low,
				       leak->index.high + leak_size(leak, leak->count - 1) + 1};
	return leak_scan(leak, begin, end, visit, &wanted, &leak->totals.unread_bytes);
}

static int scan_ended(struct leak *leak, const struct stack *stack)
{
	taddr_t begin = stack->begin;

	if (stack->alive)
		return 0;
	if (stack->end - begin > DESCRIPTOR_NEAR)
		begin = stack->end - DESCRIPTOR_NEAR;
	return scan(leak, begin, stack->end, true);
}

/* ---- what of a mapping is no root -------------------------------------------------- */

VEC_TYPE(holes, struct range);

static bool hole_add(struct leak *leak, struct holes *holes, taddr_t begin, taddr_t end)
{
	return begin >= end || leak_push(leak, holes, ((struct range){begin, end}));
}

/* The lowest byte in use of a thread's stack. */
static taddr_t live_from(const struct leak *leak, const struct leak_thread *thread)
{
	return thread->sp - (thread->in_syscall ? 0 : leak->in.cpu.red_zone);
}

/* The lowest place from which on [begin, end) is in use by a thread's sp; end: by none. */
static taddr_t lowest_sp(const struct leak *leak, taddr_t begin, taddr_t end)
{
	taddr_t lowest = end;

	for (size_t i = 0; i < leak->in.thread_count; i++) {
		const struct leak_thread *thread = &leak->in.threads[i];

		if (thread->sp >= begin && thread->sp < end && live_from(leak, thread) < lowest)
			lowest = live_from(leak, thread);
	}
	return lowest > begin ? lowest : begin;
}

/* Does a known stack lie here?  Then what of the mapping is unused is known exactly. */
static bool stack_holes(struct leak *leak, const struct mapping *mapping, struct holes *holes,
			bool *known)
{
	*known = false;
	for (size_t i = 0; i < leak->stacks.len; i++) {
		const struct stack *stack = &leak->stacks.at[i];
		taddr_t sp;

		if (stack->end <= mapping->begin || stack->begin >= mapping->end)
			continue;
		sp = lowest_sp(leak, stack->begin, stack->end);
		if (!stack->alive)
			sp = stack->end;
		else if (sp ==
			 stack->end) /* it runs elsewhere (sigaltstack): all may be in use */
			sp = stack->begin;
		*known = true;
		if (!hole_add(leak, holes, stack->begin, sp))
			return false;
	}
	return true;
}

static bool mapping_holes(struct leak *leak, const struct mapping *mapping, struct holes *holes)
{
	bool known;
	taddr_t sp;

	for (size_t i = 0; i < leak->heaps.len; i++) {
		const struct range *heap = &leak->heaps.at[i];

		if (heap->end > mapping->begin && heap->begin < mapping->end &&
		    !hole_add(leak, holes, heap->begin, heap->end))
			return false;
	}
	if (!stack_holes(leak, mapping, holes, &known))
		return false;
	sp = lowest_sp(leak, mapping->begin, mapping->end);
	/* (a stack of which no descriptor says where it begins: the first thread's) */
	return known || sp == mapping->end || holes->len ||
	       hole_add(leak, holes, mapping->begin, sp);
}

static int compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return order_u64(x->begin, y->begin);
}

static int scan_mapping(struct leak *leak, const struct mapping *mapping)
{
	struct holes holes = {NULL, 0, 0};
	taddr_t at = mapping->begin;
	int code = mapping_holes(leak, mapping, &holes) ? 0 : -ENOMEM;

	if (holes.len)
		qsort(holes.at, holes.len, sizeof(*holes.at), compare);
	for (size_t i = 0; i < holes.len && !code && at < mapping->end; i++) {
		const struct range *hole = &holes.at[i];

		if (hole->begin > at)
			code = scan(leak, at, hole->begin, false);
		if (hole->end > at)
			at = hole->end;
	}
	if (!code && at < mapping->end)
		code = scan(leak, at, mapping->end, false);
	leak_give(leak, holes.at, holes.cap, sizeof(*holes.at));
	return code;
}

/* ---- which mappings ---------------------------------------------------------------- */

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool may_point(const struct mapping *mapping)
{
	const char *path = mapping->path;
	bool memory = !path[0] || path[0] == '[' || begins(path, "/memfd:") ||
		      begins(path, "/dev/zero") || begins(path, "/dev/shm/") ||
		      begins(path, "/SYSV");

	if (!mapping->read || !mapping->write || !strcmp(path, "[vvar]") ||
	    !strcmp(path, "[vsyscall]"))
		return false;
	if (begins(path, SHARED_PATH)) /* ours: it knows of every block */
		return false;
	if (memory)
		return true;
	if (begins(path, "/dev/"))
		return false; /* a device's memory: reading may do something */
	return !mapping->shared || mapping->end - mapping->begin <= FILE_SHARED_MAX;
}

/* ---- registers --------------------------------------------------------------------- */

static bool add_register(struct leak *leak, size_t thread, uint32_t word, taddr_t value)
{
	uint32_t target = leak_target(leak, value);

	return target == LEAK_NONE ||
	       leak_push(leak, &leak->roots,
			 ((struct root_edge){0, target, (uint32_t)thread * ROOT_WORDS + word}));
}

static bool add_registers(struct leak *leak, size_t number)
{
	const struct leak_thread *thread = &leak->in.threads[number];
	unsigned word = leak->in.cpu.word;

	for (uint32_t i = 0; i < thread->reg_count && i < ROOT_EXTRA; i++)
		if (!add_register(leak, number, i, thread->regs[i]))
			return false;
	for (size_t i = 0; i < thread->extra_len / word && i < ROOT_WORDS - ROOT_EXTRA; i++)
		if (!add_register(leak, number, (uint32_t)(ROOT_EXTRA + i),
				  word_at((const uint8_t *)thread->extra + i * word, word)))
			return false;
	return true;
}

static int scan_memory(struct leak *leak)
{
	const struct maps *maps = leak->in.maps;
	int code = 0;

	for (size_t i = 0; i < maps->list.len && !code; i++)
		if (may_point(&maps->list.at[i]))
			code = scan_mapping(leak, &maps->list.at[i]);
	for (size_t i = 0; i < leak->stacks.len && !code; i++)
		code = scan_ended(leak, &leak->stacks.at[i]);
	return code;
}

int leak_find_roots(struct leak *leak, struct err *err)
{
	int code = scan_memory(leak);

	if (code == -ECANCELED)
		return err_set(err, code, "given up");
	if (code)
		return leak_no_memory(leak, err);
	for (size_t i = 0; i < leak->in.thread_count; i++)
		if (!add_registers(leak, i))
			return leak_no_memory(leak, err);
	leak->totals.root_edges = leak->roots.len;
	leak->totals.scanned_bytes += leak->totals.root_bytes;
	return 0;
}
