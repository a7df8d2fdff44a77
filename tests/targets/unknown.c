/*
 * Blocks that were allocated before anybody looked, freed after: by the program, and by
 * libc on its behalf from all over its text.  One block each.
 */
#include <dirent.h>
#include <obstack.h>

#include "target.h"

#define obstack_chunk_alloc malloc
#define obstack_chunk_free  free

enum { EACH = 10 };

int main(void)
{
	void *own[EACH];
	DIR *folders[EACH];
	FILE *files[EACH];
	struct obstack stacks[EACH];

	for (int i = 0; i < EACH; i++) {
		own[i] = malloc(100);
		folders[i] = opendir("/");
		files[i] = fopen("/dev/null", "r"); /* never read: no buffer */
		obstack_init(&stacks[i]);
	}
	target_ready();
	for (int i = 0; i < EACH; i++) {
		free(own[i]);
		closedir(folders[i]);
		fclose(files[i]);
		obstack_free(&stacks[i], NULL);
	}
	ADD(tally_frees, 4 * EACH);
	target_done();
	return target_result(NULL);
}
