/*
 * Instructions: decoding, displacing, and the stubs built from them.
 *
 *   input: from u32, to u32, signal u8, kinds u8, room u16, code...
 *
 * What is held: displaced code is the same instructions in the same order, each with
 * the same bytes but for its displacement, which leads to the same place; the stubs
 * fit in their room, and every pc in them is told apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "arch/x86_64/insn.h"
#include "base/cursor.h"
#include "fuzz.h"

enum { STUBS = 3, CODE_MAX = 4096 };

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

static void check_stubs(const struct arch *arch, const struct stub_area *area,
			const struct stub *stubs, size_t count)
{
	assert(area->len <= area->room && area->len <= sizeof(area->bytes));
	assert(area->trap_pc > area->trap && area->trap_pc - area->base < area->len);
	assert(!memcmp(area->bytes, arch->magic, arch->magic_len));
	for (size_t i = 0; i < count; i++) {
		const struct stub *s = &stubs[i];

		assert(arch->patch_target(s->patch, s->function) == s->entry);
		assert(s->copy + s->displaced.copy_len <= area->base + area->len);
		assert(!memcmp(area->bytes + (s->copy - area->base), s->displaced.copy,
			       s->displaced.copy_len));
		assert(!s->trap_entry == (s->kind == STUB_RETURN));
		assert(!s->trap_return == (s->kind == STUB_ENTRY));
	}
	for (taddr_t pc = area->base; pc <= area->base + area->len; pc++) {
		unsigned inside = 0;

		for (size_t i = 0; i < count; i++) {
			int frame = arch->stub_frame(area, &stubs[i], pc);

			inside += stub_place(&stubs[i], pc) != STUB_OUTSIDE;
			assert(frame == -ENOENT || (frame >= 0 && frame <= 256));
		}
		arch->stub_frame(area, NULL, pc);
		assert(inside <= 1);
	}
}

static void build_stubs(const struct arch *arch, taddr_t from, taddr_t to, int signo,
			unsigned kinds, uint32_t room, const uint8_t *code, size_t len)
{
	struct stub_area area = {.base = to, .room = room};
	struct stub stubs[STUBS] = {0};
	const uint8_t *codes[STUBS];
	size_t lens[STUBS], failed = 0, count = 0;
	struct err err = {0};
	int rc;

	for (; count < STUBS && len; count++, kinds /= 3) {
		size_t share = len / (STUBS - count);
		uint32_t skip = arch->patch_offset(code, share);

		stubs[count].kind = (enum stub_kind)(kinds % 3);
		stubs[count].function = from + skip;
		codes[count] = code + skip;
		lens[count] = share - skip;
		code += share;
		len -= share;
		from += share;
	}
	rc = arch->stubs_build(&area, signo, stubs, count, codes, lens, &failed, &err);
	if (rc == 0)
		check_stubs(arch, &area, stubs, count);
	else
		assert(err.code == rc && err.text[0] && failed <= count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct arch *arch = &arch_x86_64;
	struct cursor c = cursor_over(data, size);
	taddr_t from = 0x10000 + (taddr_t)cursor_u32(&c);
	taddr_t to = 0x80000000 + (taddr_t)cursor_u32(&c);
	int signo = cursor_u8(&c) % 40;
	unsigned kinds = cursor_u8(&c);
	uint32_t room = cursor_u16(&c);
	size_t len = cursor_left(&c) < CODE_MAX ? cursor_left(&c) : CODE_MAX;
	const uint8_t *code = cursor_bytes(&c, len);
	struct displaced displaced;
	struct err err = {0};

	if (c.bad)
		return 0;
	for (size_t i = 0; i < len; i++)
		check_insn(code + i, len - i);
	assert(arch->patch_offset(code, len) <= len);
	if (arch->displace(code, len, from, to, &displaced, &err) == 0)
		check_displaced(code, len, from, to, &displaced);
	else
		assert(err.text[0]);
	build_stubs(arch, from, to, signo, kinds, room, code, len);
	return 0;
}
