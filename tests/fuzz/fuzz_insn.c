/*
 * Instructions of x86-64: decoding and displacing.
 *
 *   input: from u32, to u32, 4 bytes of no meaning, code...
 *
 * What is held: displaced code is the same instructions in the same order, each with
 * the same bytes but for its displacement, which leads to the same place.
 */
#include <string.h>

#include "arch/trap.h"
#include "arch/x86_64/insn.h"
#include "base/cursor.h"
#include "fuzz.h"

enum { CODE_MAX = 4096 };

static void check_insn(const uint8_t *code, size_t len)
{
	struct insn insn, again;

	if (insn_decode(code, len, &insn))
		return;
	assert(insn.len >= 1 && insn.len <= INSN_MAX_LEN && insn.len <= len);
	assert(insn.rel_at + insn.rel_len <= insn.len);
	assert(!insn.rel_len == !insn.rel_at);
	/* What it is depends on its own bytes alone. */
	assert(insn_decode(code, insn.len, &again) == 0 && again.len == insn.len);
	assert(insn.len == 1 || insn_decode(code, insn.len - 1u, &again));
}

/* One original instruction and its copy. */
static void check_moved(const uint8_t *code, size_t len, taddr_t at, const uint8_t *copy,
			size_t room, taddr_t copy_at, uint32_t *copy_len)
{
	struct insn a, b;

	assert(insn_decode(code, len, &a) == 0);
	assert(insn_decode(copy, room, &b) == 0);
	assert(a.kind == b.kind && !a.rel_len == !b.rel_len);
	if (a.rel_len) {
		assert(at + a.len + (taddr_t)(int64_t)a.rel ==
		       copy_at + b.len + (taddr_t)(int64_t)b.rel);
		assert(a.kind != INSN_JCC || a.condition == b.condition);
	} else {
		assert(a.len == b.len && !memcmp(code, copy, a.len));
	}
	*copy_len = b.len;
}

static void check_displaced(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
			    const struct displaced *d)
{
	uint32_t at = 0, copy_len;

	assert(d->original_len >= 5 && d->original_len <= len);
	assert(d->copy_len <= sizeof(d->copy) && d->count >= 1);
	for (uint32_t i = 0; i < d->count; i++) {
		uint32_t original = d->map[i].original, copy = d->map[i].copy;

		assert(copy == at && copy < d->copy_len);
		if (original == d->original_len) { /* the way back */
			struct insn jump;

			assert(i == d->count - 1);
			assert(!insn_decode(d->copy + copy, d->copy_len - copy, &jump));
			assert(jump.kind == INSN_JMP &&
			       to + copy + jump.len + (taddr_t)(int64_t)jump.rel ==
				       from + original);
			at += jump.len;
			break;
		}
		check_moved(code + original, len - original, from + original, d->copy + copy,
			    d->copy_len - copy, to + copy, &copy_len);
		at += copy_len;
	}
	assert(at == d->copy_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct arch *arch = &arch_x86_64;
	struct cursor c = cursor_over(data, size);
	taddr_t from = 0x10000 + (taddr_t)cursor_u32(&c);
	taddr_t to = 0x80000000 + (taddr_t)cursor_u32(&c);
	const uint8_t *code = cursor_bytes(&c, 4);
	size_t len = cursor_left(&c) < CODE_MAX ? cursor_left(&c) : CODE_MAX;
	struct displaced displaced;
	struct err err = {0};

	code = cursor_bytes(&c, len);
	if (c.bad)
		return 0;
	for (size_t i = 0; i < len; i++)
		check_insn(code + i, len - i);
	assert(arch->trap->patch_offset(code, len) <= len);
	if (arch->trap->displace(code, len, from, to, &displaced, &err) == 0)
		check_displaced(code, len, from, to, &displaced);
	else
		assert(err.text[0]);
	return 0;
}
