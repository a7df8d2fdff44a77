/* Call frame information, written by hand, to rows: every form, exact values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "work.h"
#include "cfi_case.h"

/* One FDE over [CODE, CODE + 0x100) with the program given, opened. */
static void open_program(struct cfi_case *k, const char *augmentation, const void *program,
			 size_t len)
{
	size_t cie;

	case_begin(k);
	cie = put_cie(k, augmentation, 0x1b);
	put_fde(k, cie, CODE, 0x100, program, len);
	assert_int_equal(case_open(k, ".eh_frame", 0), 0);
}

#define OPEN(k, ...)                                                                           \
	do {                                                                                   \
		static const uint8_t program_[] = {__VA_ARGS__};                               \
		open_program(k, "zR", program_, sizeof(program_));                             \
	} while (0)

static void assert_row(struct cfi_case *k, uint64_t offset, struct row expected)
{
	struct row row;

	assert_int_equal(cfi_row(k->cfi, CODE + offset, &row), 0);
	assert_int_equal(row.cfa, expected.cfa);
	assert_int_equal(row.cfa_offset, expected.cfa_offset);
	assert_int_equal(row.ra, expected.ra);
	assert_int_equal(row.ra_offset, expected.ra_offset);
	assert_int_equal(row.fp, expected.fp);
	assert_int_equal(row.fp_offset, expected.fp_offset);
	assert_int_equal(row.flags, expected.flags);
}

#define SP_ROW(offset)                                                                         \
	(struct row)                                                                           \
	{                                                                                      \
		.cfa = ROW_CFA_SP, .cfa_offset = (offset), .ra = ROW_AT_CFA, .ra_offset = -8   \
	}

static void assert_fails(struct cfi_case *k, uint64_t offset, int code)
{
	struct row row = {.cfa = 99};

	assert_int_equal(cfi_row(k->cfi, CODE + offset, &row), code);
	assert_int_equal(row.cfa, ROW_CFA_NONE);
}

static void a_prologue_gives_a_row_per_instruction(void **state)
{
	struct cfi_case k;

	(void)state;
	OPEN(&k, 0x41, 0x0e, 16, 0x86, 2, /* +1: CFA = rsp + 16, rbp at CFA - 16 */
	     0x43, 0x0d, 6,		  /* +4: CFA = rbp + 16 */
	     0x02, 0x60, 0x0c, 7, 8, 0xc6 /* +0x64: CFA = rsp + 8, rbp restored */);
	assert_fails(&k, -1, -ENOENT);
	assert_row(&k, 0, SP_ROW(8));
	for (int at = 1; at < 4; at++)
		assert_row(&k, at,
			   (struct row){.cfa = ROW_CFA_SP,
					.cfa_offset = 16,
					.ra = ROW_AT_CFA,
					.ra_offset = -8,
					.fp = ROW_AT_CFA,
					.fp_offset = -16});
	assert_row(&k, 0x63,
		   (struct row){.cfa = ROW_CFA_FP,
				.cfa_offset = 16,
				.ra = ROW_AT_CFA,
				.ra_offset = -8,
				.fp = ROW_AT_CFA,
				.fp_offset = -16});
	assert_row(&k, 0x64, SP_ROW(8));
	assert_row(&k, 0xff, SP_ROW(8));
	assert_fails(&k, 0x100, -ENOENT);
	case_close(&k);
}

static void remembered_states_come_back_whole(void **state)
{
	struct cfi_case k;

	(void)state;
	OPEN(&k, 0x0e, 16, 0x86, 2, 0x0a,	  /* remember {16, rbp} */
	     0x41, 0x0e, 32, 0xc6, 0x0a,	  /* +1: remember {32, -} */
	     0x41, 0x0d, 6, 0x0e, 48, 0x41, 0x0b, /* +2 rbp + 48, +3 */
	     0x41, 0x0b /* +4 */);
	assert_row(&k, 1, SP_ROW(32));
	assert_row(&k, 2,
		   (struct row){.cfa = ROW_CFA_FP,
				.cfa_offset = 48,
				.ra = ROW_AT_CFA,
				.ra_offset = -8});
	assert_row(&k, 3, SP_ROW(32));
	assert_row(&k, 4,
		   (struct row){.cfa = ROW_CFA_SP,
				.cfa_offset = 16,
				.ra = ROW_AT_CFA,
				.ra_offset = -8,
				.fp = ROW_AT_CFA,
				.fp_offset = -16});
	case_close(&k);
}

static void the_rarer_instructions_are_understood(void **state)
{
	struct cfi_case k;

	(void)state;
	OPEN(&k, 0x00, 0x2e, 0x90, 1, 0x0e, 16,	    /* nop, args_size 144 */
	     0x03, 0x10, 0x00, 0x2f, 6, 3,	    /* +0x10: rbp at CFA + 24 */
	     0x04, 0x10, 0x00, 0x00, 0x00, 0x06, 6, /* +0x20: restored */
	     0x50, 0x05, 6, 4,			    /* +0x30: at CFA - 32 */
	     0x50, 0x11, 6, 0x7d,		    /* +0x40: at CFA + 24 (signed, factored) */
	     0x50, 0x07, 6,			    /* +0x50: undefined */
	     0x50, 0x08, 6,			    /* +0x60: same */
	     0x50, 0x12, 7, 0x7c, /* +0x70: CFA = rsp + 32 (signed, factored) */
	     0x50, 0x13, 0x7b,	  /* +0x80: 40 */
	     0x50, 0x14, 7, 0,	  /* +0x90: rsp is CFA + 0, as always */
	     0x50, 0x09, 6, 3,	  /* +0xa0: rbp in rbx */
	     0x50, 0x09, 16, 2 /* +0xb0: ra in rcx */);
	assert_row(&k, 0, SP_ROW(16));
	assert_row(&k, 0x10,
		   (struct row){.cfa = ROW_CFA_SP,
				.cfa_offset = 16,
				.ra = ROW_AT_CFA,
				.ra_offset = -8,
				.fp = ROW_AT_CFA,
				.fp_offset = 24});
	assert_row(&k, 0x20, SP_ROW(16));
	assert_row(&k, 0x30,
		   (struct row){.cfa = ROW_CFA_SP,
				.cfa_offset = 16,
				.ra = ROW_AT_CFA,
				.ra_offset = -8,
				.fp = ROW_AT_CFA,
				.fp_offset = -32});
	assert_row(&k, 0x40,
		   (struct row){.cfa = ROW_CFA_SP,
				.cfa_offset = 16,
				.ra = ROW_AT_CFA,
				.ra_offset = -8,
				.fp = ROW_AT_CFA,
				.fp_offset = 24});
	assert_row(&k, 0x50,
		   (struct row){.cfa = ROW_CFA_SP,
				.cfa_offset = 16,
				.ra = ROW_AT_CFA,
				.ra_offset = -8,
				.fp = ROW_UNDEFINED});
	assert_row(&k, 0x60, SP_ROW(16));
	assert_row(&k, 0x70, SP_ROW(32));
	assert_row(&k, 0x80, SP_ROW(40));
	assert_row(&k, 0x90, SP_ROW(40));
	assert_row(&k, 0xa0, (struct row){.cfa = ROW_CFA_FULL});
	assert_row(&k, 0xb0, (struct row){.cfa = ROW_CFA_FULL});
	case_close(&k);
}

/* glibc's __restore_rt: everything is in the ucontext above rsp. */
static void a_signal_trampoline_is_recognised(void **state)
{
	static const uint8_t program[] = {
		0x0f, 4,  0x77, 0xa0, 1,    0x06, /* CFA = *(rsp + 160) */
		0x10, 7,  3,	0x77, 0xa0, 1,	  /* rsp at rsp + 160 */
		0x10, 6,  3,	0x77, 0xf8, 0,	  /* rbp at rsp + 120 */
		0x10, 16, 3,	0x77, 0xa8, 1,	  /* ra at rsp + 168 */
	};
	struct cfi_case k;

	(void)state;
	open_program(&k, "zRS", program, sizeof(program));
	assert_row(&k, 0,
		   (struct row){.cfa = ROW_CFA_SP_DEREF,
				.cfa_offset = 160,
				.ra = ROW_AT_SP,
				.ra_offset = 168,
				.fp = ROW_AT_SP,
				.fp_offset = 120,
				.flags = ROW_SIGNAL});
	case_close(&k);
	/* If sp comes from elsewhere than the CFA, a row can't say it. */
	OPEN(&k, 0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 7, 3, 0x77, 0xa8, 1);
	assert_row(&k, 0, (struct row){.cfa = ROW_CFA_FULL});
	case_close(&k);
}

static void a_realigned_frame_is_recognised(void **state)
{
	struct cfi_case k;

	(void)state;
	OPEN(&k, 0x0c, 10, 0,		/* CFA in r10 */
	     0x44, 0x10, 6, 2, 0x76, 0, /* +4: rbp at rbp + 0 */
	     0x44, 0x0f, 3, 0x76, 0x78, 0x06 /* +8: CFA = *(rbp - 8) */);
	assert_row(&k, 0, (struct row){.cfa = ROW_CFA_FULL});
	assert_row(&k, 4, (struct row){.cfa = ROW_CFA_FULL});
	assert_row(&k, 8,
		   (struct row){.cfa = ROW_CFA_FP_DEREF,
				.cfa_offset = -8,
				.ra = ROW_AT_CFA,
				.ra_offset = -8,
				.fp = ROW_AT_FP});
	case_close(&k);
}

static void the_plt_is_recognised(void **state)
{
	struct row plt = {
		.cfa = ROW_CFA_PLT, .cfa_offset = 8, .ra = ROW_AT_CFA, .ra_offset = -8};
	struct cfi_case k;

	(void)state;
	OPEN(&k, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24,
	     0x22, /* >= 11 */
	     0x50, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x39, 0x2a, 0x33, 0x24,
	     0x22, /* >= 9 */
	     0x50, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3a, 0x2a, 0x33, 0x24,
	     0x22 /* >= 10 */);
	assert_row(&k, 0, plt);
	plt.cfa = ROW_CFA_PLT9;
	assert_row(&k, 0x10, plt);
	assert_row(&k, 0x20, (struct row){.cfa = ROW_CFA_FULL});
	case_close(&k);
}

static void an_undefined_return_address_is_the_root(void **state)
{
	struct cfi_case k;

	(void)state;
	OPEN(&k, 0x07, 16);
	assert_row(&k, 0, (struct row){.cfa = ROW_CFA_ROOT});
	case_close(&k);
}

static void what_does_not_fit_needs_all_registers(void **state)
{
	struct cfi_case k;

	(void)state;
	OPEN(&k, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x07,   /* CFA = rsp + INT32_MAX: fits */
	     0x50, 0x0e, 0x80, 0x80, 0x80, 0x80, 0x08, /* + 1: does not */
	     0x50, 0x0e, 8, 0x86, 0x80, 0x20,	       /* rbp at CFA - 32768: fits */
	     0x50, 0x86, 0x81, 0x20,		       /* at CFA - 32776: does not */
	     0x50, 0xc6, 0x0f, 4, 0x77, 8, 0x23, 8 /* an expression of no known form */);
	assert_row(&k, 0, SP_ROW(INT32_MAX));
	assert_row(&k, 0x10, (struct row){.cfa = ROW_CFA_FULL});
	assert_row(&k, 0x20,
		   (struct row){.cfa = ROW_CFA_SP,
				.cfa_offset = 8,
				.ra = ROW_AT_CFA,
				.ra_offset = -8,
				.fp = ROW_AT_CFA,
				.fp_offset = INT16_MIN});
	assert_row(&k, 0x30, (struct row){.cfa = ROW_CFA_FULL});
	assert_row(&k, 0x40, (struct row){.cfa = ROW_CFA_FULL});
	case_close(&k);
}

/* The offset from before the expression, as libgcc has it and libgcrypt needs it. */
static void a_register_after_an_expression_keeps_the_offset(void **state)
{
	struct cfi_case k;

	(void)state;
	OPEN(&k, 0x0e, 56, 0x0f, 3, 0x77, 24, 0x06, 0x50, 0x0d, 7);
	assert_row(&k, 0,
		   (struct row){.cfa = ROW_CFA_SP_DEREF,
				.cfa_offset = 24,
				.ra = ROW_AT_CFA,
				.ra_offset = -8});
	assert_row(&k, 0x10, SP_ROW(56));
	case_close(&k);
}

static void a_broken_program_is_an_error_of_its_rows(void **state)
{
	static const struct {
		uint8_t len, bytes[4];
	} broken[] = {
		{1, {0x0b}},		    /* restore_state without remember_state */
		{1, {0x3f}},		    /* no such instruction */
		{2, {0x0e, 0x80}},	    /* a number that doesn't end */
		{3, {0x0f, 100, 0x77}},	    /* an expression longer than the FDE */
		{4, {0x0f, 1, 0x30, 0x0e}}, /* def_cfa_offset of an expression, and cut */
		{1, {0x2d}},		    /* AArch64's */
	};
	struct cfi_case k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		uint8_t program[8] = {0x0e, 16, 0x44};

		memcpy(program + 3, broken[i].bytes, broken[i].len);
		open_program(&k, "zR", program, 3 + broken[i].len);
		assert_row(&k, 3, SP_ROW(16)); /* before it is reached */
		assert_fails(&k, 4, -EINVAL);
		case_close(&k);
	}
}

/* LuaJIT's, in files that it shows to debuggers. */
static void addresses_may_be_relative_to_text(void **state)
{
	static const uint8_t program[] = {0x0e, 0x20};
	struct cfi_case k;
	struct cfi *cfi;
	struct row row;

	(void)state;
	for (int known = 0; known < 2; known++) {
		size_t cie, body;

		case_begin(&k);
		cie = put_cie(&k, "zR", 0x23);
		body = entry_begin(&k);
		put(&k, k.at - cie, 4);
		put(&k, 0x40, 4);
		put(&k, 0x20, 4);
		put_uleb(&k, 0);
		put_bytes(&k, program, sizeof(program));
		entry_end(&k, body);
		assert_int_equal(cfi_open_bytes(k.bytes + FRAMES_AT, k.at - FRAMES_AT, 0, known ? CODE : 0, true,
						&arch_x86_64, &cfi, NULL),
				 0);
		assert_int_equal(cfi_row(cfi, CODE + 0x3f, &row), -ENOENT);
		assert_int_equal(cfi_row(cfi, CODE + 0x40, &row), known ? 0 : -ENOENT);
		assert_int_equal(row.cfa_offset, known ? 32 : 0);
		assert_int_equal(cfi_row(cfi, 0x40, &row), -ENOENT);
		cfi_close(cfi);
	}
}

/* ---- entries --------------------------------------------------------------------- */

static void addresses_are_decoded_in_every_encoding(void **state)
{
	static const struct {
		uint8_t encoding, width; /* width 0: LEB128 */
	} encodings[] = {{0x00, 8}, {0x01, 0}, {0x03, 4}, {0x04, 8}, {0x09, 0},
			 {0x0b, 4}, {0x0c, 8}, {0x10, 8}, {0x13, 4}, {0x1b, 4},
			 {0x1c, 8}, {0x3b, 4}, {0x50, 8}};
	struct cfi_case k;
	struct row row;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		uint8_t encoding = encodings[i].encoding, width = encodings[i].width;
		uint64_t code = CODE, base;
		size_t cie, body, start;

		case_begin(&k);
		cie = put_cie(&k, "zR", encoding);
		body = entry_begin(&k);
		put(&k, k.at - cie, 4);
		while (encoding == 0x50 && k.at % 8)
			put(&k, 0xcc, 1);
		start = k.at;
		base = (encoding & 0x70) == 0x10   ? here(&k)
		       : (encoding & 0x70) == 0x30 ? BASE + HDR_AT
						   : 0;
		if (width)
			put(&k, code - base, width);
		else
			put_uleb(&k, code);
		if (encoding == 0x09) { /* positive, with a byte more for the sign */
			k.at = start;
			put(&k, 0x80 | (code & 0x7f), 1);
			put(&k, 0x80 | (code >> 7 & 0x7f), 1);
			put(&k, code >> 14 & 0x7f, 1);
		}
		if (width)
			put(&k, 0x20, width);
		else
			put_uleb(&k, 0x20);
		put_uleb(&k, 0);
		put_bytes(&k, "\x0e\x20", 2);
		entry_end(&k, body);
		k.bytes[HDR_AT] =
			0xff; /* a header of no known version: gives datarel its base alone */
		assert_int_equal(case_open(&k, ".eh_frame", 16), 0);
		assert_int_equal(cfi_row(k.cfi, code, &row), 0);
		assert_int_equal(row.cfa_offset, 32);
		assert_int_equal(cfi_row(k.cfi, code + 0x1f, &row), 0);
		assert_int_equal(cfi_row(k.cfi, code + 0x20, &row), -ENOENT);
		case_close(&k);
	}
}

/* .debug_frame: versions 1, 3 and 4, in the 32- and 64-bit form. */
static void debug_frame_is_read_in_all_its_forms(void **state)
{
	static const struct {
		uint8_t version;
		bool wide;
	} forms[] = {{1, false}, {3, false}, {4, false}, {3, true}, {4, true}};
	struct cfi_case k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		unsigned width = forms[i].wide ? 8 : 4;
		size_t at[2], end;

		case_begin(&k);
		for (int entry = 0; entry < 2; entry++) {
			put(&k, UINT32_MAX, forms[i].wide ? 4 : 0);
			put(&k, 0, width);
			at[entry] = k.at;
			if (entry == 0) {
				put(&k, UINT64_MAX, width);
				put(&k, forms[i].version, 1);
				put(&k, 0, 1);
				put(&k, 0x0008, forms[i].version == 4 ? 2 : 0);
				put_bytes(&k, "\x01\x78\x10\x0c\x07\x08\x90\x01", 8);
			} else {
				put(&k, 0, width); /* the CIE's offset */
				put(&k, CODE, 8);
				put(&k, 0x100, 8);
				put_bytes(&k, "\x44\x0e\x10", 3);
			}
			end = k.at;
			k.at = at[entry] - width;
			put(&k, end - at[entry], width);
			k.at = end;
		}
		assert_int_equal(case_open(&k, ".debug_frame", 0), 0);
		assert_row(&k, 3, SP_ROW(8));
		assert_row(&k, 4, SP_ROW(16));
		case_close(&k);
	}
}

/* 'P' with an indirect pointer, 'L', 'B' and a letter nobody knows yet; all are passed over. */
static void with_augmentations(uint32_t lsda)
{
	size_t start, body;
	struct cfi_case k;

	case_begin(&k);
	start = k.at;
	body = entry_begin(&k);
	put_bytes(&k, "\0\0\0\0\x01zPLRB?", 12); /* id, version, letters with NUL */
	put_bytes(&k, "\x01\x78\x10", 3);
	put_uleb(&k, 9);
	put_bytes(&k, "\x9b\xaa\xaa\xaa\xaa\x1b\x1b\xbb\xbb", 9);
	put_bytes(&k, "\x0c\x07\x08\x90\x01", 5);
	entry_end(&k, body);
	body = entry_begin(&k);
	put(&k, k.at - start, 4);
	put(&k, CODE - here(&k), 4);
	put(&k, 0x100, 4);
	put_uleb(&k, 4);
	put(&k, lsda, 4);
	put_bytes(&k, "\x0e\x18", 2);
	entry_end(&k, body);
	assert_int_equal(case_open(&k, ".eh_frame", 0), 0);
	assert_row(&k, 0, SP_ROW(24));
	assert_int_equal(cfi_has_handlers(k.cfi, CODE), lsda != 0);
	assert_false(cfi_has_handlers(k.cfi, CODE + 0x100));
	case_close(&k);
}

static void augmentations_are_passed_over(void **state)
{
	(void)state;
	with_augmentations(0xdddddddd);
	with_augmentations(0);
}

/* ---- .eh_frame_hdr --------------------------------------------------------------- */

enum { FUNCTIONS = 5 };

/* Functions at CODE + 0x1000 * i, 0x800 long, CFA = rsp + 16 * (i + 1), written in an
 * order of their own, with a header that tells the truth. */
static size_t put_functions(struct cfi_case *k)
{
	static const size_t order[FUNCTIONS] = {3, 0, 4, 1, 2};
	size_t cie, fde[FUNCTIONS], end;

	case_begin(k);
	cie = put_cie(k, "zR", 0x1b);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		uint8_t program[2] = {0x0e, (uint8_t)(16 * (order[i] + 1))};

		fde[order[i]] = put_fde(k, cie, CODE + 0x1000 * order[i], 0x800, program, 2);
	}
	put(k, 0, 4); /* the terminator */
	end = k->at;
	k->at = HDR_AT;
	put_bytes(k, "\x01\x1b\x03\x3b", 4);
	put(k, FRAMES_AT - k->at, 4);
	put(k, FUNCTIONS, 4);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		put(k, CODE + 0x1000 * i - (BASE + HDR_AT), 4);
		put(k, fde[i] - HDR_AT, 4);
	}
	k->at = end;
	return 12 + 8 * FUNCTIONS;
}

static void assert_begins(struct cfi_case *k)
{
	uint64_t begin = 0;

	assert_false(cfi_begin(k->cfi, CODE - 1, &begin));
	for (size_t i = 0; i < FUNCTIONS; i++)
		for (uint64_t at = 0; at < 0x1000; at += 0x7ff) { /* 0xffe: behind its end */
			assert_true(cfi_begin(k->cfi, CODE + 0x1000 * i + at, &begin));
			assert_int_equal(begin, CODE + 0x1000 * i);
		}
}

static void assert_functions(struct cfi_case *k)
{
	assert_fails(k, -1, -ENOENT);
	for (size_t i = 0; i < FUNCTIONS; i++) {
		assert_row(k, 0x1000 * i, SP_ROW(16 * ((int)i + 1)));
		assert_row(k, 0x1000 * i + 0x7ff, SP_ROW(16 * ((int)i + 1)));
		assert_fails(k, 0x1000 * i + 0x800, -ENOENT);
	}
	assert_begins(k);
}

static void lookup_is_right_with_and_without_a_header(void **state)
{
	struct cfi_case k;
	size_t len;

	(void)state;
	len = put_functions(&k);
	assert_int_equal(case_open(&k, ".eh_frame", len), 0);
	assert_functions(&k);
	case_close(&k);
	put_functions(&k);
	assert_int_equal(case_open(&k, ".eh_frame", 0), 0);
	assert_functions(&k);
	case_close(&k);
	/* Without section headers, the header leads to the frames. */
	len = put_functions(&k);
	assert_int_equal(case_open(&k, NULL, len), 0);
	assert_functions(&k);
	case_close(&k);
}

static void a_header_that_lies_is_not_believed(void **state)
{
	struct cfi_case k;
	size_t len, at = HDR_AT + 12;

	(void)state;
	for (int lie = 0; lie < 5; lie++) {
		len = put_functions(&k);
		switch (lie) {
		case 0: /* an address that isn't the FDE's */
			k.bytes[at + 8 * 2 + 1] += 1;
			break;
		case 1: /* not ascending */
			k.bytes[at + 8 * 3 + 1] = 0;
			break;
		case 2: /* an FDE outside of the section */
			k.bytes[at + 8 * 2 + 6] = 0x7f;
			break;
		case 3: /* more entries than there are */
			k.bytes[HDR_AT + 8] = 200;
			break;
		case 4: /* another table form */
			k.bytes[HDR_AT + 3] = 0x1b;
			break;
		}
		assert_int_equal(case_open(&k, ".eh_frame", len), 0);
		assert_row(&k, 0x2000, SP_ROW(48));
		assert_functions(&k);
		case_close(&k);
	}
}

/* The section cut at every byte: what is still whole is right, the rest is an error,
 * and nothing behind the cut is read (the sanitizers watch). */
static void a_section_cut_anywhere_does_no_harm(void **state)
{
	struct cfi_case k;
	size_t end, hdr_len;

	(void)state;
	put_functions(&k);
	end = k.at;
	for (size_t cut = FRAMES_AT + 1; cut < end; cut++) {
		for (int with_hdr = 0; with_hdr < 2; with_hdr++) {
			hdr_len = put_functions(&k);
			k.at = cut;
			if (case_open(&k, ".eh_frame", with_hdr ? hdr_len : 0)) {
				case_close(&k);
				continue;
			}
			for (size_t i = 0; i < FUNCTIONS; i++) {
				struct row row;

				if (!cfi_row(k.cfi, CODE + 0x1000 * i, &row))
					assert_int_equal(row.cfa_offset, 16 * (i + 1));
				else
					assert_int_equal(row.cfa, ROW_CFA_NONE);
			}
			case_close(&k);
		}
	}
}

static void a_file_without_unwind_data_is_said_to_have_none(void **state)
{
	struct cfi_case k;

	(void)state;
	case_begin(&k);
	assert_int_equal(case_open(&k, NULL, 0), -ENOENT);
	case_close(&k);
}

/* ---- what is long costs no more than its length ------------------------------------ */

/* A .debug_frame that is written entry by entry. */
struct bytes {
	uint8_t *at;
	size_t len;
};

static void add(struct bytes *b, const void *bytes, size_t len)
{
	memcpy(b->at + b->len, bytes, len);
	b->len += len;
}

/* A CIE as of .debug_frame, whose augmentation has no data, with nops at its end. */
static void add_cie(struct bytes *b, const char *augmentation, size_t nops)
{
	static const uint8_t rest[] = {1, 0x78, 16, 0, 0x0c, 7, 8, 0x90, 1};
	size_t letters = strlen(augmentation) + 1;
	uint32_t head[] = {(uint32_t)(5 + letters + sizeof(rest) + nops), UINT32_MAX};

	add(b, head, sizeof(head));
	add(b, "\3", 1);
	add(b, augmentation, letters);
	add(b, rest, sizeof(rest));
	memset(b->at + b->len, 0, nops);
	b->len += nops;
}

static void add_fde(struct bytes *b, uint32_t cie, uint64_t begin, uint64_t len,
		    const void *program, size_t program_len)
{
	uint32_t head[] = {(uint32_t)(21 + program_len), cie};

	add(b, head, sizeof(head));
	add(b, &begin, sizeof(begin));
	add(b, &len, sizeof(len));
	add(b, "", 1); /* of its augmentation */
	add(b, program, program_len);
}

static bool count_row(void *arg, uint64_t vaddr, const struct row *row)
{
	(void)vaddr;
	*(size_t *)arg += row->cfa != ROW_CFA_NONE;
	return false;
}

/* The rows of all of it; the time that they took. */
static size_t count_rows(const struct bytes *b, double *seconds)
{
	double began = work_seconds();
	struct cfi *cfi;
	size_t count = 0;

	assert_int_equal(cfi_open_copy(b->at, b->len, &arch_x86_64, &cfi, NULL), 0);
	cfi_rows(cfi, 0, UINT64_MAX, count_row, &count);
	cfi_close(cfi);
	*seconds = work_seconds() - began;
	return count;
}

static void a_long_cie_is_none(void **state)
{
	enum { LONG = 1 << 20, FDES = 10000 };
	struct bytes b = {.at = malloc(4 * LONG)};
	char *letters = calloc(1, LONG + 1);
	double seconds;

	(void)state;
	add_cie(&b, "z", 100);
	add_fde(&b, 0, CODE, 0x10, "", 0);
	assert_int_equal(count_rows(&b, &seconds), 1);
	b.len = 0;
	memset(letters, 'z', LONG);
	add_cie(&b, letters, 0);
	for (int i = 0; i < FDES; i++)
		add_fde(&b, 0, CODE + 0x10 * i, 0x10, "", 0);
	assert_int_equal(count_rows(&b, &seconds), 0);
	assert_true(seconds < 30 * work_unit());
	free(letters);
	free(b.at);
}

/* Each row once, not from the FDE's first instruction on again. */
static void a_long_program_is_run_once(void **state)
{
	enum { NOPS = 1 << 20, ROWS = 10000 };
	struct bytes b = {.at = malloc(2 * NOPS)};
	uint8_t *program = calloc(1, NOPS + ROWS);
	double seconds;

	(void)state;
	memset(program + NOPS, 0x41, ROWS);
	add_cie(&b, "z", 0);
	add_fde(&b, 0, CODE, 2 * ROWS, program, NOPS + ROWS);
	assert_int_equal(count_rows(&b, &seconds), ROWS + 1);
	assert_true(seconds < 30 * work_unit());
	free(program);
	free(b.at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_prologue_gives_a_row_per_instruction),
		cmocka_unit_test(remembered_states_come_back_whole),
		cmocka_unit_test(the_rarer_instructions_are_understood),
		cmocka_unit_test(a_signal_trampoline_is_recognised),
		cmocka_unit_test(a_realigned_frame_is_recognised),
		cmocka_unit_test(the_plt_is_recognised),
		cmocka_unit_test(an_undefined_return_address_is_the_root),
		cmocka_unit_test(what_does_not_fit_needs_all_registers),
		cmocka_unit_test(a_register_after_an_expression_keeps_the_offset),
		cmocka_unit_test(a_broken_program_is_an_error_of_its_rows),
		cmocka_unit_test(addresses_are_decoded_in_every_encoding),
		cmocka_unit_test(addresses_may_be_relative_to_text),
		cmocka_unit_test(debug_frame_is_read_in_all_its_forms),
		cmocka_unit_test(augmentations_are_passed_over),
		cmocka_unit_test(lookup_is_right_with_and_without_a_header),
		cmocka_unit_test(a_header_that_lies_is_not_believed),
		cmocka_unit_test(a_section_cut_anywhere_does_no_harm),
		cmocka_unit_test(a_file_without_unwind_data_is_said_to_have_none),
		cmocka_unit_test(a_long_cie_is_none),
		cmocka_unit_test(a_long_program_is_run_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
