/* Steps over all registers: rules and expressions evaluated, what is unknown known
 * to be unknown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "cfi_case.h"

enum { RBX = 3, RBP = 6, RSP = 7, R12 = 12, RIP = 16 };

#define STACK 0x7000ull

struct world {
	struct cfi_case k;
	uint64_t words[64];
	struct memory_buffer stack;
	struct full_regs regs;
	uint64_t cfa;
	uint8_t flags;
};

/* Opens the program; the stack's words are 0x1000, 0x1001, ...; register n is n. */
static void begin(struct world *w, const char *augmentation, const void *program, size_t len)
{
	size_t cie;

	case_begin(&w->k);
	cie = put_cie(&w->k, augmentation, 0x1b);
	put_fde(&w->k, cie, CODE, 0x100, program, len);
	assert_int_equal(case_open(&w->k, ".eh_frame", 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(w->words); i++)
		w->words[i] = 0x1000 + i;
	memory_buffer_init(&w->stack, STACK, w->words, sizeof(w->words));
	w->regs = (struct full_regs){.known = (1 << 17) - 1};
	for (uint64_t i = 0; i < 17; i++)
		w->regs.value[i] = i;
	w->regs.value[RSP] = STACK + 0x40;
	w->regs.value[RBP] = STACK + 0x80;
	w->regs.value[RIP] = CODE;
}

static int step(struct world *w)
{
	return cfi_step(w->k.cfi, CODE, &w->stack.memory, &w->regs, &w->cfa, &w->flags);
}

#define BEGIN(w, ...)                                                                          \
	do {                                                                                   \
		static const uint8_t program_[] = {__VA_ARGS__};                               \
		begin(w, "zR", program_, sizeof(program_));                                    \
	} while (0)

static void every_rule_is_followed(void **state)
{
	struct world w;

	(void)state;
	BEGIN(&w, 0x0e, 16,	    /* CFA = rsp + 16 */
	      0x86, 2,		    /* rbp at CFA - 16 */
	      0x14, 12, 3,	    /* r12 = CFA - 24 */
	      0x09, 13, 3,	    /* r13 in rbx */
	      0x10, 14, 2, 0x77, 8, /* r14 at rsp + 8 */
	      0x16, 15, 2, 0x73, 5, /* r15 = rbx + 5 */
	      0x07, 3 /* rbx undefined */);
	assert_int_equal(step(&w), 0);
	assert_int_equal(w.cfa, STACK + 0x50);
	assert_int_equal(w.regs.value[RSP], STACK + 0x50);
	assert_int_equal(w.regs.value[RIP], 0x1009);
	assert_int_equal(w.regs.value[RBP], 0x1008);
	assert_int_equal(w.regs.value[12], STACK + 0x50 - 24);
	assert_int_equal(w.regs.value[13], RBX);
	assert_int_equal(w.regs.value[14], 0x1009);
	assert_int_equal(w.regs.value[15], RBX + 5);
	/* rbx by its rule, the scratch registers by the ABI */
	assert_int_equal(w.regs.known, 1 << RBP | 1 << RSP | 0xf << R12 | 1 << RIP);
	assert_int_equal(w.flags, 0);
	case_close(&w.k);
}

static void the_outermost_frame_is_told(void **state)
{
	struct world w;

	(void)state;
	BEGIN(&w, 0x07, 16);
	assert_int_equal(step(&w), -ENODATA);
	assert_int_equal(w.regs.value[RIP], CODE); /* untouched */
	case_close(&w.k);
}

static void what_is_unknown_is_an_error_where_it_is_needed(void **state)
{
	struct world w;

	(void)state;
	BEGIN(&w, 0x0c, 10, 0); /* CFA in r10 */
	w.regs.known &= ~(1ull << 10);
	assert_int_equal(step(&w), -EINVAL);
	w.regs.known |= 1 << 10;
	w.regs.value[10] = STACK + 8;
	assert_int_equal(step(&w), 0);
	assert_int_equal(w.regs.value[RIP], 0x1000);
	case_close(&w.k);
	/* Unreadable: fatal for the return address, unknown for rbx. */
	BEGIN(&w, 0x0e, 16);
	w.regs.value[RSP] = STACK + 0x1000;
	assert_int_equal(step(&w), -EFAULT);
	case_close(&w.k);
	BEGIN(&w, 0x0e, 16, 0x83, 0x80, 1);
	assert_int_equal(step(&w), 0);
	assert_false(w.regs.known >> RBX & 1);
	case_close(&w.k);
}

static void a_signal_frame_is_told(void **state)
{
	static const uint8_t nop[] = {0};
	struct world w;

	(void)state;
	begin(&w, "zRS", nop, sizeof(nop));
	assert_int_equal(step(&w), 0);
	assert_int_equal(w.flags, ROW_SIGNAL);
	case_close(&w.k);
}

/* ---- expressions ------------------------------------------------------------------- */

/* The value of an expression: as rbx's rule, after its bytes were put in an FDE.  rbx
 * is 3, rsp STACK + 0x40; the CFA (rsp + 8) is pushed first. */
static int evaluate(const char *bytes, size_t len, uint64_t *ret)
{
	uint8_t program[64] = {0x16, RBX, (uint8_t)len};
	struct world w;

	memcpy(program + 3, bytes, len);
	begin(&w, "zR", program, 3 + len);
	assert_int_equal(step(&w), 0);
	case_close(&w.k);
	*ret = w.regs.value[RBX];
	return w.regs.known >> RBX & 1 ? 0 : -1;
}

#define EXPRESSION(bytes, value)                                                               \
	{                                                                                      \
		bytes, sizeof(bytes) - 1, value                                                \
	}

static void expressions_have_their_values(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		uint64_t value;
	} cases[] = {
		EXPRESSION("\x03\x88\x77\x66\x55\x44\x33\x22\x11",
			   0x1122334455667788), /* addr */
		EXPRESSION("\x08\xff", 255),
		EXPRESSION("\x09\xff", -1ull),
		EXPRESSION("\x0a\xfe\xff", 0xfffe),
		EXPRESSION("\x0b\xfe\xff", -2ull),
		EXPRESSION("\x0c\xfd\xff\xff\xff", 0xfffffffd),
		EXPRESSION("\x0d\xfd\xff\xff\xff", -3ull),
		EXPRESSION("\x0e\1\2\3\4\5\6\7\x80", 0x8007060504030201),
		EXPRESSION("\x10\x80\x01", 128),
		EXPRESSION("\x11\x7f", -1ull),
		EXPRESSION("\x73\x7f", 2),	       /* rbx - 1 */
		EXPRESSION("\x92\x03\x02", 5),	       /* bregx rbx + 2 */
		EXPRESSION("\x77\x00\x06", 0x1008),    /* deref */
		EXPRESSION("\x77\x00\x94\x01", 0x08),  /* deref_size 1 */
		EXPRESSION("\x96", STACK + 0x48),      /* nop: the CFA */
		EXPRESSION("\x33\x12\x1e", 9),	       /* 3 dup * */
		EXPRESSION("\x33\x34\x13", 3),	       /* drop */
		EXPRESSION("\x33\x34\x14\x1c\x1c", 2), /* over: 3 4 3 - - */
		EXPRESSION("\x31\x32\x33\x15\x02", 1), /* pick 2 */
		EXPRESSION("\x33\x35\x16\x1c", 2),     /* swap: 5 - 3 */
		EXPRESSION("\x31\x32\x33\x17", 2),     /* rot: 3 1 2 */
		EXPRESSION("\x31\x32\x33\x17\x13", 1),
		EXPRESSION("\x31\x32\x33\x17\x13\x13", 3),
		EXPRESSION("\x09\xf9\x19", 7),			    /* abs */
		EXPRESSION("\x3c\x3a\x1a", 8),			    /* and */
		EXPRESSION("\x09\xf8\x33\x1b", -2ull),		    /* -8 / 3 */
		EXPRESSION("\x3a\x33\x1d", 1),			    /* 10 mod 3 */
		EXPRESSION("\x33\x1f", -3ull),			    /* neg */
		EXPRESSION("\x33\x20", ~3ull),			    /* not */
		EXPRESSION("\x3c\x33\x21", 15),			    /* or */
		EXPRESSION("\x33\x34\x22", 7),			    /* plus */
		EXPRESSION("\x33\x23\x80\x02", 259),		    /* plus_uconst */
		EXPRESSION("\x33\x34\x24", 48),			    /* shl */
		EXPRESSION("\x31\x08\x40\x24", 0),		    /* shl by 64 */
		EXPRESSION("\x09\xf0\x34\x25", 0x0fffffffffffffff), /* shr */
		EXPRESSION("\x09\xf0\x34\x26", -1ull),		    /* shra */
		EXPRESSION("\x3c\x3a\x27", 6),			    /* xor */
		EXPRESSION("\x33\x33\x29", 1),			    /* eq */
		EXPRESSION("\x09\xff\x30\x2a", 0),		    /* -1 >= 0 */
		EXPRESSION("\x34\x33\x2b", 1),			    /* 4 > 3 */
		EXPRESSION("\x34\x33\x2c", 0),			    /* 4 <= 3 */
		EXPRESSION("\x09\xff\x30\x2d", 1),		    /* -1 < 0 */
		EXPRESSION("\x34\x33\x2e", 1),			    /* ne */
		EXPRESSION("\x35\x2f\x01\x00\x36\x37", 7),	    /* skip over lit6 */
		EXPRESSION("\x35\x31\x28\x01\x00\x36", 5),	    /* bra: taken, over lit6 */
		EXPRESSION("\x35\x30\x28\x01\x00\x36", 6),	    /* not taken */
		/* 5 4 3 2 1: counts down until 0 */
		EXPRESSION("\x35\x31\x1c\x12\x28\xfa\xff", 0),
	};
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(evaluate(cases[i].bytes, cases[i].len, &value), 0);
		assert_int_equal(value, cases[i].value);
	}
}

static void broken_expressions_have_none(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, value;
	} cases[] = {
		EXPRESSION("\x13", 0), /* nothing left on the stack */
		EXPRESSION("\x13\x13", 0),
		EXPRESSION("\x22", 0),	       /* plus of one */
		EXPRESSION("\x33\x30\x1b", 0), /* division by 0 */
		EXPRESSION("\x33\x30\x1d", 0),
		EXPRESSION("\x0e\x80\0\0\0\0\0\0", 0), /* cut */
		EXPRESSION("\x30\x06", 0),	       /* address 0 */
		EXPRESSION("\x77\x00\x94\x09", 0),     /* 9 bytes */
		EXPRESSION("\x77\x00\x94\x00", 0),
		EXPRESSION("\x15\x01", 0),
		EXPRESSION("\x92\x80\x01\x00", 0), /* register 128 */
		EXPRESSION("\x2f\xfd\xff", 0),	   /* an endless loop */
		EXPRESSION("\x12\x2f\xfc\xff", 0), /* a growing one */
		EXPRESSION("\x2f\xf0\xff", 0),	   /* to before its beginning */
		EXPRESSION("\x2f\x01\x00", 0),	   /* to behind its end */
		EXPRESSION("\x9c", 0),		   /* call_frame_cfa: not allowed here */
		EXPRESSION("\xe0", 0),
	};
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(evaluate(cases[i].bytes, cases[i].len, &value), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule_is_followed),
		cmocka_unit_test(the_outermost_frame_is_told),
		cmocka_unit_test(what_is_unknown_is_an_error_where_it_is_needed),
		cmocka_unit_test(a_signal_frame_is_told),
		cmocka_unit_test(expressions_have_their_values),
		cmocka_unit_test(broken_expressions_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
