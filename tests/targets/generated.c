/*
 * Code that was generated: one function with two calls of take(), in memory of no file, with frame
 * pointers as runtimes keep them.
 *
 *     generated ROUNDS [NAME]    so many times, each at a line of the test: 10 calls of it, then DONE
 *                                NAME: of its memory, as prctl(2) PR_SET_VMA_ANON_NAME gives it
 *
 * Says first where it is: CODE <address> <bytes>.
 */
#include "target.h"

#include <sys/mman.h>
#include <sys/prctl.h>

enum { CALLS = 10, SIZE = 24 };

static NOINLINE void take(void)
{
	target_kept[0] = got(malloc(SIZE), SIZE);
}

#if defined(__x86_64__)
/* push %rbp; mov %rsp,%rbp; mov $take,%rax; call *%rax; the same again; pop %rbp; ret */
static const uint8_t begin[] = {0x55, 0x48, 0x89, 0xe5};
static const uint8_t load[] = {0x48, 0xb8}, call[] = {0xff, 0xd0}, end[] = {0x5d, 0xc3};

static size_t generate(uint8_t *to)
{
	void (*function)(void) = take;
	uint8_t *at = to;

	memcpy(at, begin, sizeof(begin));
	at += sizeof(begin);
	for (int i = 0; i < 2; i++) {
		memcpy(at, load, sizeof(load));
		memcpy(at + 2, &function, sizeof(function));
		memcpy(at + 10, call, sizeof(call));
		at += 12;
	}
	memcpy(at, end, sizeof(end));
	return (size_t)(at - to) + sizeof(end);
}
#elif defined(__aarch64__)
static size_t generate(uint8_t *to)
{
	uint64_t function = (uintptr_t)take;
	uint32_t *at = (uint32_t *)to;

	*at++ = 0xa9bf7bfd; /* stp x29, x30, [sp, #-16]! */
	*at++ = 0x910003fd; /* mov x29, sp */
	for (int i = 0; i < 2; i++) {
		for (unsigned k = 0; k < 4; k++) /* movz, movk x9, #..., lsl #16 k */
			*at++ = (k ? 0xf2800009 : 0xd2800009) | k << 21 |
				(uint32_t)(function >> 16 * k & 0xffff) << 5;
		*at++ = 0xd63f0120; /* blr x9 */
	}
	*at++ = 0xa8c17bfd; /* ldp x29, x30, [sp], #16 */
	*at++ = 0xd65f03c0; /* ret */
	return (size_t)((uint8_t *)at - to);
}
#else
static size_t generate(uint8_t *to)
{
	(void)to;
	return 0;
}
#endif

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1;
	uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*function)(void);
	size_t len;

	if (code == MAP_FAILED || !(len = generate(code)))
		return 77;
	if (argc > 2)
		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, code, 4096, argv[2]);
	__builtin___clear_cache((char *)code, (char *)code + len);
	memcpy(&function, &code, sizeof(function));
	say("CODE %lx %zu\n", (unsigned long)code, len);
	target_ready();
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < CALLS; i++)
			function();
		target_done();
	}
	return target_result(NULL);
}
