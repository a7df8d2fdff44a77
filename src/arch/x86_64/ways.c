/*
 * Ways into covered bytes: see arch/trap.h.
 *
 * `anywhere` is for code of which it is not known where instructions begin, and for
 * megabytes of it: at every byte the four (or one) that begin there are taken for a distance,
 * and only where it leads into a range the bytes in front must make an instruction of it.
 */
#include "arch/x86_64/x86_64.h"

#include <string.h>

#include "arch/x86_64/insn.h"

struct search {
	const struct covered *covered;
	size_t count;
	uint64_t near[64]; /* a bit for each 16 bytes, modulo 64 KB, that one reaches into;
			      of `anywhere` alone */
	struct way *ret;
	size_t max, found;
};

static void near_fill(struct search *s, const struct covered *covered)
{
	if (covered->end - covered->begin >= 1 << 16)
		memset(s->near, 0xff, sizeof(s->near));
	else
		for (taddr_t at = covered->begin & ~15ull; at < covered->end; at += 16)
			s->near[at >> 10 & 63] |= 1ull << (at >> 4 & 63);
}

static bool is_near(const struct search *s, taddr_t target)
{
	return s->near[target >> 10 & 63] >> (target >> 4 & 63) & 1;
}

static void note(struct search *s, taddr_t at, taddr_t target)
{
	for (size_t i = 0; i < s->count; i++) {
		if (target <= s->covered[i].begin || target >= s->covered[i].end)
			continue;
		if (s->found < s->max)
			s->ret[s->found] = (struct way){at, target};
		s->found++;
		return;
	}
}

/* jmp, jcc, loop, jrcxz with 8 bits */
static bool is_short(uint8_t opcode)
{
	return (opcode & 0xf0) == 0x70 || (opcode & 0xfc) == 0xe0 || opcode == 0xeb;
}

/* call, jmp; jcc; xbegin; lea: the two bytes in front of 32 bits */
static bool is_long(uint8_t first, uint8_t second)
{
	return second == 0xe8 || second == 0xe9 || (first == 0x0f && (second & 0xf0) == 0x80) ||
	       (first == 0xc7 && second == 0xf8) || (first == 0x8d && (second & 0xc7) == 0x05);
}

/* At every byte: the test that nearly always says no comes first. */
static void search_long(struct search *s, const uint8_t *code, size_t len, taddr_t from)
{
	for (size_t i = 1; i + 4 <= len; i++) {
		taddr_t target;
		int32_t distance;

		memcpy(&distance, code + i, sizeof(distance));
		target = from + i + 4 + (taddr_t)(int64_t)distance;
		if (is_near(s, target) && is_long(i > 1 ? code[i - 2] : 0, code[i - 1]))
			note(s, from + i, target);
	}
}

static bool is_within_reach(const struct covered *covered, taddr_t at)
{
	enum { REACH = 130 };

	return at + REACH >= covered->begin && at < covered->end + REACH;
}

/* Around each range, as far as 8 bits reach; what several reach is looked at once. */
static void search_short(struct search *s, const uint8_t *code, size_t len, taddr_t from,
			 size_t range)
{
	const struct covered *covered = &s->covered[range];
	taddr_t at = covered->begin > from + 256 ? covered->begin - 256 : from + 1;

	for (; at < covered->end + 256 && at < from + len; at++) {
		bool seen = !is_within_reach(covered, at) || !is_short(code[at - from - 1]);

		for (size_t i = 0; !seen && i < range; i++)
			seen = is_within_reach(&s->covered[i], at);
		if (!seen)
			note(s, at, at + 1 + (taddr_t)(int64_t)(int8_t)code[at - from]);
	}
}

static bool leads(const uint8_t *code, const struct insn *insn)
{
	bool takes_address = insn->rel_at > 1 && code[insn->rel_at - 2] == 0x8d; /* lea */

	return takes_address || x86_64_is_direct_branch(insn);
}

static void search_in_order(struct search *s, const uint8_t *code, size_t len, taddr_t from)
{
	struct insn insn;

	for (size_t at = 0; at < len; at += insn.len) {
		if (insn_decode(code + at, len - at, &insn)) {
			insn.len = 1; /* data between instructions: find the next one */
			continue;
		}
		if (insn.rel_len && leads(code + at, &insn))
			note(s, from + at + insn.rel_at,
			     from + at + insn.len + (taddr_t)(int64_t)insn.rel);
	}
}

size_t x86_64_ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		      const struct covered *covered, size_t count, struct way *ret, size_t max)
{
	struct search s = {.covered = covered, .count = count, .ret = ret, .max = max};

	if (!anywhere) {
		search_in_order(&s, code, len, from);
		return s.found;
	}
	for (size_t i = 0; i < count; i++)
		near_fill(&s, &covered[i]);
	search_long(&s, code, len, from);
	for (size_t i = 0; i < count; i++)
		search_short(&s, code, len, from, i);
	return s.found;
}
