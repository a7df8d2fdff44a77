/*
 * Does what stdin says, and nothing else: the console's tests know every count.
 * One order per line, each answered by "ok\n" once it is done:
 *
 *     allocate COUNT SIZE     blocks that stay
 *     free COUNT              the youngest ones
 *
 * read() and write() only: stdio would allocate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *blocks[4096];
static int count;

static __attribute__((noinline)) void *obey_allocate(size_t size)
{
	void *volatile block = malloc(size);

	return block;
}

static void obey(const char *order)
{
	int number, size;

	if (sscanf(order, "allocate %d %d", &number, &size) == 2)
		while (number-- > 0 && count < 4096)
			blocks[count++] = obey_allocate(size);
	else if (sscanf(order, "free %d", &number) == 1)
		while (number-- > 0 && count > 0)
			free(blocks[--count]);
}

int main(void)
{
	char order[100];
	ssize_t len = 0;

	while (write(1, "ok\n", 3) == 3) {
		for (len = 0; len < 99 && read(0, order + len, 1) == 1; len++)
			if (order[len] == '\n')
				break;
		if (!len)
			return 0;
		order[len] = '\0';
		obey(order);
	}
	return 0;
}
