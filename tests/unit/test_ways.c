/*
 * Ways into covered bytes: found wherever an instruction could begin, and known as false where
 * it is known where instructions do begin.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "arch/arm/arm.h"
#include "arch/x86_64/x86_64.h"

enum { BEGIN = 0x10000, FROM = 0x10040 };

static const struct covered covered[] = {{0x900000, 0x900007}, {BEGIN, BEGIN + 7}};

typedef size_t ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		       const struct covered *covered, size_t count, struct way *ret, size_t max);

/* How many; the first one's place, from FROM, and target, from BEGIN, are at_ and target. */
static size_t look(ways_in *ways, const void *code, size_t len, taddr_t state, bool anywhere,
		   taddr_t at_, taddr_t target)
{
	struct way way[4] = {{0, 0}};
	size_t n = ways(code, len, FROM | state, anywhere, covered, ARRAY_SIZE(covered), way, 4);

	if (n) {
		assert_int_equal(way[0].at, FROM + at_);
		assert_int_equal(way[0].target, BEGIN + target);
	}
	return n;
}

static const struct {
	const char *what;
	uint8_t code[12];
	uint8_t at, target; /* 0: it is none */
} cases[] = {
	{"jmp rel32", {0x90, 0xe9, 0xbc, 0xff, 0xff, 0xff}, 2, 2},
	{"jmp rel32, to the first byte", {0x90, 0xe9, 0xba, 0xff, 0xff, 0xff}, 0, 0},
	{"jmp rel32, behind the last", {0x90, 0xe9, 0xc1, 0xff, 0xff, 0xff}, 0, 0},
	{"call", {0xe8, 0xbd, 0xff, 0xff, 0xff}, 1, 2},
	{"jne rel32", {0x0f, 0x85, 0xbb, 0xff, 0xff, 0xff}, 2, 1},
	{"lea", {0x48, 0x8d, 0x3d, 0xbf, 0xff, 0xff, 0xff}, 3, 6},
	{"mov, which reads", {0x48, 0x8b, 0x3d, 0xbf, 0xff, 0xff, 0xff}, 0, 0},
	{"jmp rel8", {0xeb, 0xc4}, 1, 6},
	{"je rel8", {0x90, 0x74, 0xbe}, 2, 1},
	{"jrcxz", {0xe3, 0xbf}, 1, 1},
};

static void x86_64(void **state)
{
	static const uint8_t hidden[] = {0x48, 0xb8, 0xe9, 0xbc, 0xff, 0xff, 0xff, 0, 0, 0, 0xc3};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int anywhere = 0; anywhere < 2; anywhere++)
			if (look(x86_64_ways_in, cases[i].code, sizeof(cases[i].code), 0, anywhere,
				 cases[i].at, cases[i].target) != (cases[i].at != 0))
				fail_msg("%s, %d", cases[i].what, anywhere);
	/* An immediate that looks like a jump. */
	assert_int_equal(look(x86_64_ways_in, hidden, sizeof(hidden), 0, true, 3, 3), 1);
	assert_int_equal(look(x86_64_ways_in, hidden, sizeof(hidden), 0, false, 0, 0), 0);
}

static void t32(void **state)
{
	static const uint16_t back[] = {0xbf00, 0xe7de};	  /* nop; b.n -68 */
	static const uint16_t first[] = {0xbf00, 0xe7dd};	  /* to the first byte */
	static const uint16_t wide[] = {0xf7ff, 0xbfdf};	  /* b.w -66 */
	static const uint16_t hidden[] = {0xf240, 0xe7dd, 0x4770}; /* movw, with an immediate */

	(void)state;
	for (int anywhere = 0; anywhere < 2; anywhere++) {
		assert_int_equal(look(arm_ways_in, back, sizeof(back), 1, anywhere, 2, 2), 1);
		assert_int_equal(look(arm_ways_in, first, sizeof(first), 1, anywhere, 0, 0), 0);
		assert_int_equal(look(arm_ways_in, wide, sizeof(wide), 1, anywhere, 0, 2), 1);
	}
	assert_int_equal(look(arm_ways_in, hidden, sizeof(hidden), 1, false, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(x86_64),
		cmocka_unit_test(t32),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
