/* Verdicts in words, to the letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "heap/verdicts.h"
#include "report/evidence.h"

static void says(struct verdict v, const char *expected)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	evidence_print(out, &v);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

#define RATE .per_hour = 41984, .lowest = 38912, .highest = -45056

static void of_a_context(void **state)
{
	(void)state;
	says((struct verdict){.word = VERDICT_LEAKS, .seconds = 600, RATE, .generations = 30, .kept = 29,
			      .born = 1000, .alive = 30},
	     "29 of 30 generations kept 3.0% of their blocks; 41.0 KiB an hour (38.0 KiB to "
	     "-44.0 KiB)");
	says((struct verdict){.word = VERDICT_GROWS, .seconds = 14.4, RATE},
	     "41.0 KiB an hour (38.0 KiB to -44.0 KiB), if it goes on as in these 14 s");
	says((struct verdict){.word = VERDICT_CACHE, .age = 40}, "hardly a block is older than 40 s");
	says((struct verdict){.word = VERDICT_CACHE},
	     "blocks stay long, but fewer of each generation the older it is");
	says((struct verdict){.word = VERDICT_STEADY}, "what is in use does not grow");
	says((struct verdict){.word = VERDICT_LEVELLING_OFF, .grown = 2048},
	     "what is in use grew by 2.0 KiB, and hardly any more");
	says((struct verdict){.word = VERDICT_TOO_EARLY, .generations = 5, .born = 1},
	     "only 5 generations, of 1 block; 8 are needed");
	says((struct verdict){.word = VERDICT_TOO_EARLY, .generations = 1, .born = 144},
	     "only 1 generation, of 144 blocks; 8 are needed");
	says((struct verdict){.word = VERDICT_TOO_EARLY, .seconds = 90, .step = 4096},
	     "4.0 KiB of the growth came in one step");
}

static void of_a_look(void **state)
{
	(void)state;
	says((struct verdict){.word = VERDICT_LEAKS, .scanned = true, .alive = 3, .grown = 120},
	     "3 blocks (120 bytes) lost: nothing in reach leads to them");
	says((struct verdict){.word = VERDICT_LEAKS, .scanned = true, .alive = 1, .grown = 9},
	     "1 block (9 bytes) lost: nothing in reach leads to it");
	says((struct verdict){.word = VERDICT_GROWS, .seconds = 60, .scanned = true, RATE},
	     "41.0 KiB an hour (38.0 KiB to -44.0 KiB); it is held, not lost");
}

static void of_a_process(void **state)
{
	(void)state;
	says((struct verdict){.word = VERDICT_LEAKS, .seconds = 60, .contexts = 2, RATE},
	     "2 call stacks, 41.0 KiB an hour (38.0 KiB to -44.0 KiB)");
	says((struct verdict){.word = VERDICT_GROWS, .seconds = 60, .contexts = 1, RATE},
	     "1 call stack, 41.0 KiB an hour (38.0 KiB to -44.0 KiB)");
	says((struct verdict){.word = VERDICT_GROWS, .seconds = 60, .contexts = 1, RATE,
			      .limit = 512 << 20, .left = 264ull * 41 << 10},
	     "1 call stack, 41.0 KiB an hour (38.0 KiB to -44.0 KiB); 512.0 MiB limit in 11 days");
	says((struct verdict){.word = VERDICT_LEAKS, .seconds = 60, .contexts = 1, RATE,
			      .limit = 512 << 20, .left = 47ull * 41 << 10},
	     "1 call stack, 41.0 KiB an hour (38.0 KiB to -44.0 KiB); 512.0 MiB limit in 47 hours");
	says((struct verdict){.word = VERDICT_LEAKS, .seconds = 60, .contexts = 1, RATE,
			      .limit = 512 << 20, .left = 20500},
	     "1 call stack, 41.0 KiB an hour (38.0 KiB to -44.0 KiB); 512.0 MiB limit in 29 min");
	says((struct verdict){.word = VERDICT_STEADY, .limit = 512 << 20, .left = 9},
	     "what is in use does not grow");
	says((struct verdict){.word = VERDICT_TOO_EARLY, .seconds = 59.4},
	     "59 s are too short to tell; 60 are needed");
	says((struct verdict){.word = VERDICT_FRAGMENTATION, .grown = 3 << 20},
	     "RSS grew by 3.0 MiB, and what is in use did not; `heap` shows what the allocator "
	     "keeps");
	says((struct verdict){.word = VERDICT_LEAKS, .said = "words\x1b"}, "words\\x1b");
}

static void names_both_ways(void **state)
{
	(void)state;
	for (int i = 0; i < VERDICT_WORDS; i++)
		assert_int_equal(verdict_of_name(verdict_name((enum verdict_word)i)), i);
	assert_int_equal(verdict_of_name("doubtful"), VERDICT_WORDS);
	assert_string_equal(verdict_name(VERDICT_LEAKS), "leaks");
	assert_string_equal(verdict_name(VERDICT_CACHE), "cache");
	assert_string_equal(verdict_name(VERDICT_FRAGMENTATION), "fragmentation?");
}

/* ---- a look at the memory -------------------------------------------------------------------- */

static void reachability_goes_before(void **state)
{
	struct verdict at[4] = {{.word = VERDICT_TOO_EARLY},
				{.word = VERDICT_STEADY, .seconds = 9},
				{.word = VERDICT_LEAKS, RATE, .alive = 7},
				{.word = VERDICT_LEAKS, RATE, .alive = 7}};
	struct findings_context contexts[4] = {
		[1] = {.sums = {.lost = {2, 20}, .through = {1, 5}}},
		[2] = {.sums = {.lost = {1, 10}}},
		[3] = {.sums = {.held = {7, 70}}},
	};
	const struct findings findings = {.contexts = contexts, .context_count = 4};
	struct verdicts v = {.at = at, .count = 4, .totals = {.word = VERDICT_STEADY, .seconds = 80}};

	(void)state;
	verdicts_see(&v, &findings, false);
	assert_int_equal(at[0].word, VERDICT_TOO_EARLY);
	assert_int_equal(at[1].word, VERDICT_LEAKS);
	assert_true(at[1].scanned);
	assert_int_equal(at[1].alive, 3);
	assert_int_equal(at[1].grown, 25);
	assert_int_equal(at[2].word, VERDICT_LEAKS);
	assert_int_equal(at[2].alive, 1);
	assert_int_equal(at[3].word, VERDICT_GROWS);
	assert_int_equal(v.process.word, VERDICT_LEAKS);
	assert_int_equal(v.process.contexts, 2);
	assert_true(v.process.seconds >= 80);
}

/* What was held then may be lost by now. */
static void an_earlier_look_finds_leaks_only(void **state)
{
	struct verdict at[3] = {{.word = VERDICT_STEADY},
				{.word = VERDICT_STEADY},
				{.word = VERDICT_LEAKS, RATE, .alive = 7}};
	struct findings_context contexts[3] = {
		[1] = {.sums = {.lost = {2, 20}}},
		[2] = {.sums = {.held = {7, 70}}},
	};
	const struct findings findings = {.contexts = contexts, .context_count = 3};
	struct verdicts v = {.at = at, .count = 3};

	(void)state;
	verdicts_see(&v, &findings, true);
	assert_int_equal(at[1].word, VERDICT_LEAKS);
	assert_int_equal(at[1].alive, 2);
	assert_int_equal(at[2].word, VERDICT_LEAKS);
	assert_false(at[2].scanned);
	assert_int_equal(at[2].alive, 7);
}

/* ---- the order of contexts -------------------------------------------------------------------- */

static void order(const struct snapshot *s, enum snapshot_order how, const char *expected)
{
	char got[40] = "";
	uint32_t *ids;
	size_t count;
	struct err err;

	assert_int_equal(snapshot_select(s, how, false, &ids, &count, &err), 0);
	for (size_t i = 0; i < count; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%u ", ids[i]);
	assert_string_equal(got, expected);
	free(ids);
}

static void worst_first(void **state)
{
	struct verdict at[6] = {{.word = VERDICT_TOO_EARLY},
				{.word = VERDICT_STEADY},
				{.word = VERDICT_LEAKS, .per_hour = 100, .lowest = 50},
				{.word = VERDICT_GROWS, .per_hour = 900, .lowest = 800},
				{.word = VERDICT_LEAKS, .per_hour = 90, .lowest = 80},
				{.word = VERDICT_CACHE}};
	struct region_context contexts[6] = {
		{0},
		{.allocs = 1, .allocated_bytes = 5000, .first_time = 0, .last_time = 10},
		{.allocs = 50, .allocated_bytes = 10, .first_time = 0, .last_time = 990},
		{.allocs = 60, .allocated_bytes = 20, .first_time = 900, .last_time = 980},
		{.allocs = 70, .allocated_bytes = 30, .first_time = 0, .last_time = 500},
		{.allocs = 80, .allocated_bytes = 40, .first_time = 0, .last_time = 700},
	};
	struct verdicts v = {.at = at, .count = 6};
	struct snapshot s = {
		.contexts = contexts, .context_count = 6, .ticks_now = 1000, .verdicts = &v};

	(void)state;
	order(&s, SNAPSHOT_BY_VERDICT, "4 2 3 1 5 ");
	order(&s, SNAPSHOT_BY_GROWTH, "3 2 4 1 5 ");
	order(&s, SNAPSHOT_BY_BYTES, "1 5 4 3 2 ");
	order(&s, SNAPSHOT_BY_AGE, "1 4 5 3 2 ");
	order(&s, SNAPSHOT_BY_RATE, "3 5 4 2 1 ");
	s.verdicts = NULL;
	order(&s, SNAPSHOT_BY_VERDICT, "1 5 4 3 2 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_context),	    cmocka_unit_test(of_a_look),
		cmocka_unit_test(of_a_process),	    cmocka_unit_test(names_both_ways),
		cmocka_unit_test(reachability_goes_before),
		cmocka_unit_test(an_earlier_look_finds_leaks_only), cmocka_unit_test(worst_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
