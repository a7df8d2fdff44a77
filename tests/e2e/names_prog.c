/* Calls at every depth of inlining. */
#include <stdio.h>
#include <stdlib.h>

static inline __attribute__((always_inline)) void *deepest(size_t n)
{
	return malloc(n);
}

static inline __attribute__((always_inline)) void *deeper(size_t n)
{
	void *p = deepest(n);
	if (!p)
		abort();
	return deepest(n + 1);
}

static inline __attribute__((always_inline)) void *middle(size_t n)
{
	return n > 5 ? deeper(n) : deepest(n * 2);
}

static __attribute__((noinline)) void *outer(size_t n)
{
	void *p = middle(n);

	free(p);
	return middle(n + 3);
}

int main(int argc, char *argv[])
{
	printf("%p %s\n", outer((size_t)argc), argv[0]);
	return 0;
}
