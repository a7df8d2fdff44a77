/*
 * The agent in a process that is not what it seems: any stack, any bytes in the memory that the process
 * may write to, any rows; with a memtrace beside it that reads it all, and without one.
 *
 *   input: u8: alone; modules have moved; depth; then operations, each a byte and what it takes
 *
 * What is held: it comes back, and neither it nor who reads its tables touches anything but that memory
 * (between guard pages) and the thread's stack (in a mapping of its own, between guard pages).
 */
#include <string.h>

#include "base/cursor.h"
#include "fuzz.h"
#include "region/counters.h"
#include "region/live.h"

#define assert_true assert
#include "../unit/agent_case.h"

enum { MOST = 400, CHAIN = 24, CONTEXTS = 4096 };

enum operation {
	ALLOCATE,
	RELEASE,
	REALLOCATE,
	ANY_CALL,
	WRITE_MEMORY,
	WRITE_STACK,
	ADD_ROW,
	FORGET,
	READ_ALL,
	OPERATIONS,
};

/* ---- what there is --------------------------------------------------------- */

static void begin_again(uint8_t how)
{
	static const uint16_t depths[] = {1, 4, 24, 200};

	if (!shared.base) {
		begin(DEPTH);
	} else {
		madvise(shared.base, (size_t)shared_bytes(PIECES), MADV_DONTNEED);
		assert(shared_init(&shared, depths[how >> 2 & 3]));
		tell_rows();
		tell_hooks();
		known_thread_set(&shared, POINTER, at_word(0), at_word(WORDS));
	}
	memset(stack, 0, sizeof(stack));
	shared_told(&shared)->alone = how & 1;
	shared_taken(&shared)->moved = how >> 1 & 1;
}

static uint64_t block_at(struct cursor *c)
{
	return 0x7f0000001000 + cursor_u8(c) % 64 * 16;
}

/* A value that leads somewhere, or anything. */
static uint64_t value_of(struct cursor *c)
{
	uint8_t kind = cursor_u8(c);

	switch (kind % 5) {
	case 0:
		return pc_of(cursor_u8(c) % FUNCTIONS);
	case 1:
		return at_word(0) + cursor_u16(c) % (sizeof(stack) + 64);
	case 2:
		return cursor_u64(c);
	case 3:
		return cursor_u8(c);
	default:
		return 0;
	}
}

/* By a chain of functions, on a stack as it should be, or nearly so. */
static struct agent_call chained(struct cursor *c, uint32_t hook)
{
	unsigned chain[CHAIN] = {0}, count = 2 + cursor_u8(c) % (CHAIN - 2), harm = cursor_u8(c);
	struct agent_call call;

	for (unsigned i = 1; i < count; i++)
		chain[i] = 1 + cursor_u8(c) % (FUNCTIONS - 1);
	call = call_by(chain, count, hook);
	if (harm & 1)
		call.fp = value_of(c);
	for (; harm >> 6; harm -= 64)
		stack[((call.slot - at_word(0)) / WORD + cursor_u8(c)) % WORDS] = (agent_word)value_of(c);
	return call;
}

/* ---- operations ------------------------------------------------------------ */

static void allocate(struct cursor *c)
{
	struct agent_call call = chained(c, MALLOC + cursor_u8(c) % REALLOCARRAY);

	call.result = block_at(c);
	for (unsigned i = 0; i < 3; i++)
		call.argument[i] = cursor_u8(c);
	if (call.hook == ALIGN)
		call.argument[0] = value_of(c);
	agent_call(&shared, &call);
}

static void release(struct cursor *c)
{
	struct agent_call call = chained(c, FREE);

	call.argument[0] = block_at(c);
	agent_call(&shared, &call);
}

static void reallocate(struct cursor *c)
{
	struct agent_call call = chained(c, REALLOC | SHARED_ENTERED);

	call.argument[0] = block_at(c);
	call.argument[1] = cursor_u8(c);
	agent_call(&shared, &call);
	call.hook = REALLOC;
	call.result = cursor_u8(c) % 3 ? block_at(c) : 0;
	if (cursor_u8(c) % 4)
		agent_call(&shared, &call);
}

static void any_call(struct cursor *c)
{
	struct agent_call call = {.pointer = cursor_u8(c) % 8 ? POINTER : cursor_u64(c)};

	call.slot = value_of(c);
	call.fp = value_of(c);
	for (unsigned i = 0; i < 3; i++)
		call.argument[i] = value_of(c);
	call.result = value_of(c);
	call.hook = cursor_u8(c) % 16 | (cursor_u8(c) % 2 ? SHARED_ENTERED : 0);
	agent_call(&shared, &call);
}

/* What the process may write to: all behind what is told. */
static void write_memory(struct cursor *c)
{
	static const struct {
		uint64_t at, bytes;
	} parts[] = {
		{SHARED_TAKEN_AT, sizeof(struct shared_taken)},
		{SHARED_THREADS_AT, 4 * sizeof(struct shared_thread)},
		{SHARED_REFS_AT, 4096},
		{SHARED_INDEX_AT, SHARED_INDEX * 4ull},
		{SHARED_NODES_AT, 4096},
		{SHARED_CONTEXTS_AT, 4096},
		{SHARED_DIRECTORY_AT, SHARED_DIRECTORY * 8ull},
		{SHARED_WALKS_AT, 2 * sizeof(struct shared_walk)},
		{SHARED_PIECES_AT, 8ull * SHARED_PIECE},
	};
	unsigned part = cursor_u8(c) % (sizeof(parts) / sizeof(*parts));
	uint64_t value = value_of(c), at = cursor_u32(c) % (parts[part].bytes - 7);

	memcpy(shared_at(&shared, parts[part].at + at / 4 * 4), &value, cursor_u8(c) % 2 ? 8 : 4);
}

static void write_stack(struct cursor *c)
{
	unsigned word = WORDS - 1 - cursor_u16(c) % 512;

	stack[word] = (agent_word)value_of(c);
}

/* Of a file that says anything. */
static void add_row(struct cursor *c)
{
	uint64_t pc = cursor_u8(c) % 4 ? 0x500000u + cursor_u8(c) : value_of(c);
	struct row row;
	const uint8_t *bytes = cursor_bytes(c, sizeof(row));

	if (!bytes)
		return;
	memcpy(&row, bytes, sizeof(row));
	known_pc_add(&shared, pc, cursor_u8(c) % 2, frame_of(3, cursor_u16(c)), &row);
}

static void note(void *arg, const struct live_block *block)
{
	uint64_t *sum = arg;

	*sum += block->addr + block->size + block->context;
}

static void read_all(void)
{
	static struct shared_counters sums[CONTEXTS];
	uint32_t count = interned_contexts(&shared);
	uint64_t sum = 0;

	assert(count <= SHARED_CONTEXTS);
	memset(sums, 0, sizeof(sums));
	counters_sum(&shared, sums, count < CONTEXTS ? count : CONTEXTS);
	live_for_each(&shared, note, &sum);
	for (uint32_t i = 0; i < count && i < CONTEXTS; i++) {
		uint32_t node = interned_leaf(&shared, i);
		struct shared_node n;

		for (uint32_t left = node; node >= WALK_ENDS && interned_node(&shared, node, &n); node = n.parent)
			assert(left-- > 0);
	}
}

static void do_one(struct cursor *c)
{
	switch ((enum operation)(cursor_u8(c) % OPERATIONS)) {
	case ALLOCATE:
		allocate(c);
		break;
	case RELEASE:
		release(c);
		break;
	case REALLOCATE:
		reallocate(c);
		break;
	case ANY_CALL:
		any_call(c);
		break;
	case WRITE_MEMORY:
		write_memory(c);
		break;
	case WRITE_STACK:
		write_stack(c);
		break;
	case ADD_ROW:
		add_row(c);
		break;
	case FORGET:
		known_pcs_forget(&shared);
		tell_rows();
		break;
	case READ_ALL:
	case OPERATIONS:
		read_all();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c;

	if (sizeof(void *) < 8)
		return 0; /* agents are of 64 bits */
	c = cursor_over(data, size);
	begin_again(cursor_u8(&c));
	for (unsigned i = 0; i < MOST && !c.bad && cursor_left(&c); i++)
		do_one(&c);
	read_all();
	return 0;
}
