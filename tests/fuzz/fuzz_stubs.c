/*
 * Stubs of every architecture, built for arbitrary code.
 *
 *   input: architecture u8, kinds u8, signal u8, flags u8, room u16, from u32, to u32, code...
 *
 * What is held: displaced code fits and is mapped in order; the stubs fit in their room, a
 * patch leads to its stub and nothing else does, and every pc in them is told apart.
 */
#include <errno.h>
#include <string.h>

#include "arch/trap.h"
#include "base/cursor.h"
#include "fuzz.h"

enum { STUBS = 3, CODE_MAX = 2048 };

struct input {
	const struct arch *arch;
	uint8_t kinds, flags; /* flags: bit i: stub i is T32; bit 4 + i: its swap */
	int signo;
	uint32_t room;
	taddr_t from, to;
	const uint8_t *code;
	size_t len;
};

static bool input_read(const uint8_t *data, size_t size, struct input *ret)
{
	static const struct arch *const architectures[] = {&arch_x86_64, &arch_aarch64,
							   &arch_arm};
	struct cursor c = cursor_over(data, size);

	ret->arch = architectures[cursor_u8(&c) % ARRAY_SIZE(architectures)];
	ret->kinds = cursor_u8(&c);
	ret->signo = cursor_u8(&c) % 40;
	ret->flags = cursor_u8(&c);
	ret->room = cursor_u16(&c);
	/* Functions begin where instructions may; areas where slack begins. */
	ret->from = (0x10000 + (taddr_t)cursor_u32(&c) / 4) & ~3ull;
	ret->to = (0x10000 + (taddr_t)cursor_u32(&c) / 4) & ~15ull;
	ret->len = cursor_left(&c) < CODE_MAX ? cursor_left(&c) : CODE_MAX;
	ret->code = cursor_bytes(&c, ret->len);
	return !c.bad && ret->len;
}

static bool is_thumb(const struct input *in, size_t i)
{
	return (in->arch->state_mask & 1) && (in->flags >> i & 1);
}

static void check_displaced(const struct arch *arch, const struct displaced *d, size_t len)
{
	assert(d->count >= 1 && d->count <= ARRAY_SIZE(d->map));
	assert(d->original_len >= 2 && d->original_len <= len);
	assert(d->original_len >= arch->trap->patch_len);
	assert(d->copy_len <= sizeof(d->copy));
	for (uint32_t i = 0; i < d->count; i++) {
		assert(d->map[i].copy < d->copy_len && d->map[i].original <= d->original_len);
		/* One original may have several places in the copy. */
		assert(i == 0 || d->map[i - 1].copy < d->map[i].copy);
	}
	assert(d->map[0].copy == 0 && d->map[0].original == 0);
}

static void check_stub(const struct arch *arch, const struct stub_area *area,
		       const struct stub *s, size_t len)
{
	taddr_t end = area->base + area->len;

	assert(arch->trap->patch_target(s->patch, s->function | s->thumb) == s->entry);
	assert(s->entry > area->trap.begin && s->copy >= s->entry);
	assert(s->copy + s->displaced.copy_len <= end);
	check_displaced(arch, &s->displaced, len);
	assert(!memcmp(area->bytes + (s->copy - area->base), s->displaced.copy,
		       s->displaced.copy_len));
	assert(s->kind == STUB_RETURN || s->kind == STUB_INSTEAD ? !s->payload_entry
								 : s->payload_entry > s->entry);
	assert(s->kind == STUB_ENTRY ? !s->payload_return : s->payload_return > s->entry);
	assert(s->payload_entry <= s->copy && s->payload_return <= s->copy);
}

static void check_frame(const struct arch *arch, const struct stub_area *area,
			const struct stub *stub, taddr_t pc)
{
	for (int called = 0; called < 2; called++) {
		int frame = arch->trap->stub_frame(area, stub, pc, called);

		assert(frame == -ENOENT || (frame >= 0 && frame <= 512));
	}
}

static void check_area(const struct input *in, struct stub_area *area, const struct stub *stubs,
		       size_t count, const size_t *lens)
{
	const struct arch *arch = in->arch;
	uint8_t bytes[8];

	assert(area->len <= area->room && area->len <= sizeof(area->bytes));
	assert(area->trap.pc > area->trap.begin && area->trap.pc - area->base < area->len);
	assert(area->trap.done > area->trap.pc && area->trap.done - area->base < area->len);
	assert(arch->trap->stub_frame(area, NULL, area->trap.skip, false) ==
	       arch->trap->stub_frame(area, NULL, area->trap.pc, false));
	assert(!memcmp(area->bytes, arch->trap->magic, arch->trap->magic_len));
	for (size_t i = 0; i < count; i++)
		check_stub(arch, area, &stubs[i], lens[i]);
	for (taddr_t pc = area->base; pc <= area->base + area->len; pc++) {
		unsigned inside = 0;

		for (size_t i = 0; i < count; i++) {
			inside += stub_place(&stubs[i], pc) != STUB_OUTSIDE;
			check_frame(arch, area, &stubs[i], pc);
		}
		check_frame(arch, area, NULL, pc);
		assert(inside <= 1);
	}
	assert(arch->trap->disarm(bytes) <= sizeof(bytes));
	if (arch->trap->use_break)
		assert(arch->trap->use_break(area, bytes) <= sizeof(bytes));
	if (arch->trap->change_signal)
		arch->trap->change_signal(area, 1 + in->signo % 31);
}

static void build_stubs(const struct input *in)
{
	struct stub_area area = {.base = in->to, .room = in->room};
	struct stub stubs[STUBS] = {0};
	const uint8_t *codes[STUBS], *code = in->code;
	size_t lens[STUBS], failed = 0, count = 0, len = in->len;
	taddr_t at = in->from;
	unsigned kinds = in->kinds;
	struct err err = {0};
	int rc;

	for (; count < STUBS && len; count++, kinds /= 4) {
		size_t share = len / (STUBS - count) & ~(size_t)3;
		uint32_t skip = in->arch->trap->patch_offset(code, share);
		struct stub *stub = &stubs[count];

		assert(skip <= share);
		stub->kind = (enum stub_kind)(kinds % 4);
		if (stub->kind == STUB_INSTEAD && !count)
			stub->kind = STUB_BOTH;
		stub->instead = count ? (uint32_t)count - 1 : 0;
		stub->swap = in->flags >> (4 + count) & 1;
		stub->thumb = is_thumb(in, count);
		stub->function = at + skip;
		stub->skipped = skip;
		codes[count] = code + skip;
		lens[count] = share - skip;
		code += share;
		len -= share;
		at += share;
	}
	rc = in->arch->trap->stubs_build(&area, in->signo, stubs, count, codes, lens, &failed, &err);
	if (rc == 0)
		check_area(in, &area, stubs, count, lens);
	else
		assert(err.code == rc && err.text[0] && failed <= count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct displaced displaced;
	struct callee callees[8];
	struct err err = {0};
	struct input in;

	if (!input_read(data, size, &in))
		return 0;
	if (in.arch->trap->displace(in.code, in.len, in.from | is_thumb(&in, 0), in.to, &displaced,
			      &err) == 0)
		check_displaced(in.arch, &displaced, in.len);
	else
		assert(err.text[0]);
	assert(in.arch->trap->callees(in.code, in.len, in.from | is_thumb(&in, 0), callees,
				ARRAY_SIZE(callees)) <= ARRAY_SIZE(callees));
	build_stubs(&in);
	return 0;
}
