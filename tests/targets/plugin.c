/* plugin_a.so and plugin_b.so: the same file but for PLUGIN's value, so that one
 * takes the other's place in the address space. */
#include <stdlib.h>

void *plugin_alloc(size_t size);

__attribute__((noinline)) static void *allocate_for(size_t size, int plugin)
{
	char *block = malloc(size);
	if (block)
		block[0] = plugin;
	return block;
}

void *plugin_alloc(size_t size)
{
	char *block = allocate_for(size, PLUGIN);
	*(volatile char *)block = PLUGIN; /* a call, not a jump */
	return block;
}
