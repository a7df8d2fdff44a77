/*
 * halved: has an allocator of its own, whose free is too short for a patch: four bytes in
 * front of another function.  (Where that is not x86-64's it is an ordinary one.)
 */
#include <stddef.h>

static char pool[1 << 16];
static size_t used;
static void *last;

__attribute__((noinline)) void *malloc(size_t size)
{
	void *block = last;

	last = NULL;
	if (!block) {
		block = pool + used;
		used += (size + 15) & ~(size_t)15;
	}
	return block;
}

void free(void *block);

#ifdef __x86_64__
__attribute__((used)) static void keep(void *block)
{
	last = block;
}
__asm__(".text\n.p2align 4\n.skip 12, 0x90\n.globl free\n.type free, @function\n"
	"free: .byte 0x66, 0x90\n jmp 1f\n.size free, . - free\n.p2align 4\n1: jmp keep\n");
#else
__attribute__((noinline)) void free(void *block)
{
	last = block;
}
#endif

int main(void)
{
	for (size_t i = 1; i <= 100; i++)
		free(malloc(i));
	return 0;
}
