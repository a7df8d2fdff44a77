/*
 * The instructions of one entry (EHABI 6.3, 7.3 and table 4 of 10.3).
 *
 *   in the table:   1000 0000 | op | op | op                 (model Su16)
 *   in .ARM.extab:  1000 0000 | op | op | op                 Su16
 *                   1000 0001 | n  | op | op | n words more  Lu16 (0010: Lu32)
 *                   prel31 of a personality routine, then
 *                   n | op | op | op | n words more          as all of GNU's and LLVM's do
 *
 * Bytes are taken from a word's top downwards.
 */
#include <errno.h>

#include "base/cursor.h"
#include "unwind/exidx_parts.h"

bool exidx_word(const struct exidx *exidx, uint64_t vaddr, uint32_t *ret)
{
	uint8_t bytes[4];
	struct cursor c = cursor_over(bytes, sizeof(bytes));

	if (image_read(exidx->image, vaddr, bytes, sizeof(bytes)))
		return false;
	*ret = cursor_u32(&c);
	return true;
}

enum { COMPACT = 1u << 31, MODEL_SU16 = 0, MODEL_LU32 = 2 };

int exidx_ops_begin(const struct exidx *exidx, const struct exidx_entry *entry,
		    struct exidx_ops *ret)
{
	struct exidx_ops ops = {.exidx = exidx, .next = entry->at + 4, .word = entry->word};
	unsigned model = entry->word >> 24 & 0x7f;

	if (!(entry->word & COMPACT)) {
		if (!exidx_word(exidx, ops.next, &ops.word))
			return -EINVAL;
		ops.next += 4;
		ops.words = ops.word >> 24;
		ops.word <<= 8;
		ops.left = 3;
	} else if (model == MODEL_SU16) {
		ops.word <<= 8;
		ops.left = 3;
	} else if (model <= MODEL_LU32 && !entry->inlined) {
		ops.words = ops.word >> 16 & 0xff;
		ops.word <<= 16;
		ops.left = 2;
	} else {
		return -EINVAL;
	}
	*ret = ops;
	return 0;
}

static bool next_byte(struct exidx_ops *ops, uint8_t *ret)
{
	if (ops->left == 0) {
		if (ops->words == 0 || !exidx_word(ops->exidx, ops->next, &ops->word))
			return false;
		ops->next += 4;
		ops->words--;
		ops->left = 4;
	}
	*ret = (uint8_t)(ops->word >> 24);
	ops->word <<= 8;
	ops->left--;
	return true;
}

static struct exidx_op op_of(enum exidx_kind kind, unsigned first, unsigned count)
{
	return (struct exidx_op){
		.kind = (uint8_t)kind, .first = (uint8_t)first, .number = 8ll * count};
}

/* 1011 0010 uleb128: vsp += 0x204 + (value << 2).  Four bytes of it are 1 GB. */
static int large_add(struct exidx_ops *ops, struct exidx_op *ret)
{
	uint64_t value = 0;
	uint8_t byte;
	unsigned shift = 0;

	do {
		if (shift > 28 || !next_byte(ops, &byte))
			return -EINVAL;
		value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	*ret = (struct exidx_op){.kind = EXIDX_ADD, .number = 0x204 + (int64_t)(value << 2)};
	return 0;
}

/* Instructions of two bytes. */
static struct exidx_op long_op(uint8_t byte, uint8_t second)
{
	unsigned first = second >> 4, count = (second & 15u) + 1;
	struct exidx_op spare = {.kind = EXIDX_SPARE};

	switch (byte) {
	case 0xb1:
		if (second == 0 || first)
			return spare;
		return (struct exidx_op){.kind = EXIDX_POP, .mask = second};
	case 0xb3:
		return op_of(EXIDX_VFP_X, first, count);
	case 0xc6:
		return op_of(EXIDX_WMMX, first, count);
	case 0xc7:
		if (second == 0 || first)
			return spare;
		return (struct exidx_op){.kind = EXIDX_WMMX,
					 .mask = second,
					 .number = 4 * __builtin_popcount(second)};
	case 0xc8:
		return op_of(EXIDX_VFP, 16 + first, count);
	case 0xc9:
		return op_of(EXIDX_VFP, first, count);
	}
	if (byte == 0x80 && second == 0)
		return (struct exidx_op){.kind = EXIDX_REFUSE};
	return (struct exidx_op){.kind = EXIDX_POP,
				 .mask = (uint16_t)((byte & 15u) << 12 | second << 4)};
}

static bool is_long(uint8_t byte)
{
	return (byte & 0xf0) == 0x80 || byte == 0xb1 || byte == 0xb3 ||
	       (byte >= 0xc6 && byte <= 0xc9);
}

/* Instructions of one byte from 0x80 on. */
static struct exidx_op short_op(uint8_t byte)
{
	unsigned low = byte & 7u;

	switch (byte & 0xf8) {
	case 0x90:
	case 0x98:
		if (byte == 0x9d || byte == 0x9f)
			break;
		return (struct exidx_op){.kind = EXIDX_SET, .number = byte & 15};
	case 0xa0:
	case 0xa8:
		return (struct exidx_op){
			.kind = EXIDX_POP,
			.mask = (uint16_t)(((2u << low) - 1) << 4 | (byte & 8 ? 1u << 14 : 0))};
	case 0xb0:
		if (byte == 0xb0)
			return (struct exidx_op){.kind = EXIDX_FINISH};
		if (byte == 0xb4)
			return (struct exidx_op){.kind = EXIDX_AUTH, .number = 4};
		if (byte == 0xb5)
			return (struct exidx_op){.kind = EXIDX_AUTH_VSP};
		break;
	case 0xb8:
		return op_of(EXIDX_VFP_X, 8, low + 1);
	case 0xc0:
		return op_of(EXIDX_WMMX, 10, low + 1);
	case 0xd0:
		return op_of(EXIDX_VFP, 8, low + 1);
	}
	return (struct exidx_op){.kind = EXIDX_SPARE};
}

int exidx_ops_next(struct exidx_ops *ops, struct exidx_op *ret)
{
	uint8_t byte, second;

	*ret = (struct exidx_op){.kind = EXIDX_FINISH};
	if (!next_byte(ops, &byte))
		return ops->words ? -EINVAL : 0;
	if (byte < 0x80) {
		int64_t number = (byte & 0x3f) * 4 + 4;

		ret->kind = EXIDX_ADD;
		ret->number = byte & 0x40 ? -number : number;
		return 0;
	}
	if (byte == 0xb2)
		return large_add(ops, ret);
	if (is_long(byte)) {
		if (!next_byte(ops, &second))
			return -EINVAL;
		*ret = long_op(byte, second);
	} else {
		*ret = short_op(byte);
	}
	if (ret->kind == EXIDX_VFP_X)
		ret->number += 4;
	return 0;
}
