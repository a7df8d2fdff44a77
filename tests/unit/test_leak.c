/*
 * Lost or held: heaps that are made up, of each release and word size of glibc's; what is in
 * them is known by how they were made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heap/leak/index.h"
#include "heap_case.h"

static struct leak *scan(struct glibc_heap *h)
{
	struct leak *leak = NULL;
	struct err err = {0};

	if (leak_create(&h->c.in, &leak, &err))
		fail_msg("%s", err.text);
	return leak;
}

static struct leak_block block_at(struct leak *leak, taddr_t addr)
{
	struct leak_block block = {0};
	uint32_t index = leak_find(leak, addr);

	assert_int_not_equal(index, LEAK_NONE);
	leak_block(leak, index, &block);
	assert_int_equal(block.addr, addr);
	return block;
}

static const struct glibc_version *const newest = &glibc_versions[6];

/* ---- the index ---------------------------------------------------------------------- */

static uint32_t seed = 1;
static uint32_t random_below(uint32_t n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 8) % n;
}

/* 3000 blocks in three places, some far apart, against a plain list. */
static void index_finds_what_is_in_it(void **state)
{
	static struct index index;
	static taddr_t addrs[3000];
	uint32_t n = 0;
	taddr_t begin;

	(void)state;
	index_init(&index, 16);
	for (uint32_t i = 0; i < 3000; i++) {
		static const taddr_t places[] = {0x1000, 0x555500000000, 0x7f0000000000};
		taddr_t addr = places[i / 1000] + (taddr_t)random_below(1 << 22) * 16;

		if (index_add(&index, addr) == 0)
			addrs[n++] = addr;
		assert_int_equal(index_add(&index, addr), -EEXIST);
	}
	assert_int_equal(index_add(&index, 0x1008), -EINVAL);
	assert_int_equal(index_add(&index, 1ull << 60), -EINVAL);
	assert_true(index_remove(&index, addrs[n - 1]));
	assert_false(index_remove(&index, addrs[--n]));
	index_seal(&index);
	assert_int_equal(index.count, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t before = 0, block = index_find(&index, addrs[i], &begin);

		for (uint32_t k = 0; k < n; k++)
			before += addrs[k] < addrs[i];
		assert_int_equal(block, before);
		assert_int_equal(begin, addrs[i]);
		assert_int_equal(index_addr(&index, block), addrs[i]);
		assert_int_equal(index_find(&index, addrs[i] + 15, &begin), before);
		assert_int_equal(begin, addrs[i]);
	}
	assert_int_equal(index_find(&index, 0x500, &begin), UINT32_MAX);
	index_deinit(&index);
}

/* ---- glibc of each release ----------------------------------------------------------- */

/* Blocks in use, free in a bin, in the thread's cache, in fastbins, mapped: all told apart. */
static void each_release(void **state)
{
	(void)state;
	for (size_t i = 0; i < GLIBC_VERSIONS; i++) {
		const struct glibc_version *v = &glibc_versions[i];
		unsigned w = v->word;
		struct glibc_heap h;
		struct leak *leak;
		const struct leak_allocator *allocator;
		const struct leak_arena *arena;
		struct leak_sum mapped;
		size_t count;
		taddr_t cache = 0, used[40], gone[12], big[2];
		uint32_t blocks = 0;

		glibc_heap_init(&h, v);
		if (v->cache_counts)
			cache = glibc_heap_cache(&h);
		for (unsigned k = 0; k < 40; k++)
			used[k] = glibc_heap_add(&h, 4 * w + k % 5 * 2 * w);
		for (unsigned k = 0; k < 12; k++)
			gone[k] = glibc_heap_add(&h, 6 * w);
		glibc_heap_add(&h, 4 * w); /* (apart from the top) */
		glibc_heap_free(&h, used[7]);
		glibc_heap_free(&h, used[13]);
		for (unsigned k = 0; k < 12; k++) {
			if (k < 6 && cache)
				glibc_heap_cache_put(&h, cache, gone[k]);
			else if (v->fast)
				glibc_heap_fast_put(&h, gone[k]);
		}
		big[0] = glibc_heap_map(&h, 0x3000, 0);
		big[1] = glibc_heap_map(&h, 0x5000, 0x1000 - 2 * w);
		leak = scan(&h);
		allocator = leak_allocators(leak, &count);
		assert_int_equal(count, 1);
		assert_string_equal(allocator->name, "glibc");
		assert_string_equal(allocator->version, v->name);
		assert_true(allocator->read);
		blocks = 38 + 1 + 2 + (v->fast ? 0 : 6);
		assert_int_equal(leak_count(leak), blocks);
		assert_int_equal(allocator->used.blocks, blocks);
		assert_int_equal(allocator->cached.blocks, v->fast ? 12 : 6);
		assert_int_equal(allocator->in_flight, 0);
		for (unsigned k = 0; k < 40; k++) {
			if (k == 7 || k == 13)
				assert_int_equal(leak_find(leak, used[k]), LEAK_NONE);
			else
				assert_int_equal(block_at(leak, used[k]).size,
						 3 * w + k % 5 * 2 * w);
		}
		assert_int_equal(block_at(leak, big[0]).size, 0x3000 - 2 * w);
		assert_int_equal(block_at(leak, big[1]).size, 0x4000);
		arena = leak_arenas(leak, &count, &mapped);
		assert_int_equal(count, 1);
		assert_int_equal(arena->system, CASE_HEAP_LEN);
		assert_int_equal(arena->free.blocks, 2);
		assert_int_equal(arena->top, h.begin + CASE_HEAP_LEN - h.top);
		assert_int_equal(mapped.blocks, 2);
		assert_int_equal(mapped.bytes, 0x8000);
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

/* A counter that is off is a refusal by its reason. */
static void a_contradiction_is_refused(void **state)
{
	struct glibc_heap h;
	struct leak *leak = NULL;
	struct err err = {0};
	taddr_t block;

	(void)state;
	glibc_heap_init(&h, newest);
	glibc_heap_add(&h, 0x40);
	block = glibc_heap_add(&h, 0x40);
	glibc_heap_map(&h, 0x3000, 0);
	case_put32(&h.c, case_data(&h.c) + CASE_MP + newest->mmaps, 2);
	case_put32(&h.c, case_data(&h.c) + CASE_MP + newest->mmaps + 8, 2);
	assert_int_equal(leak_create(&h.c.in, &leak, &err), -ENOTSUP);
	assert_string_equal(
		err.text, "the heap of glibc could not be read: 1 mapped blocks of 12288 bytes "
			  "were found, where malloc has counted 2 of 12288");
	case_put32(&h.c, case_data(&h.c) + CASE_MP + newest->mmaps, 1);
	case_put(&h.c, block - 8, 0x48 | 1);
	assert_int_equal(leak_create(&h.c.in, &leak, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "the walk of the main arena ended before its top, at "
					 "0x555500000040"));
	/* the same with the arena locked: somebody was at work */
	case_put32(&h.c, h.arena, 1);
	assert_int_equal(leak_create(&h.c.in, &leak, &err), -EAGAIN);
	case_deinit(&h.c);
}

/* 2.43 counts two words more each time that a mapped block is moved by realloc(), and keeps them
 * when all are gone; in others that is a contradiction. */
static void a_counter_that_drifts(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * GLIBC_VERSIONS; i++) {
		const struct glibc_version *v = &glibc_versions[i / 2];
		unsigned drift = 3 * 2 * v->word;
		struct glibc_heap h;
		struct leak *leak = NULL;
		struct err err = {0};
		taddr_t counter, most;
		int code;

		if (v->fast && i % 2 == 0)
			continue;
		glibc_heap_init(&h, v);
		glibc_heap_add(&h, 8 * v->word);
		if (i % 2)
			glibc_heap_map(&h, 0x3000, 0);
		counter = case_data(&h.c) + CASE_MP + v->mmapped;
		most = counter + v->word;
		case_put(&h.c, counter, case_word(&h.c, counter) + drift);
		case_put(&h.c, most, case_word(&h.c, most) + 0x4000 + drift);
		case_put32(&h.c, case_data(&h.c) + CASE_MP + v->mmaps + 8, 2);
		code = leak_create(&h.c.in, &leak, &err);
		assert_int_equal(code, v->fast ? -ENOTSUP : 0);
		if (!code)
			assert_int_equal(leak_count(leak), 1 + i % 2);
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

/* A block is being cut from the top: that has no size yet, or neither of them has. */
static void a_growing_heap(void **state)
{
	(void)state;
	for (size_t i = 0; i < GLIBC_VERSIONS; i++) {
		const struct glibc_version *v = &glibc_versions[i];
		struct glibc_heap h;
		struct leak *leak;
		struct err err = {0};
		size_t count;
		taddr_t last = 0;

		glibc_heap_init(&h, v);
		for (unsigned k = 0; k < 5; k++)
			last = glibc_heap_add(&h, 8 * v->word);
		case_put(&h.c, h.top + v->word, 0);
		leak = scan(&h);
		assert_int_equal(leak_count(leak), 4); /* (nobody has the last one yet) */
		assert_int_equal(leak_find(leak, last), LEAK_NONE);
		assert_int_equal(leak_arenas(leak, &count, NULL)->top,
				 h.begin + CASE_HEAP_LEN - h.top);
		leak_destroy(leak);
		case_put(&h.c, last - v->word, 0);
		assert_int_equal(leak_create(&h.c.in, &leak, &err), -EAGAIN);
		case_deinit(&h.c);
	}
}

static void limits(void **state)
{
	struct glibc_heap h;
	struct leak *leak = NULL;
	struct err err = {0};

	(void)state;
	glibc_heap_init(&h, newest);
	glibc_heap_add(&h, 0x40);
	h.c.in.memory_limit = 100 << 10;
	assert_int_equal(leak_create(&h.c.in, &leak, &err), -ENOMEM);
	h.c.in.memory_limit = 2 << 20;
	assert_int_equal(leak_create(&h.c.in, &leak, &err), 0);
	assert_true(leak_totals(leak)->own_bytes < 2 << 20);
	leak_destroy(leak);
	case_deinit(&h.c);
}

/* ---- lost or held -------------------------------------------------------------------- */

enum { CASE_BLOCKS = 8 };

struct shape {
	const char *name;
	const char
		*links; /* "G0 01 1+2": a global, a block, a block's middle leads to a block */
	const char *expect; /* by block: h(eld), i(nterior), L(ost), t(hrough) */
};

static const struct shape shapes[] = {
	{"nothing leads to it", "", "L"},
	{"a global", "G0", "h"},
	{"a global into the middle", "G+0", "i"},
	{"a stack", "S0", "h"},
	{"below the stack", "B0", "L"},
	{"a register", "R0", "h"},
	{"a vector register", "V0", "h"},
	{"a chain", "G0 01 12", "hhh"},
	{"a chain that hangs loose", "01 12", "Ltt"},
	{"a loop of itself", "00", "L"},
	{"a loop of two", "01 10", "Lt"},
	{"a loop with a tail", "01 10 12", "Ltt"},
	{"a tail, then its loop", "12 21 10", "tLt"},
	{"two lead to one", "02 12", "LLt"},
	{"two of which one is held", "G0 02 12", "hLh"},
	{"a doubly linked list", "G0 01 10 12 21", "hhh"},
	{"a doubly linked list, loose", "01 10 12 21", "Ltt"},
	{"a tree", "01 02 13 14", "Ltttt"},
	{"a tree found from below", "10 20 31 32", "tttL"},
	{"held by its middle in a chain", "G0 0+1 12", "hih"},
	{"both", "G0 0+1 01", "hh"},
	{"lost by its middle", "0+1", "Lt"},
	{"two loops, one leads to the other", "01 10 23 32 20", "ttLt"},
	{"a long way round", "G5 54 43 32 21 10", "hhhhhh"},
	{"a free block leads", "F0", "L"},
	{"a global that is old", "O0", "L"},
	{"one byte behind its end", "E0", "L"},
};

static void link_from(struct glibc_heap *h, char from, taddr_t slot, taddr_t value)
{
	static unsigned global;
	uint8_t *free_one;

	switch (from) {
	case 'G':
		case_put(&h->c, heap_global(h, global++ % 64), value);
		break;
	case 'S':
		case_put(&h->c, h->c.thread.sp, value);
		break;
	case 'B':
		case_put(&h->c, h->c.thread.sp - 8, value);
		break;
	case 'R':
		h->c.regs[2] = value;
		break;
	case 'F': /* (slot of a free block: where its links are not) */
		free_one = case_at(&h->c, slot);
		memcpy(free_one, &value, h->v->word);
		break;
	case 'O': /* malloc's own state */
		case_put(&h->c, h->arena + h->v->top + h->v->word, value);
		break;
	default:
		case_put(&h->c, slot, value);
	}
}

static void put_shape(struct glibc_heap *h, const struct shape *s, const taddr_t *blocks,
		      taddr_t free_one, uint64_t *vector)
{
	unsigned used[CASE_BLOCKS] = {0};

	for (const char *at = s->links; *at; at += *at == ' ') {
		char from = *at++;
		bool middle = *at == '+';
		taddr_t to;

		at += middle;
		to = blocks[*at++ - '0'] + (middle ? 3 * h->v->word : 0);
		if (from == 'V')
			vector[1] = to;
		else if (from == 'E') /* (usable: 7 words) */
			case_put(&h->c, heap_global(h, 0), to + 7 * h->v->word);
		else if (from >= '0' && from <= '9')
			link_from(h, from, blocks[from - '0'] + used[from - '0']++ * h->v->word,
				  to);
		else
			link_from(h, from, free_one + 4 * h->v->word, to);
	}
}

static void check_shape(struct leak *leak, const struct shape *s, const taddr_t *blocks)
{
	for (size_t i = 0; s->expect[i]; i++) {
		struct leak_block b = block_at(leak, blocks[i]);
		char got = b.class == LEAK_LOST		  ? 'L'
			   : b.class == LEAK_LOST_THROUGH ? 't'
			   : b.interior			  ? 'i'
							  : 'h';

		if (got != s->expect[i])
			fail_msg("%s: block %zu is '%c', not '%c'", s->name, i, got,
				 s->expect[i]);
		assert_int_equal(b.leader != LEAK_NONE, got == 't');
		if (got == 't') {
			struct leak_block leader;

			leak_block(leak, b.leader, &leader);
			assert_int_equal(leader.class, LEAK_LOST);
		}
	}
}

static void small_cases_of(const struct glibc_version *v)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		struct glibc_heap h;
		taddr_t blocks[CASE_BLOCKS], free_one;
		uint64_t vector[4] = {0};
		struct leak *leak;

		glibc_heap_init(&h, v);
		free_one = glibc_heap_add(&h, 16 * v->word);
		for (size_t k = 0; k < strlen(shapes[i].expect); k++)
			blocks[k] = glibc_heap_add(&h, 8 * v->word);
		glibc_heap_add(&h, 4 * v->word);
		glibc_heap_free(&h, free_one);
		h.c.thread.extra = vector;
		h.c.thread.extra_len = sizeof(vector);
		put_shape(&h, &shapes[i], blocks, free_one, vector);
		leak = scan(&h);
		check_shape(leak, &shapes[i], blocks);
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

static void small_cases(void **state)
{
	(void)state;
	small_cases_of(newest);
	small_cases_of(&glibc_versions[GLIBC_VERSIONS - 2]); /* 32 bits */
}

/* glibc keeps the stack of an ended thread, and with it only its dtv, here of n modules. */
static void an_ended_thread_of(const struct glibc_version *v, taddr_t n)
{
	enum { STACK = 0x10000 };
	taddr_t w = v->word, begin = w == 8 ? 0x7ffff8000000 : 0xbf800000, end = begin + STACK;
	taddr_t dtv, not_a_dtv, local, plain;
	struct glibc_heap h;
	struct leak *leak;

	glibc_heap_init(&h, v);
	dtv = glibc_heap_add(&h, 0x50);
	not_a_dtv = glibc_heap_add(&h, 0x50);
	local = glibc_heap_add(&h, 0x50);
	plain = glibc_heap_add(&h, 0x50);
	case_map(&h.c, begin, STACK, "rw-p", "");
	case_put(&h.c, end - 0x100, begin);
	case_put(&h.c, end - 0x100 + w, STACK);
	case_put(&h.c, end - 0x200, dtv + 2 * w);
	case_put(&h.c, end - 0x300, not_a_dtv + 2 * w);
	case_put(&h.c, end - 0x400, plain);
	case_put(&h.c, dtv, n);
	case_put(&h.c, dtv + 4 * w, local);
	case_put(&h.c, not_a_dtv, n + 1);
	case_put(&h.c, plain, n);
	leak = scan(&h);
	assert_int_equal(block_at(leak, dtv).class, LEAK_HELD);
	assert_int_equal(block_at(leak, local).class, LEAK_HELD);
	assert_int_equal(block_at(leak, not_a_dtv).class, LEAK_LOST);
	assert_int_equal(block_at(leak, plain).class, LEAK_LOST);
	leak_destroy(leak);
	case_deinit(&h.c);
}

static void an_ended_thread(void **state)
{
	(void)state;
	an_ended_thread_of(newest, 2);
	an_ended_thread_of(&glibc_versions[GLIBC_VERSIONS - 2], 7); /* 32 bits */
}

/* Random graphs against the plainest search there is. */
static void random_graphs(void **state)
{
	enum { N = 300 };

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		static bool leads[N][N], held[N];
		taddr_t blocks[N];
		struct glibc_heap h;
		struct leak *leak;
		bool more = true;

		memset(leads, 0, sizeof(leads));
		memset(held, 0, sizeof(held));
		glibc_heap_init(&h, newest);
		for (unsigned i = 0; i < N; i++)
			blocks[i] = glibc_heap_add(&h, 64 + 16 * random_below(8));
		for (unsigned k = 0; k < N + round * 20; k++) {
			unsigned from = random_below(N), to = random_below(N);
			unsigned slot = random_below(6);
			taddr_t *was =
				(taddr_t *)(void *)case_at(&h.c, blocks[from] + slot * 8);

			if (*was)
				continue;
			*was = blocks[to] + random_below(2) * 8;
			leads[from][to] = true;
		}
		for (unsigned k = 0; k < 12; k++) {
			unsigned to = random_below(N);

			held[to] = true;
			case_put(&h.c, heap_global(&h, k), blocks[to]);
		}
		while (more) {
			more = false;
			for (unsigned i = 0; i < N; i++)
				for (unsigned k = 0; held[i] && k < N; k++)
					if (leads[i][k] && !held[k])
						more = held[k] = true;
		}
		leak = scan(&h);
		for (unsigned i = 0; i < N; i++) {
			struct leak_block b = block_at(leak, blocks[i]);
			bool led_to = false;

			assert_int_equal(b.class == LEAK_HELD, held[i]);
			/* a leader is led to by none but those it leads to */
			for (unsigned k = 0; k < N; k++)
				led_to |= leads[k][i] && k != i;
			if (!held[i] && !led_to)
				assert_int_equal(b.class, LEAK_LOST);
		}
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

/* ---- musl ---------------------------------------------------------------------------- */

static void musl(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct musl_heap h;
		struct leak *leak = NULL;
		struct err err = {0};
		size_t count;

		musl_heap_init(&h, kind & 1 ? 4 : 8, kind & 2);
		case_put(&h.c, h.blocks[0], h.blocks[5]);
		case_put(&h.c, case_data(&h.c) + CASE_GLOBALS, h.blocks[0]);
		if (leak_create(&h.c.in, &leak, &err))
			fail_msg("%s", err.text);
		assert_string_equal(leak_allocators(leak, &count)->name, "musl");
		assert_int_equal(leak_count(leak), MUSL_BLOCKS);
		for (unsigned i = 0; i < MUSL_BLOCKS; i++) {
			struct leak_block block = block_at(leak, h.blocks[i]);

			assert_int_equal(block.size, h.sizes[i]);
			assert_int_equal(block.class, i == 0 || i == 5 ? LEAK_HELD : LEAK_LOST);
		}
		leak_destroy(leak);
		/* the last group says that its mapping has a million pages */
		musl_meta(&h, 2, h.big, 0, 0, 63, 1 << 20 >> (kind & 1) * 4);
		assert_int_equal(leak_create(&h.c.in, &leak, &err), -ENOTSUP);
		assert_string_equal(err.text, "the heap of musl could not be read: it claims "
					      "memory that is not mapped");
		case_put32(&h.c, h.area, MUSL_SECRET + 1);
		assert_int_equal(leak_create(&h.c.in, &leak, &err), -ENOTSUP);
		case_deinit(&h.c);
	}
}

static void musl_until_1_2_0(void **state)
{
	(void)state;
	for (unsigned word = 4; word <= 8; word += 4) {
		struct old_heap h;
		struct leak *leak = NULL;
		struct err err = {0};
		const struct leak_arena *arena;
		struct leak_sum mapped;
		size_t count;

		old_heap_init(&h, word);
		assert_int_equal(h.count, OLD_BLOCKS);
		case_put(&h.c, h.blocks[0], h.blocks[4]);
		case_put(&h.c, case_data(&h.c) + CASE_GLOBALS, h.blocks[0]);
		if (leak_create(&h.c.in, &leak, &err))
			fail_msg("%s", err.text);
		assert_string_equal(leak_allocators(leak, &count)->version, "-1.2.0");
		assert_int_equal(leak_count(leak), OLD_BLOCKS);
		for (unsigned i = 0; i < OLD_BLOCKS; i++) {
			struct leak_block block = block_at(leak, h.blocks[i]);

			assert_int_equal(block.size, h.sizes[i]);
			assert_int_equal(block.class, i == 0 || i == 4 ? LEAK_HELD : LEAK_LOST);
		}
		arena = leak_arenas(leak, &count, &mapped);
		assert_int_equal(count, 1);
		assert_int_equal(arena->system, 0x3000);
		assert_int_equal(arena->free.blocks, 2);
		assert_int_equal(arena->free.bytes, 0x1000 - 4 * word - 20 * word);
		assert_int_equal(mapped.bytes, h.large_len);
		leak_destroy(leak);
		/* a free chunk that no bin has */
		case_put(&h.c, old_bin(&h, 1) + 2 * word, old_bin(&h, 1));
		case_put(&h.c, old_bin(&h, 1) + 3 * word, old_bin(&h, 1));
		*case_at(&h.c, h.mal) = 0;
		assert_int_equal(leak_create(&h.c.in, &leak, &err), -ENOTSUP);
		assert_non_null(strstr(err.text, "its bins have other free chunks than its heaps"));
		h.c.thread.in_syscall = false; /* it may be in malloc */
		assert_int_equal(leak_create(&h.c.in, &leak, &err), -EAGAIN);
		case_deinit(&h.c);
	}
}

/* ---- broken ones --------------------------------------------------------------------- */

/* Whatever comes out makes sense: each block is mapped, and the sums are those of the blocks.
 */
static void makes_sense(struct heap_case *c)
{
	struct leak *leak = NULL;
	struct err err = {0};
	struct leak_sum sums[LEAK_CLASSES] = {{0}};
	const struct leak_arena *arenas;
	size_t count;

	c->reads = 0;
	if (leak_create(&c->in, &leak, &err)) {
		assert_true(err.text[0]);
		assert_true(c->reads < 200000);
		return;
	}
	for (uint32_t i = 0; i < leak_count(leak); i++) {
		struct leak_block b;
		const struct mapping *mapping;

		leak_block(leak, i, &b);
		mapping = maps_find(&c->maps, b.addr);
		assert_non_null(mapping);
		assert_true(b.size <= mapping->end - b.addr);
		assert_true(b.leader == LEAK_NONE || b.leader < leak_count(leak));
		sums[b.class].blocks++;
		sums[b.class].bytes += b.size;
	}
	assert_memory_equal(sums, leak_totals(leak)->classes, sizeof(sums));
	arenas = leak_arenas(leak, &count, NULL);
	for (size_t i = 0; i < count; i++)
		assert_true(arenas[i].top < 1 << 30);
	assert_true(c->reads < 200000);
	leak_destroy(leak);
}

/* Each byte of malloc's state, and of the used part of the heap, is once another one. */
static void any_byte_broken(void **state)
{
	static const uint8_t twist[] = {0xff, 0x10, 0x03};

	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		struct glibc_heap h;
		taddr_t cache, blocks[8];
		struct case_piece *heap, *data;

		glibc_heap_init(&h, k ? &glibc_versions[10] : &glibc_versions[5]);
		cache = glibc_heap_cache(&h);
		for (unsigned i = 0; i < 8; i++)
			blocks[i] = glibc_heap_add(&h, 8 * h.v->word);
		glibc_heap_free(&h, blocks[1]);
		glibc_heap_cache_put(&h, cache, blocks[3]);
		glibc_heap_cache_put(&h, cache, blocks[4]);
		glibc_heap_fast_put(&h, blocks[5]);
		glibc_heap_map(&h, 0x3000, 0);
		case_put(&h.c, blocks[0], blocks[2]);
		heap = &h.c.pieces[0];
		data = &h.c.pieces[3];
		for (size_t i = 0; i < (size_t)(h.top + 16 - h.begin); i++) {
			heap->bytes[i] ^= twist[i % 3];
			makes_sense(&h.c);
			heap->bytes[i] ^= twist[i % 3];
		}
		for (size_t i = CASE_ARENA; i < CASE_MP + 128; i++) {
			if (i > CASE_ARENA + h.v->size && i < CASE_MP)
				continue;
			if (i > CASE_ARENA + h.v->bins + 200 && i < CASE_ARENA + h.v->next)
				continue; /* (more of the same) */
			data->bytes[i] ^= twist[i % 3];
			makes_sense(&h.c);
			data->bytes[i] ^= twist[i % 3];
		}
		case_deinit(&h.c);
	}
}

static void any_byte_of_musl_broken(void **state)
{
	static const uint8_t twist[] = {0xff, 0x10, 0x03};

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		struct musl_heap h;
		struct case_piece *heap, *data;

		musl_heap_init(&h, kind ? 4 : 8, false);
		heap = &h.c.pieces[0];
		data = &h.c.pieces[2];
		for (size_t i = 0; i < 3 * 0x320;
		     i++) { /* what is used of both groups and the area */
			size_t at = i / 0x320 * 0x1000 + i % 0x320;

			heap->bytes[at] ^= twist[i % 3];
			makes_sense(&h.c);
			heap->bytes[at] ^= twist[i % 3];
		}
		for (size_t i = MUSL_CONTEXT; i < MUSL_CONTEXT + 128; i++) {
			data->bytes[i] ^= twist[i % 3];
			makes_sense(&h.c);
			data->bytes[i] ^= twist[i % 3];
		}
		case_deinit(&h.c);
	}
}

static void any_byte_of_old_musl_broken(void **state)
{
	static const uint8_t twist[] = {0xff, 0x10, 0x03};

	(void)state;
	for (unsigned kind = 0; kind < 2; kind++) {
		struct old_heap h;
		struct case_piece *heap, *data;

		old_heap_init(&h, kind ? 4 : 8);
		heap = &h.c.pieces[0];
		data = &h.c.pieces[3];
		for (size_t i = 0; i < 0x1000; i += i < 0x120 || i > 0xfd0 ? 1 : 64) {
			heap->bytes[i] ^= twist[i % 3];
			makes_sense(&h.c);
			heap->bytes[i] ^= twist[i % 3];
		}
		for (size_t i = OLD_MAL; i < OLD_MAL + 8 + 64 * 24; i++) {
			data->bytes[i] ^= twist[i % 3];
			makes_sense(&h.c);
			data->bytes[i] ^= twist[i % 3];
		}
		case_deinit(&h.c);
	}
}

/* ---- queries ------------------------------------------------------------------------- */

/* global 3 -> a +8 -> b +16 -> c; the stack -> c as well; d alone with e behind it. */
struct family {
	struct glibc_heap h;
	taddr_t a, b, c, d, e;
	struct leak *leak;
};

static void family_make(struct family *f)
{
	glibc_heap_init(&f->h, newest);
	f->a = glibc_heap_add(&f->h, 64);
	f->b = glibc_heap_add(&f->h, 64);
	f->c = glibc_heap_add(&f->h, 64);
	f->d = glibc_heap_add(&f->h, 64);
	f->e = glibc_heap_add(&f->h, 160);
	case_put(&f->h.c, heap_global(&f->h, 3), f->a);
	case_put(&f->h.c, f->a + 8, f->b);
	case_put(&f->h.c, f->b + 16, f->c + 4);
	case_put(&f->h.c, f->d, f->e);
	f->h.c.regs[1] = f->e + 8;
}

static void family_end(struct family *f)
{
	leak_destroy(f->leak);
	case_deinit(&f->h.c);
}

static void why(void **state)
{
	struct family f;
	struct leak_link links[8];
	uint32_t blocks[2];
	size_t share;

	(void)state;
	family_make(&f);
	f.leak = scan(&f.h);
	blocks[0] = leak_find(f.leak, f.c);
	assert_int_equal(leak_why(f.leak, blocks, 1, links, 8, &share), 3);
	assert_int_equal(share, 1);
	assert_int_equal(links[0].place.kind, LEAK_IN_DATA);
	assert_ptr_equal(links[0].place.module, &f.h.c.module);
	assert_string_equal(links[0].place.section, ".bss");
	assert_int_equal(links[0].place.at, heap_global(&f.h, 3));
	assert_int_equal(links[0].place.offset, 0x100000 + CASE_GLOBALS + 3 * 8);
	assert_int_equal(links[0].place.value, f.a);
	assert_int_equal(links[0].block, leak_find(f.leak, f.a));
	assert_int_equal(links[1].place.kind, LEAK_IN_BLOCK);
	assert_int_equal(links[1].place.offset, 8);
	assert_int_equal(links[2].place.block, leak_find(f.leak, f.b));
	assert_int_equal(links[2].place.offset, 16);
	assert_int_equal(links[2].place.value, f.c + 4);
	assert_int_equal(links[2].block, blocks[0]);
	/* the first links alone are written where there is room for no more */
	links[1].block = 77;
	assert_int_equal(leak_why(f.leak, blocks, 1, links, 1, NULL), 3);
	assert_int_equal(links[1].block, 77);
	/* both of b and c are behind b */
	blocks[1] = leak_find(f.leak, f.b);
	assert_int_equal(leak_why(f.leak, blocks, 2, links, 8, &share), 3);
	/* as many by the places of a table as there are behind each of them */
	assert_int_equal(leak_held_from(f.leak, blocks, 2, heap_global(&f.h, 3),
					heap_global(&f.h, 4)), 2);
	assert_int_equal(leak_held_from(f.leak, blocks, 2, heap_global(&f.h, 0),
					heap_global(&f.h, 3)), 0);
	/* by a register; and nothing for what is lost */
	blocks[0] = leak_find(f.leak, f.e);
	assert_int_equal(leak_held_from(f.leak, blocks, 1, 0, UINT64_MAX), 0);
	assert_int_equal(leak_why(f.leak, blocks, 1, links, 8, NULL), 1);
	assert_int_equal(links[0].place.kind, LEAK_IN_REGISTER);
	assert_int_equal(links[0].place.tid, 1);
	assert_int_equal(links[0].place.offset, 1);
	assert_int_equal(links[0].place.value, f.e + 8);
	blocks[0] = leak_find(f.leak, f.d);
	assert_int_equal(leak_why(f.leak, blocks, 1, links, 8, &share), 0);
	assert_int_equal(share, 0);
	family_end(&f);
}

static void who(void **state)
{
	struct family f;
	struct leak_place places[4];

	(void)state;
	family_make(&f);
	case_put(&f.h.c, f.h.c.thread.sp + 24, f.c);
	case_put(&f.h.c, f.d + 40, f.c + 8);
	f.leak = scan(&f.h);
	assert_int_equal(leak_who(f.leak, f.c + 3, places, 4), 3);
	assert_int_equal(places[0].kind, LEAK_IN_STACK);
	assert_int_equal(places[0].tid, 1);
	assert_int_equal(places[0].offset, 24);
	assert_int_equal(places[1].kind, LEAK_IN_BLOCK);
	assert_int_equal(places[1].block, leak_find(f.leak, f.b));
	assert_int_equal(places[2].block, leak_find(f.leak, f.d));
	assert_int_equal(places[2].offset, 40);
	assert_int_equal(places[2].value, f.c + 8);
	assert_int_equal(leak_who(f.leak, 0x1234, places, 4), 0);
	family_end(&f);
}

static void retained(void **state)
{
	struct family f;
	struct leak_sum sum;
	uint32_t block;

	(void)state;
	family_make(&f);
	f.leak = scan(&f.h);
	block = leak_find(f.leak, f.a);
	assert_true(leak_retained(f.leak, &block, 1, &sum));
	assert_int_equal(sum.blocks, 3);
	assert_int_equal(sum.bytes, 3 * 56);
	leak_destroy(f.leak);
	case_put(&f.h.c, f.h.c.thread.sp, f.c); /* now c stays */
	f.leak = scan(&f.h);
	assert_true(leak_retained(f.leak, &block, 1, &sum));
	assert_int_equal(sum.blocks, 2);
	block = leak_find(f.leak, f.d); /* e is held by a register */
	assert_true(leak_retained(f.leak, &block, 1, &sum));
	assert_int_equal(sum.blocks, 1);
	family_end(&f);
}

static void groups(void **state)
{
	struct glibc_heap h;
	taddr_t blocks[8];
	const struct leak_group *all;
	struct leak *leak;
	size_t count;

	(void)state;
	glibc_heap_init(&h, newest);
	for (unsigned i = 0; i < 8; i++)
		blocks[i] = glibc_heap_add(&h, i == 7 ? 128 : 64);
	for (unsigned i = 0; i < 3; i++)
		case_put(&h.c, blocks[i], blocks[i + 1]); /* a list of four */
	case_put(&h.c, blocks[4], blocks[5]);		  /* a ring of two */
	case_put(&h.c, blocks[5], blocks[4]);
	case_put(&h.c, blocks[6], blocks[7]);
	leak = scan(&h);
	all = leak_groups(leak, &count);
	assert_int_equal(count, 3);
	assert_int_equal(all[0].leader, leak_find(leak, blocks[0]));
	assert_int_equal(all[0].shape, LEAK_LIST);
	assert_int_equal(all[0].all.blocks, 4);
	assert_int_equal(all[0].all.bytes, 4 * 56);
	assert_int_equal(all[1].shape, LEAK_TREE);
	assert_int_equal(all[1].all.bytes, 56 + 120);
	assert_int_equal(all[2].shape, LEAK_CYCLE);
	assert_int_equal(all[2].all.blocks, 2);
	leak_destroy(leak);
	case_deinit(&h.c);
}

static void content_is(struct leak *leak, taddr_t addr, enum leak_content_kind kind,
		       const char *text)
{
	struct leak_content content;

	leak_content(leak, leak_find(leak, addr), &content);
	assert_int_equal(content.kind, kind);
	assert_string_equal(content.text, text);
}

static void contents(void **state)
{
	struct glibc_heap h;
	taddr_t object, member, text, node, zero, other, code;
	struct leak *leak;

	(void)state;
	glibc_heap_init(&h, newest);
	code = h.c.module.bias;
	/* a table of virtual functions at +0x110, a type_info at +0x200, its name at +0x300 */
	case_put(&h.c, code + 0x108, code + 0x200);
	case_put(&h.c, code + 0x110, code + 0x800);
	case_put(&h.c, code + 0x200, code + 0x400);
	case_put(&h.c, code + 0x208, code + 0x300);
	strcpy((char *)case_at(&h.c, code + 0x300), "N3app5CacheE");
	object = glibc_heap_add(&h, 64);
	member = glibc_heap_add(&h, 64);
	text = glibc_heap_add(&h, 64);
	node = glibc_heap_add(&h, 64);
	zero = glibc_heap_add(&h, 64);
	other = glibc_heap_add(&h, 64);
	case_put(&h.c, object, code + 0x110);
	case_put(&h.c, object + 8, member);
	case_put(&h.c, heap_global(&h, 0), object);
	case_put(&h.c, member, 1);
	strcpy((char *)case_at(&h.c, text), "GET /index.html\n");
	case_put(&h.c, node, text);
	case_put(&h.c, other, 0x1234567);
	leak = scan(&h);
	content_is(leak, object, LEAK_CLASS, "N3app5CacheE");
	content_is(leak, member, LEAK_OWNED, "N3app5CacheE");
	content_is(leak, text, LEAK_TEXT, "GET /index.html ");
	content_is(leak, node, LEAK_NODE, "");
	content_is(leak, zero, LEAK_ZERO, "");
	content_is(leak, other, LEAK_UNKNOWN, "");
	leak_destroy(leak);
	case_deinit(&h.c);
}

/* `count` nodes of 64 bytes, each with a pointer at `offset` to the next. */
static void chain(struct glibc_heap *h, taddr_t *nodes, unsigned count, unsigned offset)
{
	for (unsigned i = 0; i < count; i++)
		nodes[i] = glibc_heap_add(h, 64);
	for (unsigned i = 0; i + 1 < count; i++)
		case_put(&h->c, nodes[i] + offset, nodes[i + 1]);
}

/* The place of the head's pointer; 0: the block is no node of a list. */
static taddr_t head_of(struct leak *leak, taddr_t addr)
{
	uint32_t block = leak_find(leak, addr);
	struct leak_content content;
	struct leak_place head;

	leak_content(leak, block, &content);
	if (!leak_list_head(leak, block, &head)) {
		assert_int_not_equal(content.kind, LEAK_LIST_NODE);
		return 0;
	}
	assert_int_equal(content.kind, LEAK_LIST_NODE);
	assert_int_equal(head.block != LEAK_NONE, head.kind == LEAK_IN_BLOCK);
	return head.at;
}

static void heads_of_lists(void **state)
{
	struct glibc_heap h;
	taddr_t held[5], doubly[5], lost[4], owner, out, tail;
	struct leak *leak;

	(void)state;
	glibc_heap_init(&h, newest);
	chain(&h, held, 5, 16);
	case_put(&h.c, heap_global(&h, 0), held[0]);
	chain(&h, doubly, 5, 0);
	for (unsigned i = 1; i < 5; i++)
		case_put(&h.c, doubly[i] + 8, doubly[i - 1]);
	owner = glibc_heap_add(&h, 208);
	case_put(&h.c, heap_global(&h, 1), owner);
	case_put(&h.c, owner + 24, doubly[0]);
	chain(&h, lost, 4, 32);
	out = glibc_heap_add(&h, 64);
	case_put(&h.c, out + 16, held[3]);
	tail = glibc_heap_add(&h, 64);
	case_put(&h.c, tail + 24, held[3]); /* (another member) */
	leak = scan(&h);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(head_of(leak, held[i]), heap_global(&h, 0));
		if (i < 4) /* (the last leads nowhere on, and back) */
			assert_int_equal(head_of(leak, doubly[i]), owner + 24);
	}
	assert_int_equal(head_of(leak, lost[0]), 0);
	for (unsigned i = 1; i < 3; i++)
		assert_int_equal(head_of(leak, lost[i]), lost[0]);
	assert_int_equal(head_of(leak, out), heap_global(&h, 0));
	assert_int_equal(head_of(leak, tail), 0);
	leak_destroy(leak);
	case_deinit(&h.c);
}

/* Trees, rows of two, and pointers that lie here and there, are no lists. */
static void no_lists(void **state)
{
	struct glibc_heap h;
	taddr_t tree[7], two[2], mixed[4];
	struct leak *leak;

	(void)state;
	glibc_heap_init(&h, newest);
	for (unsigned i = 0; i < 7; i++)
		tree[i] = glibc_heap_add(&h, 64);
	for (unsigned i = 0; i < 3; i++) {
		case_put(&h.c, tree[i], tree[2 * i + 1]);
		case_put(&h.c, tree[i] + 8, tree[2 * i + 2]);
	}
	chain(&h, two, 2, 0);
	for (unsigned i = 0; i < 4; i++)
		mixed[i] = glibc_heap_add(&h, 64);
	for (unsigned i = 0; i < 3; i++)
		case_put(&h.c, mixed[i] + 8 * i, mixed[i + 1]);
	case_put(&h.c, heap_global(&h, 0), tree[0]);
	case_put(&h.c, heap_global(&h, 1), two[0]);
	case_put(&h.c, heap_global(&h, 2), mixed[0]);
	leak = scan(&h);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(head_of(leak, tree[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(head_of(leak, two[i]), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(head_of(leak, mixed[i]), 0);
	leak_destroy(leak);
	case_deinit(&h.c);
}

/* 0x554141414140 is "@AAAAU", and where a block is. */
static void printable_pointer(void **state)
{
	const taddr_t at = 0x554141414000, block = at + 0x140, text = at + 0x240;
	const struct leak_live live[] = {{block, 64, 1}, {text, 64, 1}};
	struct heap_case c;
	struct leak *leak;
	struct err err;

	(void)state;
	case_init(&c, 8);
	case_map(&c, at, 0x1000, "rw-p", "");
	case_module(&c);
	case_put(&c, block, block);
	case_put(&c, text, block + 0x1000);
	c.in.live = live;
	c.in.live_count = ARRAY_SIZE(live);
	assert_int_equal(leak_create(&c.in, &leak, &err), 0);
	content_is(leak, text, LEAK_TEXT, "@QAAAU");
	content_is(leak, block, LEAK_UNKNOWN, ""); /* (one to itself leads nowhere) */
	leak_destroy(leak);
	case_deinit(&c);
}

static uint64_t pinned_by[64];
static void note_pin(void *arg, uint32_t block, uint64_t pinned)
{
	(void)arg;
	pinned_by[block] += pinned;
}

/* 24 blocks of 0x400 of which all but every eighth are freed: each pins what is free around it.
 */
static void pins(void **state)
{
	struct glibc_heap h;
	taddr_t blocks[24];
	struct leak *leak;
	uint64_t total, sum = 0;

	(void)state;
	glibc_heap_init(&h, newest);
	for (unsigned i = 0; i < 24; i++)
		blocks[i] = glibc_heap_add(&h, 0x400);
	for (unsigned i = 0; i < 24; i++) /* (one chunk of all that is free in between) */
		if (i % 8 == 1) {
			case_put(&h.c, blocks[i] - 8, (i < 17 ? 0x1c00 : 0x1800) | 1);
			glibc_heap_free(&h, blocks[i]);
		}
	leak = scan(&h);
	assert_int_equal(leak_count(leak), 4);
	assert_int_equal(leak_arenas(leak, &(size_t){0}, NULL)->trimmable, (2 + 26) * 4096);
	total = leak_for_each_pin(leak, note_pin, NULL);
	/* 0x10..0x408 of pages 0, 2 and 4 are in use; 0xc10 of page 5 to 8 of page 6 */
	assert_int_equal(total, 5 * 4096 - 4 * 0x3f8);
	for (unsigned i = 0; i < 4; i++)
		sum += pinned_by[i];
	assert_int_equal(sum, total);
	leak_destroy(leak);
	case_deinit(&h.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_finds_what_is_in_it),
		cmocka_unit_test(each_release),
		cmocka_unit_test(a_contradiction_is_refused),
		cmocka_unit_test(a_growing_heap),
		cmocka_unit_test(a_counter_that_drifts),
		cmocka_unit_test(limits),
		cmocka_unit_test(small_cases),
		cmocka_unit_test(an_ended_thread),
		cmocka_unit_test(random_graphs),
		cmocka_unit_test(musl),
		cmocka_unit_test(musl_until_1_2_0),
		cmocka_unit_test(any_byte_broken),
		cmocka_unit_test(any_byte_of_musl_broken),
		cmocka_unit_test(any_byte_of_old_musl_broken),
		cmocka_unit_test(why),
		cmocka_unit_test(who),
		cmocka_unit_test(retained),
		cmocka_unit_test(groups),
		cmocka_unit_test(contents),
		cmocka_unit_test(heads_of_lists),
		cmocka_unit_test(no_lists),
		cmocka_unit_test(printable_pointer),
		cmocka_unit_test(pins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
