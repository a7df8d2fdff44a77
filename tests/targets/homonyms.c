/*
 * homonyms ROUNDS: functions of its own whose names others give to an allocator's, and which
 * mean something else here.  Its blocks are those of malloc.
 */
#define valloc c_valloc
#define pvalloc c_pvalloc
#define memalign c_memalign
#define reallocarray c_reallocarray
#define cfree c_cfree
#define aligned_alloc c_aligned_alloc
#include "target.h"
#undef valloc
#undef pvalloc
#undef memalign
#undef reallocarray
#undef cfree
#undef aligned_alloc

struct config {
	char *name;
	int *table;
};

/* A configuration is freed, for short. */
NOINLINE void cfree(struct config *config)
{
	drop(config->name, 5);
	drop(config->table, 40);
	drop(config, sizeof(*config));
}

/* A vector of n doubles. */
NOINLINE double *valloc(int n)
{
	return got(malloc((size_t)n * sizeof(double)), (size_t)n * sizeof(double));
}

/* How much is left. */
NOINLINE size_t mallocx(int id, size_t n)
{
	static size_t left = 1 << 20;

	(void)id;
	return left -= n;
}

/* So many lines of a memory are aligned. */
NOINLINE size_t memalign(size_t lines, const char *where)
{
	return lines + (where != NULL);
}

NOINLINE void pvalloc(double *vector, int n)
{
	drop(vector, (size_t)n * sizeof(double));
}

/* An array of blocks, each of n bytes. */
NOINLINE void *reallocarray(void **blocks, size_t n, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		gone(16);
		blocks[i] = got(realloc(blocks[i], n), n);
	}
	return blocks;
}

NOINLINE void free_sized(void **blocks, size_t n, size_t count)
{
	for (size_t i = 0; i < count; i++)
		drop(blocks[i], n);
}

NOINLINE struct config *config_new(void)
{
	struct config *config = got(malloc(sizeof(*config)), sizeof(*config));

	config->name = got(malloc(5), 5);
	config->table = got(calloc(10, sizeof(int)), 40);
	return config;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	size_t sum = 0;
	double *vector = NULL;

	target_ready();
	for (unsigned i = 0; i < rounds; i++) {
		void *blocks[3];

		cfree(config_new());
		vector = valloc(100);
		vector[3] = (double)mallocx((int)i, 8);
		sum += memalign(i, argv[0]);
		if (i % 2)
			pvalloc(vector, 100);
		for (size_t k = 0; k < 3; k++)
			blocks[k] = got(malloc(16), 16);
		reallocarray(blocks, 48, 3);
		free_sized(blocks, 48, 3);
	}
	target_kept[0] = vector;
	target_done();
	return target_result(sum ? NULL : "?");
}
