/*
 * An allocator whose malloc and free are chosen when they are first called (IFUNC), and whose
 * calloc is a label in assembler without type and size.  Nothing is ever used again.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static unsigned char heap[256 << 20] __attribute__((aligned(4096)));
static size_t used, freed;
static volatile int chosen_second;

static void *malloc_first(size_t size)
{
	size_t at = __atomic_fetch_add(&used, (size + 47) & ~(size_t)15, __ATOMIC_RELAXED);

	if (size > sizeof(heap) - 64 || at > sizeof(heap) - size - 64)
		return NULL;
	memcpy(heap + at + 8, &size, sizeof(size));
	return heap + at + 16;
}

/* A layer on the first, if it is chosen. */
static void *malloc_second(size_t size)
{
	return malloc_first(size + 1);
}

static void free_first(void *block)
{
	if (block)
		__atomic_fetch_add(&freed, 1, __ATOMIC_RELAXED);
}

static void free_second(void *block)
{
	free_first(block);
	__atomic_fetch_sub(&freed, 1, __ATOMIC_RELAXED);
}

static void *(*pick_malloc(void))(size_t)
{
	return chosen_second ? malloc_second : malloc_first;
}

static void (*pick_free(void))(void *)
{
	return chosen_second ? free_first : free_second;
}

void *malloc(size_t size) __attribute__((ifunc("pick_malloc")));
void free(void *block) __attribute__((ifunc("pick_free")));

__attribute__((used)) static void *zeroed(size_t count, size_t size)
{
	return malloc(count * size);
}

__asm__(".text\n.globl calloc\n.p2align 4\ncalloc:\n"
#ifdef __x86_64__
	"jmp zeroed\n.p2align 4\n");
#else
	"b zeroed\n.p2align 4\n");
#endif

void *realloc(void *block, size_t size)
{
	unsigned char *made = malloc(size);
	size_t old;

	if (!block || !made)
		return made;
	memcpy(&old, (char *)block - 8, sizeof(old));
	memcpy(made, block, old < size ? old : size);
	free(block);
	return made;
}
