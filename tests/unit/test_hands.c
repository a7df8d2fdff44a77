/*
 * Blocks in the hands of a call of the allocator: lost only perhaps, until a second look finds them lost,
 * too.  Of every allocator and release, in processes that are made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/types.h"
#include "heap/findings.h"
#include "heap_case.h"

static struct leak *scan(struct heap_case *c)
{
	struct leak *leak = NULL;
	struct err err = {0};

	if (leak_create(&c->in, &leak, &err))
		fail_msg("%s", err.text);
	return leak;
}

/* How many are doubted; that `block` is, or is not. */
static unsigned doubted(struct heap_case *c, taddr_t block, bool expected)
{
	struct leak *leak = scan(c);
	unsigned count = 0;
	bool seen = false;

	for (uint32_t i = 0; i < leak_count(leak); i++) {
		struct leak_block b;

		leak_block(leak, i, &b);
		count += b.doubted;
		if (b.addr != block)
			continue;
		seen = true;
		assert_int_equal(b.doubted, expected);
	}
	leak_destroy(leak);
	assert_true(seen);
	return count;
}

/* A page of jemalloc's that is about to be given back to the kernel. */
static void je_purged(struct je_heap *h, unsigned page)
{
	const struct je_version *v = h->v;
	uint64_t none = v->word == 8 ? 232 : 107;
	taddr_t at = je_extent(h, page, 1, 0, 8, false, 0, 0), entry = h->leaf + (taddr_t)page * v->entry;
	uint64_t bits = case_word(&h->c, at) | none << v->class;

	memcpy(case_at(&h->c, at), &bits, 8);
	if (v->word == 8)
		case_put(&h->c, entry, none << 48 | at);
	else
		case_put32(&h->c, entry + 4, v->entry == 8 ? (uint32_t)none << 5 : (uint32_t)none);
}

static void a_chunk_of(const struct glibc_version *v)
{
	struct glibc_heap h;
	taddr_t blocks[5];

	glibc_heap_init(&h, v);
	for (unsigned i = 0; i < 5; i++)
		blocks[i] = glibc_heap_add(&h, 8 * v->word);
	case_put(&h.c, heap_global(&h, 0), blocks[0]);
	assert_int_equal(doubted(&h.c, blocks[1], false), 0);
	h.c.regs[2] = blocks[1] - 2 * v->word;
	assert_int_equal(doubted(&h.c, blocks[1], true), 1);
	/* what is held is not in doubt, nor what a word deep in the stack would be of */
	h.c.regs[2] = 0;
	case_put(&h.c, h.c.thread.sp + 64, blocks[0] - 2 * v->word);
	case_put(&h.c, h.c.thread.sp + 72, blocks[2] - 2 * v->word);
	case_put(&h.c, h.c.thread.sp + 2048 + 64, blocks[4] - 2 * v->word);
	assert_int_equal(doubted(&h.c, blocks[2], true), 1);
	case_deinit(&h.c);
}

static void a_chunk(void **state)
{
	(void)state;
	for (unsigned i = 0; i < GLIBC_VERSIONS; i++)
		a_chunk_of(&glibc_versions[i]);
}

static void a_chunk_of_old_musl(void **state)
{
	(void)state;
	for (unsigned word = 4; word <= 8; word += 4) {
		struct old_heap h;

		old_heap_init(&h, word);
		assert_int_equal(doubted(&h.c, h.blocks[1], false), 0);
		h.c.regs[0] = h.blocks[1] - 2 * word;
		assert_int_equal(doubted(&h.c, h.blocks[1], true), 1);
		case_deinit(&h.c);
	}
}

/* A thread that waits for something else has nothing of the allocator's in its hands. */
static void a_thread_that_waits(void **state)
{
	struct glibc_heap h;
	uint64_t regs[33] = {0};
	taddr_t block;

	(void)state;
	glibc_heap_init(&h, &glibc_versions[4]);
	block = glibc_heap_add(&h, 48);
	h.c.thread.regs = regs;
	h.c.thread.reg_count = 33;
	h.c.thread.in_syscall = true;
	regs[3] = block - 16;
	regs[15] = 0; /* read */
	assert_int_equal(doubted(&h.c, block, false), 0);
	regs[15] = 202; /* futex */
	assert_int_equal(doubted(&h.c, block, true), 1);
	regs[15] = UINT64_MAX;
	h.c.thread.in_syscall = false;
	assert_int_equal(doubted(&h.c, block, true), 1);
	/* AArch64, by the instruction: svc #0 */
	h.c.in.cpu.machine = EM_AARCH64;
	regs[8] = 63; /* read */
	regs[32] = h.c.module.bias + 0x100;
	assert_int_equal(doubted(&h.c, block, true), 1);
	case_put32(&h.c, h.c.module.bias + 0xfc, 0xd4000001);
	assert_int_equal(doubted(&h.c, block, false), 0);
	regs[32] -= 4;
	assert_int_equal(doubted(&h.c, block, false), 0);
	regs[8] = 222; /* mmap */
	assert_int_equal(doubted(&h.c, block, true), 1);
	case_deinit(&h.c);
}

/* All of the group of whose meta a thread has the address. */
static void a_group_of_musl(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct musl_heap h;

		musl_heap_init(&h, kind & 1 ? 4 : 8, kind & 2);
		assert_int_equal(doubted(&h.c, h.blocks[5], false), 0);
		h.c.regs[1] = case_word(&h.c, h.big);
		assert_int_equal(doubted(&h.c, h.blocks[5], true), 1);
		case_deinit(&h.c);
	}
}

/* One group that does not lead back yet is being made, under the lock; two are no heap of musl's. */
static void a_new_group_of_musl(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct musl_heap h;
		struct leak *leak;
		struct err err = {0};
		size_t count;

		musl_heap_init(&h, kind & 1 ? 4 : 8, kind & 2);
		case_put(&h.c, h.big, 0);
		leak = scan(&h.c);
		assert_int_equal(leak_count(leak), MUSL_BLOCKS - 1);
		assert_int_equal(leak_allocators(leak, &count)->in_flight, 1);
		leak_destroy(leak);
		case_put(&h.c, h.group, 0);
		assert_int_equal(leak_create(&h.c.in, &leak, &err), -ENOTSUP);
		assert_non_null(strstr(err.text, "a group does not lead to its meta"));
		case_deinit(&h.c);
	}
}

/* All that is free of a group whose slots are just being made available; by nobody, it is broken. */
static void a_group_of_musl_that_is_activated(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct musl_heap h;
		struct leak *leak;
		struct err err = {0};

		musl_heap_init(&h, kind & 1 ? 4 : 8, kind & 2);
		musl_meta(&h, 0, h.group, 0, 7, 3, 1);
		assert_int_equal(leak_create(&h.c.in, &leak, &err), -ENOTSUP);
		assert_non_null(strstr(err.text, "3 slots are not as they should be"));
		h.c.regs[1] = case_word(&h.c, h.group);
		leak = scan(&h.c);
		assert_int_equal(leak_count(leak), MUSL_BLOCKS);
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

/* A bin of two blocks, one of which is free by now: nobody's any more, and no block. */
static void a_bin_that_is_flushed(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JE_VERSIONS; i++) {
		struct je_heap h;
		struct leak *leak;

		je_heap_init(&h, &je_versions[i]);
		je_set_free(&h, h.base + 0x1000, 8, true);
		leak = scan(&h.c);
		assert_int_equal(leak_count(leak), JE_BLOCKS + 1); /* (it is no bin then) */
		leak_destroy(leak);
		h.c.regs[3] = h.bins + 3 * JE_BIN;
		leak = scan(&h.c);
		assert_int_equal(leak_count(leak), JE_BLOCKS);
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

/* One that is empty, and has the address of a block behind its end. */
static void a_bin_that_is_filled(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JE_VERSIONS; i++) {
		unsigned w = je_versions[i].word;
		struct je_heap h;
		taddr_t end;

		je_heap_init(&h, &je_versions[i]);
		end = h.stacks + 2 * (taddr_t)JE_CACHED * w; /* of bin 1 */
		case_put(&h.c, end - 3 * w, h.blocks[1]);
		assert_int_equal(doubted(&h.c, h.blocks[1], false), 0);
		h.c.regs[3] = h.bins + JE_BIN;
		assert_int_equal(doubted(&h.c, h.blocks[1], true), 1);
		case_deinit(&h.c);
	}
}

static void a_large_block_of_jemalloc(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JE_VERSIONS; i++) {
		struct je_heap h;
		unsigned far = je_versions[i].page_shift == 16 ? 2048 : 128;

		je_heap_init(&h, &je_versions[i]);
		h.c.regs[3] = h.base + 0x1000 + 2 * far;
		assert_int_equal(doubted(&h.c, h.blocks[6], true), 1);
		case_deinit(&h.c);
	}
}

/* Taken from the free ones: in use, but of no size class; as many as there are. */
static void extents_that_are_given_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < JE_VERSIONS; i++) {
		struct je_heap h;
		struct leak *leak;

		je_heap_init(&h, &je_versions[i]);
		for (unsigned k = 0; k < 6; k++)
			je_purged(&h, 22 + k);
		leak = scan(&h.c);
		assert_int_equal(leak_count(leak), JE_BLOCKS);
		leak_destroy(leak);
		case_deinit(&h.c);
	}
}

static struct findings *find(struct leak *leak, const taddr_t *confirmed, size_t count)
{
	const struct findings_options options = {
		.context_count = 1, .confirmed = confirmed, .confirmed_count = count};
	struct findings *findings = NULL;
	struct err err = {0};

	assert_int_equal(findings_create(leak, &options, &findings, &err), 0);
	return findings;
}

/* In doubt after one look; lost after two in which it was. */
static void findings_of_it(void **state)
{
	struct glibc_heap h;
	struct leak *leak;
	struct findings *f;
	taddr_t blocks[2];

	(void)state;
	glibc_heap_init(&h, &glibc_versions[4]);
	blocks[0] = glibc_heap_add(&h, 48);
	blocks[1] = glibc_heap_add(&h, 480);
	h.c.regs[1] = blocks[0] - 16;
	leak = scan(&h.c);
	f = find(leak, NULL, 0);
	assert_int_equal(f->all.perhaps.blocks, 1);
	assert_int_equal(f->all.lost.blocks, 1);
	assert_true(f->all.lost.bytes > f->all.perhaps.bytes);
	assert_int_equal(f->blocks.len, 2);
	assert_true(!f->blocks.at[0].perhaps && f->blocks.at[1].perhaps);
	findings_destroy(f);
	f = find(leak, blocks, 2);
	assert_int_equal(f->all.perhaps.blocks, 0);
	assert_int_equal(f->all.lost.blocks, 2);
	findings_destroy(f);
	leak_destroy(leak);
	case_deinit(&h.c);
}

/* Blocks of #2 are lost through #1's and #3's, which are smaller, each with what it takes along. */
static void leaders_come_first(void **state)
{
	static const uint32_t expected[] = {3, 1, 2};
	struct findings_options options = {.context_count = 4};
	struct leak_live live[5];
	struct glibc_heap h;
	struct findings *f;
	struct leak *leak;
	struct err err = {0};

	(void)state;
	glibc_heap_init(&h, &glibc_versions[4]);
	for (unsigned i = 0; i < ARRAY_SIZE(live); i++) {
		uint64_t size = i == 0 ? 32 : i == 2 ? 48 : 400;

		live[i] = (struct leak_live){glibc_heap_add(&h, size + 16), size, i == 0 ? 1 : i == 2 ? 3 : 2};
	}
	case_put(&h.c, live[0].addr, live[1].addr);
	case_put(&h.c, live[2].addr, live[3].addr);
	case_put(&h.c, live[2].addr + 8, live[4].addr);
	h.c.in.live = live;
	h.c.in.live_count = ARRAY_SIZE(live);
	leak = scan(&h.c);
	assert_int_equal(findings_create(leak, &options, &f, &err), 0);
	assert_int_equal(f->list.len, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(f->list.at[i].context, expected[i]);
		assert_int_equal(f->contexts[expected[i]].finding, i + 1);
	}
	assert_int_equal(f->contexts[2].sums.through.bytes, 1200);
	assert_int_equal(f->list.at[1].along.blocks, 1);
	findings_destroy(f);
	leak_destroy(leak);
	case_deinit(&h.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_chunk),
		cmocka_unit_test(a_chunk_of_old_musl),
		cmocka_unit_test(a_thread_that_waits),
		cmocka_unit_test(a_group_of_musl),
		cmocka_unit_test(a_new_group_of_musl),
		cmocka_unit_test(a_group_of_musl_that_is_activated),
		cmocka_unit_test(a_bin_that_is_flushed),
		cmocka_unit_test(a_bin_that_is_filled),
		cmocka_unit_test(a_large_block_of_jemalloc),
		cmocka_unit_test(extents_that_are_given_back),
		cmocka_unit_test(findings_of_it),
		cmocka_unit_test(leaders_come_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
