/*
 * Sampling: weights against the formula, and sums against what all allocations make, for programs whose
 * sums and variances are computed here.  The seeds are fixed: nothing depends on luck; the bounds
 * are those that one run in 10^9 of random seeds would leave.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "heap/trend.h"
#include "region/sample.h"

static double power_of_two(int n)
{
	return n < 0 ? 1 / (double)(1ull << -n) : (double)(1ull << n);
}

/* 1 - e^-x, 0 < x < 1, term by term. */
static double chance(unsigned level, uint64_t size)
{
	double least = power_of_two((int)level - SAMPLE_WEIGHTS), s = (double)size, x, term, sum = 0;

	s = s < least ? least : s;
	x = (s < 1 ? 1 : s) / power_of_two((int)level);
	term = x;
	for (int k = 2; k < 40; k++) {
		sum += term;
		term *= -x / k;
	}
	return sum;
}

static double distance(double a, double b)
{
	return a < b ? b - a : a - b;
}

/* Farther than this from what is expected is one of 10^9 sums (Bernstein's inequality, both sides:
 * ln(2e9) = 21.5). */
static double bound(double variance, double largest)
{
	return trend_root(2 * variance * 21.5) + largest * 21.5 / 3;
}

static void test_weights_are_the_next_whole_number(void **state)
{
	(void)state;
	for (unsigned level = 1; level <= SAMPLE_MOST; level++)
		for (uint64_t size = 0; size < 1ull << level; size += 1 + size / 37) {
			double exact = 1 / chance(level, size);
			uint32_t weight = sample_weight(level, size);

			assert_true(weight >= 2 && weight <= (1 << SAMPLE_WEIGHTS) + 1);
			assert_true(weight >= exact * (1 - 1e-8));
			assert_true(weight < exact * (1 + 1e-8) + 1);
		}
}

static void test_what_is_large_counts_as_itself(void **state)
{
	struct sampler sampler = {0};

	(void)state;
	for (unsigned level = 1; level <= SAMPLE_MOST; level++) {
		assert_int_equal(sample_weight(level, 1ull << level), 1);
		assert_true(sample_takes(&sampler, level, 1ull << level, 1));
		assert_int_equal(sample_weight(level, UINT64_MAX), 1);
	}
	assert_int_equal(sampler.state, 0); /* nothing was drawn for it */
	assert_int_equal(sample_weight(0, 1), 1);
	assert_true(sample_takes(&sampler, 0, 1, 1));
	for (unsigned level = SAMPLE_MOST + 1; level < 64; level++) /* never told */
		assert_int_equal(sample_weight(level, 5), 1);
	assert_int_equal(sample_weight(UINT32_MAX, 5), 1);
}

/* `count` allocations of each of the sizes, in turn. */
static void is_unbiased(unsigned level, const uint64_t *sizes, unsigned kinds, unsigned count,
			uint64_t seed)
{
	struct sampler sampler = {0};
	double blocks[8] = {0}, bytes = 0, all = 0, variance = 0, largest = 0;

	for (unsigned i = 0; i < count; i++)
		for (unsigned k = 0; k < kinds; k++) {
			double n = sample_weight(level, sizes[k]), s = (double)sizes[k];

			if (sample_takes(&sampler, level, sizes[k], seed)) {
				blocks[k] += n;
				bytes += n * s;
			}
			all += s;
			variance += s * s * (n - 1);
			largest = largest < n * s ? n * s : largest;
		}
	assert_true(distance(bytes, all) <= bound(variance, largest));
	for (unsigned k = 0; k < kinds; k++) {
		double n = sample_weight(level, sizes[k]);

		assert_true(distance(blocks[k], count) <= bound(count * (n - 1), n));
		if (n == 1)
			assert_true(blocks[k] == count);
	}
}

static void test_sums_are_unbiased(void **state)
{
	static const uint64_t sizes[] = {0, 16, 48, 100, 700, 3000, 5000, 70000};

	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++)
		for (unsigned level = 5; level <= 20; level += 3)
			is_unbiased(level, sizes, 8, 20000, seed * 0x9e3779b97f4a7c15ull);
}

/* The mean over many seeds, which leaves little to chance. */
static void test_the_mean_over_seeds(void **state)
{
	enum { SEEDS = 20000, COUNT = 50, SIZE = 700, LEVEL = 10 };
	double n = sample_weight(LEVEL, SIZE), sum = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct sampler sampler = {0};

		for (unsigned i = 0; i < COUNT; i++)
			sum += sample_takes(&sampler, LEVEL, SIZE, seed << 20) ? n : 0;
	}
	/* (a standard deviation is 0.1 %) */
	assert_true(distance(sum, (double)SEEDS * COUNT) <= bound((double)SEEDS * COUNT * (n - 1), n));
}

/* Points have no memory: a level that changes draws anew, and sums stay what they are. */
static void test_a_level_that_changes(void **state)
{
	struct sampler sampler = {0};
	double sum = 0, variance = 0, largest = 0;
	enum { COUNT = 400000, SIZE = 64 };

	(void)state;
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned level = 8 + i / 3 % 9;
		double n = sample_weight(level, SIZE);

		sum += sample_takes(&sampler, level, SIZE, 4711) ? n : 0;
		variance += n - 1;
		largest = largest < n ? n : largest;
	}
	assert_true(distance(sum, COUNT) <= bound(variance, largest));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_weights_are_the_next_whole_number),
		cmocka_unit_test(test_what_is_large_counts_as_itself),
		cmocka_unit_test(test_sums_are_unbiased),
		cmocka_unit_test(test_the_mean_over_seeds),
		cmocka_unit_test(test_a_level_that_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
