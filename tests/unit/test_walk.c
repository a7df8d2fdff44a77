/*
 * The walker over synthetic rows and a synthetic stack: one table of rows by pc,
 * a stack of 64 words at 0x1000.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/types.h"
#include "region/walk.h"
#include "unwind/full.h"

#define STACK 0x1000ull
#define NONE                                                                                   \
	{                                                                                      \
		.cfa = ROW_CFA_NONE                                                            \
	}
#define CALL                                                                                   \
	{                                                                                      \
		.cfa = ROW_CFA_SP, .cfa_offset = 16, .ra = ROW_AT_CFA, .ra_offset = -8         \
	}

/* Code in [begin, end) is unwound by row and belongs to a module instance. */
struct range {
	uint64_t begin, end;
	uint32_t instance;
	struct row row;
};

struct world {
	const struct range *ranges;
	size_t count;
	uint64_t stack[64];
	struct walk_ops ops;
	frame_t frames[64];
	size_t found;
	enum walk_end end;
};

static const struct row *find_row(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame)
{
	static const struct row none = NONE;
	struct world *w = arg;

	*frame = frame_of(FRAME_NOWHERE, pc);
	for (size_t i = 0; i < w->count; i++) {
		if (lookup_pc >= w->ranges[i].begin && lookup_pc < w->ranges[i].end) {
			*frame = frame_of(w->ranges[i].instance, pc);
			return &w->ranges[i].row;
		}
	}
	return &none;
}

static int read_word(void *arg, uint64_t addr, uint64_t *ret)
{
	struct world *w = arg;

	if (addr < STACK || addr >= STACK + sizeof(w->stack) || addr % 8)
		return -1;
	*ret = w->stack[(addr - STACK) / 8];
	return 0;
}

static struct world world_of(const struct range *ranges, size_t count)
{
	return (struct world){
		.ranges = ranges,
		.count = count,
		.ops = {.row = find_row,
			.read_word = read_word,
			.word_size = 8,
			.code_mask = ~0ull},
	};
}

static void walk(struct world *w, struct walk_regs regs, bool exact, size_t max)
{
	w->ops.arg = w;
	memset(w->frames, 0xee, sizeof(w->frames));
	w->end = WALK_ENDS;
	w->found = walk_stack(&w->ops, &regs, exact, w->frames, max, &w->end);
}

static const struct range calls[] = {
	{0x100, 0x200, 1, CALL},
	{0x200,
	 0x300,
	 2,
	 {.cfa = ROW_CFA_FP,
	  .cfa_offset = 16,
	  .ra = ROW_AT_CFA,
	  .ra_offset = -8,
	  .fp = ROW_AT_CFA,
	  .fp_offset = -16}},
	{0x300, 0x400, 3, {.cfa = ROW_CFA_ROOT}},
};

/* leaf -(sp)-> a function with frame pointer -> the outermost one */
static void sp_and_fp_rows_lead_to_the_root(void **state)
{
	struct world w = world_of(calls, ARRAY_SIZE(calls));

	(void)state;
	w.stack[1] =
		0x200 + 0x100; /* a return address one past its function: looked up at - 1 */
	w.stack[4] = 0xf00;
	w.stack[5] = 0x310;
	walk(&w, (struct walk_regs){.pc = 0x100, .sp = STACK, .fp = STACK + 32}, true, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 3);
	assert_int_equal(w.frames[0], frame_of(1, 0x100) | FRAME_EXACT);
	assert_int_equal(w.frames[1], frame_of(2, 0x300));
	assert_int_equal(w.frames[2], frame_of(3, 0x310));
	assert_int_equal(w.frames[3], 0xeeeeeeeeeeeeeeee);
}

static void a_return_address_of_zero_is_the_root(void **state)
{
	struct world w = world_of(calls, ARRAY_SIZE(calls));

	(void)state;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 1);
	assert_int_equal(w.frames[0], frame_of(1, 0x150));
}

static void the_limit_of_frames_ends_it(void **state)
{
	struct world w = world_of(calls, ARRAY_SIZE(calls));

	(void)state;
	for (size_t i = 1; i < 64; i += 2)
		w.stack[i] = 0x110;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 5);
	assert_int_equal(w.end, WALK_DEPTH);
	assert_int_equal(w.found, 5);
	/* The limit is no reason when the last frame kept is the outermost. */
	w.stack[1] = 0x310;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 2);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 2);
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 0);
	assert_int_equal(w.found, 0);
}

static void the_end_of_memory_ends_it(void **state)
{
	struct world w = world_of(calls, ARRAY_SIZE(calls));

	(void)state;
	for (size_t i = 1; i < 64; i += 2)
		w.stack[i] = 0x110;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_UNREADABLE);
	assert_int_equal(w.found, 33);
}

static void a_stack_that_does_not_advance_ends_it(void **state)
{
	static const struct range stuck[] = {
		{0x100, 0x200, 1, {.cfa = ROW_CFA_SP, .ra = ROW_AT_SP}},
		{0x200,
		 0x300,
		 1,
		 {.cfa = ROW_CFA_FP,
		  .cfa_offset = 16,
		  .ra = ROW_AT_CFA,
		  .ra_offset = -8,
		  .flags = ROW_GUESS}},
	};
	struct world w = world_of(stuck, ARRAY_SIZE(stuck));

	(void)state;
	w.stack[0] = w.stack[1] = 0x210;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_LOOP);
	assert_int_equal(w.found, 1);
	walk(&w, (struct walk_regs){.pc = 0x210, .sp = STACK + 32, .fp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_LOOP);
	assert_int_equal(w.found, 1);
}

/* As __morestack does it: the other stack's place is kept in fp. */
static void unwind_data_may_lead_down_to_another_stack(void **state)
{
	struct world w = world_of(calls, ARRAY_SIZE(calls));

	(void)state;
	w.stack[33] = 0x210; /* the upper piece: a call from the function that switches */
	w.stack[1] = 0x310;  /* the lower one */
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK + 256, .fp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 3);
	assert_int_equal(w.frames[2], frame_of(3, 0x310));
	w.stack[1] = 0x910; /* nobody calls from there */
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK + 256, .fp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_LOOP);
	assert_int_equal(w.found, 2);
}

/* Two pieces that lead to each other. */
static void a_state_that_comes_again_ends_it(void **state)
{
	struct world w = world_of(calls, ARRAY_SIZE(calls));

	(void)state;
	w.stack[0] = STACK + 128;
	w.stack[1] = 0x210;
	w.stack[16] = STACK;
	w.stack[17] = 0x210;
	walk(&w, (struct walk_regs){.pc = 0x210, .sp = STACK + 64, .fp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_LOOP);
	assert_true(w.found < 16);
}

static void what_is_no_code_is_no_frame(void **state)
{
	static const struct range words[] = {
		{0x100, 0x200, 1, CALL},
		{0x800, 0x900, FRAME_NOWHERE, {.cfa = ROW_CFA_NO_CODE}},
		{0x900, 0xa00, 1, NONE},
	};
	struct world w = world_of(words, ARRAY_SIZE(words));

	(void)state;
	w.stack[1] = 0x180;
	w.stack[3] = 0x850;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_NO_CODE);
	assert_int_equal(w.found, 2);
	walk(&w, (struct walk_regs){.pc = 0x850, .sp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_NO_CODE);
	assert_int_equal(w.found, 0);
	/* by frame pointer it is not followed either */
	w.stack[4] = STACK + 64;
	w.stack[5] = 0x850;
	walk(&w, (struct walk_regs){.pc = 0x950, .sp = STACK, .fp = STACK + 32}, false, 64);
	assert_int_equal(w.end, WALK_NO_DATA);
	assert_int_equal(w.found, 1);
}

/* Whoever says where the return address is: call frame information and exidx (rows by sp, by fp, of a signal's frame, of
 * lazy binding), a scan of the code or a server (guessed), the link register of a leaf. */
static void whoever_led_there(void **state)
{
	static const struct row rows[] = {
		CALL,
		{.cfa = ROW_CFA_FP, .cfa_offset = 16, .ra = ROW_AT_CFA, .ra_offset = -8},
		{.cfa = ROW_CFA_SP, .cfa_offset = 16, .ra = ROW_AT_CFA, .ra_offset = -8, .flags = ROW_GUESS},
		{.cfa = ROW_CFA_SP, .cfa_offset = 16, .ra = ROW_AT_SP, .ra_offset = 8, .flags = ROW_SIGNAL},
		{.cfa = ROW_CFA_SP_DEREF, .cfa_offset = 0, .ra = ROW_AT_SP, .ra_offset = 8},
		{.cfa = ROW_CFA_FP_DEREF, .cfa_offset = 0, .ra = ROW_AT_FP, .ra_offset = 8},
		{.cfa = ROW_CFA_PLT, .cfa_offset = 8, .ra = ROW_AT_CFA, .ra_offset = 0},
		{.cfa = ROW_CFA_SP, .cfa_offset = 16, .ra = ROW_SAME},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct range words[] = {
			{0x100, 0x200, 1, rows[i]},
			{0x800, 0x900, FRAME_NOWHERE, {.cfa = ROW_CFA_NO_CODE}},
		};
		struct world w = world_of(words, ARRAY_SIZE(words));
		struct walk_regs regs = {.pc = 0x150, .sp = STACK, .fp = STACK};

		w.stack[0] = STACK + 64; /* another stack's, or the CFA */
		w.stack[1] = 0x850;
		regs.lr = rows[i].ra == ROW_SAME ? 0x850 : 0;
		walk(&w, regs, false, 64);
		assert_int_equal(w.end, WALK_NO_CODE);
		assert_int_equal(w.found, 1);
		assert_int_equal(w.frames[0], frame_of(1, 0x150));
	}
}

/* The frame records of each CPU, and the words of a 32-bit one. */
static void whatever_record_led_there(void **state)
{
	static const struct range words[] = {
		{0x800, 0x900, FRAME_NOWHERE, {.cfa = ROW_CFA_NO_CODE}},
		{0x900, 0xa00, 1, NONE},
		{0xa00, 0xb00, FRAME_NOWHERE, NONE},
	};
	static const uint64_t from[] = {0x950, 0xa50};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct world w = world_of(words, ARRAY_SIZE(words));
		unsigned at = i / 2 == 2 ? 2 : 4; /* (record_behind: two words lower) */

		w.ops.record_below = i / 2 == 1;
		w.ops.record_behind = i / 2 == 2;
		w.stack[at] = STACK + 64;
		w.stack[at + 1] = 0x850;
		walk(&w, (struct walk_regs){.pc = from[i % 2], .sp = STACK, .fp = STACK + 32}, false, 64);
		assert_int_equal(w.end, i % 2 ? WALK_NO_MODULE : WALK_NO_DATA);
		assert_int_equal(w.found, 1);
		w.stack[at + 1] = 0x980; /* (else it would be led there) */
		walk(&w, (struct walk_regs){.pc = from[i % 2], .sp = STACK, .fp = STACK + 32}, false, 64);
		assert_int_equal(w.found, 2);
	}
}

static const struct range signals[] = {
	{0x100, 0x200, 1, CALL},
	/* the restorer: CFA = *(sp + 160), ra at sp + 168, fp at sp + 120 */
	{0x200,
	 0x300,
	 2,
	 {.cfa = ROW_CFA_SP_DEREF,
	  .cfa_offset = 160,
	  .ra = ROW_AT_SP,
	  .ra_offset = 168,
	  .fp = ROW_AT_SP,
	  .fp_offset = 120,
	  .flags = ROW_SIGNAL}},
	{0x300,
	 0x400,
	 3,
	 {.cfa = ROW_CFA_FP, .cfa_offset = 16, .ra = ROW_AT_CFA, .ra_offset = -8}},
	{0x400, 0x500, 4, {.cfa = ROW_CFA_ROOT}},
};

/* A handler on an alternate stack above the interrupted one: sp goes down. */
static void a_signal_frame_may_switch_stacks(void **state)
{
	struct world w = world_of(signals, ARRAY_SIZE(signals));
	uint64_t sp = STACK + 0x100;

	(void)state;
	w.stack[0x20 + 1] = 0x220; /* the handler returns to the restorer, whose sp is + 0x10 */
	w.stack[0x20 + 2 + 20] = STACK;	    /* interrupted sp */
	w.stack[0x20 + 2 + 21] = 0x300;	    /* interrupted pc: the first byte of its function */
	w.stack[0x20 + 2 + 15] = STACK + 8; /* interrupted fp */
	w.stack[2] = 0x410;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = sp}, false, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 4);
	assert_int_equal(w.frames[1], frame_of(2, 0x220));
	assert_int_equal(w.frames[2], frame_of(3, 0x300) | FRAME_EXACT);
	assert_int_equal(w.frames[3], frame_of(4, 0x410));
}

static void realigned_frames_are_followed(void **state)
{
	static const struct range realigned[] = {
		{0x100,
		 0x200,
		 1,
		 {.cfa = ROW_CFA_FP_DEREF,
		  .cfa_offset = -8,
		  .ra = ROW_AT_CFA,
		  .ra_offset = -8,
		  .fp = ROW_AT_FP}},
		{0x200,
		 0x300,
		 1,
		 {.cfa = ROW_CFA_FP, .cfa_offset = 16, .ra = ROW_AT_CFA, .ra_offset = -8}},
	};
	struct world w = world_of(realigned, ARRAY_SIZE(realigned));

	(void)state;
	w.stack[3] = STACK + 80; /* fp - 8: the CFA */
	w.stack[4] = STACK + 88; /* fp: the caller's fp */
	w.stack[9] = 0x250;	 /* CFA - 8 */
	w.stack[12] = 0;	 /* caller's return address */
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK, .fp = STACK + 32}, false, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 2);
	assert_int_equal(w.frames[1], frame_of(1, 0x250));
}

static void the_plt_pushes_at_its_eleventh_or_ninth_byte(void **state)
{
	static const struct range plt[] = {
		{0x100,
		 0x200,
		 1,
		 {.cfa = ROW_CFA_PLT, .cfa_offset = 8, .ra = ROW_AT_CFA, .ra_offset = -8}},
		{0x200,
		 0x300,
		 1,
		 {.cfa = ROW_CFA_PLT9, .cfa_offset = 8, .ra = ROW_AT_CFA, .ra_offset = -8}},
		{0x300, 0x400, 1, {.cfa = ROW_CFA_ROOT}},
		{0x400, 0x500, 2, {.cfa = ROW_CFA_ROOT}},
	};
	static const struct {
		uint64_t pc, caller;
	} cases[] = {{0x130, 0x310}, {0x13a, 0x310}, {0x13b, 0x410}, {0x13f, 0x410},
		     {0x230, 0x310}, {0x238, 0x310}, {0x239, 0x410}, {0x23b, 0x410}};
	struct world w = world_of(plt, ARRAY_SIZE(plt));

	(void)state;
	w.stack[0] = 0x310;
	w.stack[1] = 0x410;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		walk(&w, (struct walk_regs){.pc = cases[i].pc, .sp = STACK}, true, 64);
		assert_int_equal(w.found, 2);
		assert_int_equal(frame_offset(w.frames[1]), cases[i].caller);
	}
}

static const struct range bare[] = {
	{0x100, 0x200, 1, CALL},
	{0x200, 0x300, 2, NONE},
	{0x300, 0x400, 3, {.cfa = ROW_CFA_ROOT}},
};

static void the_frame_pointer_is_followed_and_marked(void **state)
{
	struct world w = world_of(bare, ARRAY_SIZE(bare));

	(void)state;
	w.stack[1] = 0x250;
	w.stack[4] = STACK + 80; /* [fp] */
	w.stack[5] = 0x260;	 /* [fp + 8] */
	w.stack[10] = 0;
	w.stack[11] = 0x310;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK, .fp = STACK + 32}, false, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 4);
	assert_int_equal(w.frames[1], frame_of(2, 0x250)); /* found by its callee's row */
	assert_int_equal(w.frames[2], frame_of(2, 0x260) | FRAME_GUESS);
	assert_int_equal(w.frames[3], frame_of(3, 0x310) | FRAME_GUESS);
}

/* Where the kernel set sp, there is no caller, whatever the frame pointer may look like. */
/* AArch64: a function without data has room above its pair.  Its caller's row counts from
 * sp, which is where that one's own pair is. */
static void a_pair_at_the_lower_end_of_its_frame(void **state)
{
	static const struct range mixed[] = {
		{0x100, 0x200, 1, NONE},
		{0x200, 0x300, 2, CALL},
		{0x300, 0x400, 3, {.cfa = ROW_CFA_ROOT}},
	};
	struct world w = world_of(mixed, ARRAY_SIZE(mixed));
	const struct walk_regs regs = {.pc = 0x150, .sp = STACK, .fp = STACK + 16};

	(void)state;
	w.ops.record_below = true;
	w.stack[2] = STACK + 80;
	w.stack[3] = 0x250;
	w.stack[5] = 0x9999; /* what lies where the pair ends */
	w.stack[11] = 0x310;
	walk(&w, regs, false, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 3);
	assert_int_equal(w.frames[1], frame_of(2, 0x250) | FRAME_GUESS);
	assert_int_equal(w.frames[2], frame_of(3, 0x310));
	w.ops.record_below = false;
	walk(&w, regs, false, 64);
	assert_int_equal(w.frames[2], frame_of(FRAME_NOWHERE, 0x9999));
}

static void the_frame_at_the_first_sp_is_the_root(void **state)
{
	struct world w = world_of(bare, ARRAY_SIZE(bare));
	static const uint64_t first[] = {STACK + 16, STACK + 16 + 63, STACK + 16 + 64,
					 STACK + 15};

	(void)state;
	w.stack[4] = STACK + 80;
	w.stack[5] = 0x260;
	for (size_t i = 0; i < ARRAY_SIZE(first); i++) {
		w.ops.first_sp = first[i];
		walk(&w, (struct walk_regs){.pc = 0x250, .sp = STACK + 16, .fp = STACK + 32},
		     false, 1);
		assert_int_equal(w.end, i < 2 ? WALK_ROOT : WALK_DEPTH);
		assert_int_equal(w.found, 1);
	}
}

static void an_implausible_frame_pointer_is_not_followed(void **state)
{
	struct world w = world_of(bare, ARRAY_SIZE(bare));
	static const uint64_t bad[] = {0, STACK + 16 - 8, STACK + 36,
				       STACK + 16 + (1 << 20) + 8, STACK + 512};

	(void)state;
	w.stack[5] = 0x260;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		walk(&w, (struct walk_regs){.pc = 0x250, .sp = STACK + 16, .fp = bad[i]}, false,
		     64);
		assert_int_equal(w.end, WALK_NO_DATA);
		assert_int_equal(w.found, 1);
	}
	/* A good one that finds what is no code. */
	w.stack[5] = 0x9999;
	walk(&w, (struct walk_regs){.pc = 0x250, .sp = STACK + 16, .fp = STACK + 32}, false,
	     64);
	assert_int_equal(w.end, WALK_NO_DATA);
	assert_int_equal(w.found, 1);
}

/* Generated code with frame pointers: its frames are in no module. */
static void code_in_no_module_ends_it_or_is_followed(void **state)
{
	struct world w = world_of(bare, ARRAY_SIZE(bare));

	(void)state;
	walk(&w, (struct walk_regs){.pc = 0x5000, .sp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_NO_MODULE);
	assert_int_equal(w.found, 1);
	assert_int_equal(w.frames[0], frame_of(FRAME_NOWHERE, 0x5000));
	w.stack[4] = STACK + 80;
	w.stack[5] = 0x5100;
	w.stack[11] = 0x310;
	walk(&w, (struct walk_regs){.pc = 0x5000, .sp = STACK, .fp = STACK + 32}, false, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 3);
	assert_int_equal(w.frames[1], frame_of(FRAME_NOWHERE, 0x5100) | FRAME_GUESS);
}

/* A way between a module and generated code that has no row: if the caller's frame pointer is one. */
static void a_module_leads_to_generated_code(void **state)
{
	struct world w = world_of(bare, ARRAY_SIZE(bare));
	const struct walk_regs start = {.pc = 0x250, .sp = STACK + 16, .fp = STACK + 32};

	(void)state;
	w.stack[4] = STACK + 80;
	w.stack[5] = 0x5100;
	w.stack[11] = 0x310;
	walk(&w, start, false, 64);
	assert_int_equal(w.end, WALK_ROOT);
	assert_int_equal(w.found, 3);
	assert_int_equal(w.frames[1], frame_of(FRAME_NOWHERE, 0x5100) | FRAME_GUESS);
	assert_int_equal(w.frames[2], frame_of(3, 0x310) | FRAME_GUESS);
	for (unsigned i = 0; i < 3; i++) {
		const uint64_t bad[] = {STACK + 32, STACK + 84, STACK + (2 << 20)};

		w.stack[4] = bad[i];
		walk(&w, start, false, 64);
		assert_int_equal(w.end, WALK_NO_DATA);
		assert_int_equal(w.found, 1);
	}
}

static void rows_of_a_prologue_scan_mark_the_caller(void **state)
{
	static const struct range scanned[] = {
		{0x100,
		 0x200,
		 1,
		 {.cfa = ROW_CFA_SP,
		  .cfa_offset = 16,
		  .ra = ROW_AT_CFA,
		  .ra_offset = -8,
		  .flags = ROW_GUESS}},
		{0x300, 0x400, 3, {.cfa = ROW_CFA_ROOT}},
	};
	struct world w = world_of(scanned, ARRAY_SIZE(scanned));

	(void)state;
	w.stack[1] = 0x310;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 64);
	assert_int_equal(w.frames[0], frame_of(1, 0x150));
	assert_int_equal(w.frames[1], frame_of(3, 0x310) | FRAME_GUESS);
}

static void a_row_that_needs_all_registers_says_so(void **state)
{
	static const struct range full[] = {
		{0x100, 0x200, 1, CALL},
		{0x200, 0x300, 1, {.cfa = ROW_CFA_FULL}},
	};
	struct world w = world_of(full, ARRAY_SIZE(full));

	(void)state;
	w.stack[1] = 0x250;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK}, false, 64);
	assert_int_equal(w.end, WALK_FULL);
}

/* A CPU with a link register: the leaf's caller is in lr, and sp need not move. */
static void the_link_register_serves_the_leaf_alone(void **state)
{
	static const struct range leaf[] = {
		{0x100, 0x200, 1, {.cfa = ROW_CFA_SP}},
		{0x200, 0x300, 2, {.cfa = ROW_CFA_SP, .cfa_offset = 16}},
	};
	struct world w = world_of(leaf, ARRAY_SIZE(leaf));

	(void)state;
	w.ops.code_mask = ~1ull;
	walk(&w, (struct walk_regs){.pc = 0x150, .sp = STACK, .lr = 0x211}, true, 64);
	assert_int_equal(w.end, WALK_NO_DATA); /* the second frame's row points to lr again */
	assert_int_equal(w.found, 2);
	assert_int_equal(w.frames[1], frame_of(2, 0x210));
}

/* AArch64: code at 0x100 saves lr below its CFA, code at 0x200 does not speak of it. */
static const uint8_t saves_lr[] = {
	/* CIE at 0: data alignment -8, ra in x30 */
	12, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 4, 0, 8, 0, 1, 0x78, 30, 0,
	/* 0x100: CFA = sp + 16, x30 at CFA - 8 */
	25, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x0c, 31, 16,
	0x9e, 1,
	/* 0x200: CFA = sp + 16 */
	23, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x0c, 31, 16};

struct registers {
	struct cfi *cfi;
	struct memory_buffer memory;
	uint64_t stack[64];
};

static int step_by_cfi(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame,
		       struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct registers *r = arg;

	*frame = frame_of(1, pc);
	return cfi_step(r->cfi, lookup_pc, &r->memory.memory, regs, cfa, flags);
}

/* A caller's lr is what it was when it called: that call's return address, not its own.  With
 * all registers no more is made of it than by rows. */
static void a_callers_link_register_is_not_known(void **state)
{
	struct registers r = {.stack = {[1] = 0x240, [3] = 0x140}};
	const struct full_ops ops = {step_by_cfi, &r, NULL};
	struct full_regs regs = {.known = 1ull << 31 | 1ull << 32};
	frame_t frames[64];
	enum walk_end end;

	(void)state;
	assert_int_equal(cfi_open_copy(saves_lr, sizeof(saves_lr), &arch_aarch64, &r.cfi, NULL),
			 0);
	memory_buffer_init(&r.memory, STACK, r.stack, sizeof(r.stack));
	regs.value[31] = STACK;
	regs.value[32] = 0x140;
	assert_int_equal(full_walk(&ops, &arch_aarch64, &regs, false, frames, 64, &end), 2);
	assert_int_equal(end, WALK_NO_DATA);
	assert_int_equal(frames[1], frame_of(1, 0x240));
	cfi_close(r.cfi);
}

/* The CFA of every frame is 64 bytes below its sp; a call of 0x310 lies there, or a word. */
static int step_lower(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame,
		      struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	(void)lookup_pc;
	*frame = frame_of(2, pc);
	if (pc == 0x310)
		return -ENODATA;
	*flags = 0;
	*cfa = regs->value[arch_x86_64.reg_sp] - 64;
	regs->value[arch_x86_64.reg_sp] = *cfa;
	regs->value[arch_x86_64.reg_pc] = *(uint64_t *)arg;
	return 0;
}

/* With all registers by the same rule: down to where a call lies, and nowhere else. */
static void all_registers_may_lead_down_too(void **state)
{
	struct world w = world_of(calls, ARRAY_SIZE(calls));
	uint64_t return_address = 0x310;
	const struct full_ops ops = {step_lower, &return_address, &w.ops};
	struct full_regs regs = {.known = 1ull << arch_x86_64.reg_pc |
					  1ull << arch_x86_64.reg_sp};
	enum walk_end end;

	(void)state;
	w.ops.arg = &w;
	for (int i = 0; i < 2; i++) {
		regs.value[arch_x86_64.reg_pc] = 0x250;
		regs.value[arch_x86_64.reg_sp] = STACK + 256;
		assert_int_equal(
			full_walk(&ops, &arch_x86_64, &regs, false, w.frames, 64, &end), 2 - i);
		assert_int_equal(end, i ? WALK_LOOP : WALK_ROOT);
		return_address = 0x910;
	}
}

/* Every frame is 64 bytes, and its caller's pc the word 0x850, of which nothing is known. */
static int step_to_word(void *arg, uint64_t pc, uint64_t lookup_pc, frame_t *frame,
			struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	const struct arch *arch = arg;

	(void)lookup_pc;
	*frame = frame_of(1, pc);
	if (pc == 0x850)
		return -ENOENT;
	*flags = 0;
	*cfa = regs->value[arch->reg_sp] + 64;
	regs->value[arch->reg_sp] = *cfa;
	regs->value[arch->reg_pc] = 0x850;
	return 0;
}

/* On each CPU, also where registers are all that a stack begins with. */
static void all_registers_lead_to_code_alone(void **state)
{
	static const struct arch *const archs[] = {&arch_x86_64, &arch_aarch64, &arch_arm,
						    &arch_riscv64, &arch_mipsel};
	static const struct range words[] = {
		{0x100, 0x200, 1, CALL},
		{0x800, 0x900, FRAME_NOWHERE, {.cfa = ROW_CFA_NO_CODE}},
	};
	struct world w = world_of(words, ARRAY_SIZE(words));
	enum walk_end end;

	(void)state;
	w.ops.arg = &w;
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++) {
		const struct full_ops ops = {step_to_word, (void *)archs[i], &w.ops};

		for (unsigned before = 0; before < 2; before++) {
			struct full_regs regs = {.known = 1ull << archs[i]->reg_pc |
							  1ull << archs[i]->reg_sp};

			regs.value[archs[i]->reg_pc] = before ? 0x150 : 0x850;
			regs.value[archs[i]->reg_sp] = STACK;
			assert_int_equal(full_walk(&ops, archs[i], &regs, true, w.frames, 64,
						   &end),
					 before);
			assert_int_equal(end, WALK_NO_CODE);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sp_and_fp_rows_lead_to_the_root),
		cmocka_unit_test(a_return_address_of_zero_is_the_root),
		cmocka_unit_test(the_limit_of_frames_ends_it),
		cmocka_unit_test(the_end_of_memory_ends_it),
		cmocka_unit_test(a_stack_that_does_not_advance_ends_it),
		cmocka_unit_test(unwind_data_may_lead_down_to_another_stack),
		cmocka_unit_test(a_state_that_comes_again_ends_it),
		cmocka_unit_test(what_is_no_code_is_no_frame),
		cmocka_unit_test(whoever_led_there),
		cmocka_unit_test(whatever_record_led_there),
		cmocka_unit_test(a_signal_frame_may_switch_stacks),
		cmocka_unit_test(realigned_frames_are_followed),
		cmocka_unit_test(the_plt_pushes_at_its_eleventh_or_ninth_byte),
		cmocka_unit_test(the_frame_pointer_is_followed_and_marked),
		cmocka_unit_test(a_pair_at_the_lower_end_of_its_frame),
		cmocka_unit_test(the_frame_at_the_first_sp_is_the_root),
		cmocka_unit_test(an_implausible_frame_pointer_is_not_followed),
		cmocka_unit_test(code_in_no_module_ends_it_or_is_followed),
		cmocka_unit_test(a_module_leads_to_generated_code),
		cmocka_unit_test(rows_of_a_prologue_scan_mark_the_caller),
		cmocka_unit_test(a_row_that_needs_all_registers_says_so),
		cmocka_unit_test(the_link_register_serves_the_leaf_alone),
		cmocka_unit_test(a_callers_link_register_is_not_known),
		cmocka_unit_test(all_registers_lead_to_code_alone),
		cmocka_unit_test(all_registers_may_lead_down_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
