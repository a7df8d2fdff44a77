/*
 * A heap to look at: heap_fill MB SIZE [huge]: so many MB of blocks of SIZE bytes, a list through
 * all of them, and from each another pointer to one of the first half; says "READY blocks", and
 * ends with its input.  Without huge pages, unless they are asked for.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

struct node {
	struct node *next, *other;
};

static struct node **table;

int main(int argc, char **argv)
{
	size_t mb = strtoul(argv[1], NULL, 10), size = strtoul(argv[2], NULL, 10);
	size_t count = (mb << 20) / (malloc_usable_size(malloc(size)) + 8);
	struct node *last = NULL;

	if (argc < 4)
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	table = malloc(count * sizeof(*table));
	for (size_t i = 0; i < count; i++) {
		struct node *node = memset(malloc(size), 1, size);

		node->next = last;
		node->other = i ? table[i / 2] : NULL;
		table[i] = last = node;
	}
	printf("READY %zu\n", count);
	fflush(stdout);
	return getchar() == 'x';
}
