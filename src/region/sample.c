/* Drawing, and weighing; see sample.h. */
#include "region/sample.h"

#define ONE (1ull << 32)
/* Once in many allocations: small rather than fast. */
#define SELDOM __attribute__((cold, noinline))

enum { TERMS = 14, DRAWS = 64 /* of chains, and of each: e^-64 is never */ };

/* What an allocation is taken for: no less than what the largest weight is for. */
static uint64_t measure(unsigned level, uint64_t size)
{
	uint64_t least = 1ull << level >> SAMPLE_WEIGHTS;

	if (size < least)
		size = least;
	return size ? size : 1;
}

/* p * 2^64 of a size below 1 << level: x (1 - x/2 (1 - x/3 ...)), x = size / 2^level. */
static SELDOM uint64_t chance(unsigned level, uint64_t size)
{
	uint64_t x = measure(level, size) << (32 - level), part = ONE;

	for (unsigned k = TERMS; k >= 2; k--)
		part = ONE - (x * part >> 32) / k;
	return x * part;
}

static uint32_t weight_of(uint64_t p)
{
	return (uint32_t)(UINT64_MAX / p) + 1;
}

uint32_t sample_weight(unsigned level, uint64_t size)
{
	return sample_is_whole(level, size) ? 1 : weight_of(chance(level, size));
}

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t draw(struct sampler *sampler)
{
	uint64_t z = sampler->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* Is the chain of numbers that fall, from `first` on, of an odd length?  (With e^-first.) */
static bool falls_oddly(struct sampler *sampler, uint64_t first)
{
	uint64_t last = first;
	unsigned n = 1;

	for (; n < DRAWS; n++) {
		uint64_t next = draw(sampler);

		if (next >= last)
			break;
		last = next;
	}
	return n % 2;
}

/* Bytes to the next point, 1 or more: the chance that it is within m is 1 - e^(-m / 2^level). */
static SELDOM uint64_t gap(struct sampler *sampler, unsigned level)
{
	uint64_t whole = 0, first = draw(sampler);

	for (; whole < DRAWS && !falls_oddly(sampler, first); whole++)
		first = draw(sampler);
	return (whole << level) + (first >> (64 - level)) + 1;
}

/* With the chance 1 / (n p): n p is above 1, so times 2^64 only the rest is left in 64 bits. */
static SELDOM bool candidate_counts(struct sampler *sampler, unsigned level, uint64_t size)
{
	uint64_t p = chance(level, size), rest = weight_of(p) * p, r = draw(sampler) >> 32;

	return r + (r * (rest >> 32) >> 32) < ONE;
}

static SELDOM void begin(struct sampler *sampler, unsigned level, uint64_t seed)
{
	if (!sampler->state)
		sampler->state = seed;
	sampler->left = gap(sampler, level);
	sampler->level = level;
}

bool sample_takes(struct sampler *sampler, unsigned level, uint64_t size, uint64_t seed)
{
	if (sample_is_whole(level, size))
		return true;
	if (sampler->level != level)
		begin(sampler, level, seed);
	size = measure(level, size);
	if (sampler->left > size) {
		sampler->left -= size;
		return false;
	}
	sampler->left = gap(sampler, level);
	return candidate_counts(sampler, level, size);
}
