/*
 * The length decoder of x86-64, in 64-bit mode.
 *
 *    [legacy prefixes] [REX]  opcode          [ModRM [SIB] [disp8/32]] [immediate]
 *                             0f opcode
 *                             0f 38 opcode
 *                             0f 3a opcode
 *    [67, segment]     VEX (c5 xx | c4 xx xx) opcode ...
 *                      XOP (8f xx xx), EVEX (62 xx xx xx)
 *
 * What follows an opcode is the only thing that differs, and it is one letter per
 * opcode in the maps below; the few opcodes whose ModRM decides about the immediate
 * have a letter of their own.  The maps 0f 38, 0f 3a and those of VEX, EVEX and XOP
 * are regular, so that instructions to come have a length already.
 *
 * Intel SDM volume 2, chapter 2 and appendix A; AMD64 APM volume 3, appendix A.
 */
#include "arch/x86_64/insn.h"

#include <errno.h>

/*
 * What follows the opcode:
 *    .  nothing                     x  undefined in 64-bit mode
 *    m  ModRM                       b  imm8        B  ModRM imm8
 *    z  imm16/32 by operand size    Z  ModRM imm16/32
 *    v  imm16/32/64 by operand size w  imm16       e  imm16 imm8 (enter)
 *    o  moffs: 8 bytes, with 67 4   j  rel8        J  rel32 (rel16 with 66)
 *    r  ModRM naming registers whatever its mod says (mov to/from cr, dr)
 *    t  ModRM, imm8 if reg is 0 or 1 (f6)     T  the same with imm16/32 (f7)
 *    X  ModRM imm16/32; c7 f8 is xbegin       q  0f 78: imm8 imm8 with 66 or f2 (SSE4a)
 *    p  prefix, REX or escape: handled before the map is asked
 */
/* clang-format off */
static const char map_one_byte[257] =
	/*        0123456789abcdef */
	/* 0 */  "mmmmbzxxmmmmbzxp"
	/* 1 */  "mmmmbzxxmmmmbzxx"
	/* 2 */  "mmmmbzpxmmmmbzpx"
	/* 3 */  "mmmmbzpxmmmmbzpx"
	/* 4 */  "pppppppppppppppp"
	/* 5 */  "................"
	/* 6 */  "xxxmppppzZbB...."
	/* 7 */  "jjjjjjjjjjjjjjjj"
	/* 8 */  "BZxBmmmmmmmmmmmm"
	/* 9 */  "..........x....."
	/* a */  "oooo....bz......"
	/* b */  "bbbbbbbbvvvvvvvv"
	/* c */  "BBw.ppBXe.w..bx."
	/* d */  "mmmmxxx.mmmmmmmm"
	/* e */  "jjjjbbbbJJxj...."
	/* f */  "p.pp..tT......mm";

static const char map_0f[257] =
	/*        0123456789abcdef */
	/* 0 */  "mmmmx.....x.xm.B"
	/* 1 */  "mmmmmmmmmmmmmmmm"
	/* 2 */  "rrrrxxxxmmmmmmmm"
	/* 3 */  "......x.pxpxxxxx"
	/* 4 */  "mmmmmmmmmmmmmmmm"
	/* 5 */  "mmmmmmmmmmmmmmmm"
	/* 6 */  "mmmmmmmmmmmmmmmm"
	/* 7 */  "BBBBmmm.qmxxmmmm"
	/* 8 */  "JJJJJJJJJJJJJJJJ"
	/* 9 */  "mmmmmmmmmmmmmmmm"
	/* a */  "...mBmmm...mBmmm"
	/* b */  "mmmmmmmmmmBmmmmm"
	/* c */  "mmBmBBBm........"
	/* d */  "mmmmmmmmmmmmmmmm"
	/* e */  "mmmmmmmmmmmmmmmm"
	/* f */  "mmmmmmmmmmmmmmmm";
/* clang-format on */

/* The state of one decoding: bytes are taken from the front, `bad` is for good. */
struct decoder {
	const uint8_t *code;
	size_t len;
	size_t at;
	bool bad;
	bool rex_w, repne, rep;
	unsigned rex; /* the REX byte, or 0 */
	uint8_t modrm;
	struct insn insn;
};

static uint8_t take(struct decoder *d)
{
	if (d->at >= d->len || d->at >= INSN_MAX_LEN) {
		d->bad = true;
		return 0;
	}
	return d->code[d->at++];
}

static void skip(struct decoder *d, unsigned count)
{
	while (count--)
		take(d);
}

/* A pc-relative field of 1, 2 or 4 bytes. */
static void take_relative(struct decoder *d, unsigned width)
{
	uint32_t value = 0;

	d->insn.rel_at = (uint8_t)d->at;
	d->insn.rel_len = (uint8_t)width;
	for (unsigned i = 0; i < width; i++)
		value |= (uint32_t)take(d) << (8 * i);
	d->insn.rel = width == 1 ? (int8_t)value : width == 2 ? (int16_t)value : (int32_t)value;
}

/* Legacy prefixes in any order, then REX.  A REX that is not last is void.
 * Returns the first byte behind them. */
static uint8_t take_prefixes(struct decoder *d)
{
	for (;;) {
		uint8_t byte = take(d);

		if (d->bad)
			return 0;
		if ((byte & 0xf0) == 0x40) {
			d->rex = byte;
			continue;
		}
		switch (byte) {
		case 0x66:
			d->insn.prefix66 = true;
			break;
		case 0x67:
			d->insn.prefix67 = true;
			break;
		case 0xf2:
			d->repne = true;
			d->rep = false;
			break;
		case 0xf3:
			d->rep = true;
			d->repne = false;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
		case 0xf0:
			break;
		default:
			d->rex_w = d->rex & 8;
			return byte;
		}
		d->rex = 0;
	}
}

/* ModRM, SIB and displacement (SDM tables 2-2, 2-3; rip-relative: 2.2.1.6). */
static void take_modrm(struct decoder *d)
{
	unsigned mod, rm;

	d->modrm = take(d);
	mod = d->modrm >> 6;
	rm = d->modrm & 7;
	if (mod == 3)
		return;
	if (mod == 0 && rm == 5) {
		take_relative(d, 4);
		return;
	}
	if (rm == 4) {
		unsigned base = take(d) & 7;

		if (mod == 0 && base == 5)
			skip(d, 4);
	}
	if (mod == 1)
		skip(d, 1);
	else if (mod == 2)
		skip(d, 4);
}

/* imm16 or imm32: REX.W wins over 66, and leaves it at 32. */
static unsigned immediate_size(const struct decoder *d)
{
	return d->insn.prefix66 && !d->rex_w ? 2 : 4;
}

/* xbegin is mov's group 11 with a register that is none: its immediate is a target. */
static void take_group_c7(struct decoder *d)
{
	take_modrm(d);
	if (d->modrm == 0xf8) {
		d->insn.kind = INSN_XBEGIN;
		take_relative(d, immediate_size(d));
	} else {
		skip(d, immediate_size(d));
	}
}

/* What follows an opcode, by its letter in a map. */
static void take_operands(struct decoder *d, char letter)
{
	switch (letter) {
	case '.':
		break;
	case 'm':
		take_modrm(d);
		break;
	case 'r':
		skip(d, 1);
		break;
	case 'b':
		skip(d, 1);
		break;
	case 'w':
		skip(d, 2);
		break;
	case 'e':
		skip(d, 3);
		break;
	case 'B':
		take_modrm(d);
		skip(d, 1);
		break;
	case 'z':
		skip(d, immediate_size(d));
		break;
	case 'Z':
		take_modrm(d);
		skip(d, immediate_size(d));
		break;
	case 'v':
		skip(d, d->rex_w ? 8 : immediate_size(d));
		break;
	case 'o':
		skip(d, d->insn.prefix67 ? 4 : 8);
		break;
	case 'j':
		take_relative(d, 1);
		break;
	case 'J':
		take_relative(d, immediate_size(d));
		break;
	case 't':
	case 'T':
		take_modrm(d);
		if ((d->modrm & 0x38) <= 0x08)
			skip(d, letter == 't' ? 1 : immediate_size(d));
		break;
	case 'X':
		take_group_c7(d);
		break;
	case 'q':
		take_modrm(d);
		if (d->insn.prefix66 || d->repne)
			skip(d, 2);
		break;
	default:
		d->bad = true;
	}
}

/* Operands of the regular maps: 0f, 0f 38, 0f 3a and the same numbers in VEX and EVEX
 * (5 and 6: FP16; 7: imm32), 8 to 10 in XOP. */
static void take_vector_operands(struct decoder *d, unsigned map, uint8_t opcode, bool vex)
{
	switch (map) {
	case 1:
		if (vex && opcode == 0x77) /* vzeroupper, vzeroall */
			break;
		take_operands(d, map_0f[opcode] == 'B' ? 'B' : 'm');
		break;
	case 2:
	case 5:
	case 6:
	case 9:
		take_modrm(d);
		break;
	case 3:
	case 8:
		take_operands(d, 'B');
		break;
	case 7:
	case 10:
		take_modrm(d);
		skip(d, 4);
		break;
	default:
		d->bad = true;
	}
}

/* VEX, XOP and EVEX hold what these prefixes say, and are undefined behind them. */
static bool has_void_prefix(const struct decoder *d)
{
	return d->rex || d->insn.prefix66 || d->rep || d->repne;
}

static void decode_vex(struct decoder *d, uint8_t escape)
{
	unsigned map = 1;
	uint8_t opcode;

	d->bad |= has_void_prefix(d);
	if (escape == 0xc4) {
		map = take(d) & 0x1f;
		d->bad |= map == 0 || map > 7;
	} else if (escape == 0x8f) {
		map = take(d) & 0x1f;
	}
	take(d);
	opcode = take(d);
	take_vector_operands(d, map, opcode, true);
}

/* EVEX: 62, P0 with the map, P1 with a fixed 1, P2.  Map 4 is APX's, which reuses the
 * legacy opcodes and is not known here. */
static void decode_evex(struct decoder *d)
{
	uint8_t p0 = take(d), p1 = take(d), opcode;

	d->bad |= has_void_prefix(d) || (p0 & 8) || !(p1 & 4);
	take(d);
	opcode = take(d);
	take_vector_operands(d, p0 & 7, opcode, false);
}

static void decode_0f(struct decoder *d)
{
	uint8_t opcode = take(d);
	enum insn_kind kind = INSN_PLAIN;

	if (opcode == 0x38 || opcode == 0x3a) {
		take(d);
		take_operands(d, opcode == 0x38 ? 'm' : 'B');
		return;
	}
	take_operands(d, map_0f[opcode]);
	if ((opcode & 0xf0) == 0x80)
		kind = INSN_JCC;
	else if (opcode == 0x05 || opcode == 0x34)
		kind = INSN_SYSCALL;
	else if (opcode == 0x0b || opcode == 0xb9 || opcode == 0xff)
		kind = INSN_UD;
	else if (opcode == 0x1f && (d->modrm & 0x38) == 0)
		kind = INSN_NOP;
	else if (opcode == 0x1e && d->rep && d->modrm == 0xfa)
		kind = INSN_ENDBR64;
	d->insn.kind = (uint8_t)kind;
	d->insn.condition = opcode & 0x0f;
}

/* ff: inc, dec, call, call far, jmp, jmp far, push, undefined. */
static enum insn_kind kind_of_ff(struct decoder *d)
{
	static const uint8_t kinds[8] = {
		[2] = INSN_CALL_INDIRECT,
		[3] = INSN_CALL_INDIRECT,
		[4] = INSN_JMP_INDIRECT,
		[5] = INSN_JMP_INDIRECT,
	};

	return kinds[d->modrm >> 3 & 7];
}

static enum insn_kind kind_of_one_byte(struct decoder *d, uint8_t opcode)
{
	if ((opcode & 0xf0) == 0x70)
		return INSN_JCC;
	switch (opcode) {
	case 0x90: /* with f3 it is pause, with REX.B xchg with r8 */
		return d->rep || d->rex & 1 ? INSN_PLAIN : INSN_NOP;
	case 0xc2:
	case 0xc3:
	case 0xca:
	case 0xcb:
	case 0xcf:
		return INSN_RET;
	case 0xcc:
		return INSN_INT3;
	case 0xe0:
	case 0xe1:
	case 0xe2:
	case 0xe3:
		return INSN_LOOP;
	case 0xe8:
		return INSN_CALL;
	case 0xe9:
	case 0xeb:
		return INSN_JMP;
	case 0xf4:
		return INSN_UD;
	case 0xff:
		return kind_of_ff(d);
	default:
		return (enum insn_kind)d->insn.kind; /* xbegin has set it */
	}
}

static bool is_xop(const struct decoder *d)
{
	return d->at < d->len && (d->code[d->at] & 0x1f) >= 8;
}

int insn_decode(const uint8_t *code, size_t len, struct insn *ret)
{
	struct decoder d = {.code = code, .len = len};
	uint8_t opcode = take_prefixes(&d);

	if (opcode == 0x0f) {
		decode_0f(&d);
	} else if (opcode == 0xc4 || opcode == 0xc5 || (opcode == 0x8f && is_xop(&d))) {
		decode_vex(&d, opcode);
	} else if (opcode == 0x62) {
		decode_evex(&d);
	} else {
		take_operands(&d, map_one_byte[opcode]);
		d.insn.kind = (uint8_t)kind_of_one_byte(&d, opcode);
		d.insn.condition = opcode & 0x0f;
	}
	if (d.bad)
		return -EINVAL;
	d.insn.len = (uint8_t)d.at;
	*ret = d.insn;
	return 0;
}
