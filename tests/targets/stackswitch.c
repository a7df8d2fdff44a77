/*
 * Functions of Go's runtime, imitated: each leaves its caller's stack for another one and calls
 * there, while its call frame information says all along that the CFA is sp + 8.  What lies there is
 * a return address of this program, left over, of argv[1] different ones; argv[2]: which function.
 */
#include "target.h"

__asm__(".cfi_sections .debug_frame\n");

static uint64_t stack[4096] __attribute__((aligned(16)));

extern const char stale[];

typedef void switch_fn(void (*function)(void), uint64_t *top);

#define SWITCH(function, symbol)                   \
	switch_fn function __asm__(symbol);        \
	__asm__(".text\n"                          \
		".type " symbol ", @function\n"    \
		symbol ":\n"                       \
		"	.cfi_startproc\n"          \
		"	mov %rsp, %rax\n"          \
		"	mov %rsi, %rsp\n"          \
		"	sub $16, %rsp\n"           \
		"	mov %rax, 8(%rsp)\n"       \
		"	call *%rdi\n"              \
		"	mov 8(%rsp), %rsp\n"       \
		"	ret\n"                     \
		"	.cfi_endproc\n"            \
		".size " symbol ", . - " symbol "\n")

SWITCH(asmcgocall, "runtime.asmcgocall.abi0");
SWITCH(systemstack, "runtime.systemstack");
SWITCH(mcall, "runtime.mcall");
SWITCH(morestack, "runtime.morestack.abi0");

static switch_fn *const switches[] = {asmcgocall, systemstack, mcall, morestack};

__asm__(".text\n"
	/* Code, in which any address may be returned to. */
	".type stale, @function\n"
	"stale:\n"
	"	.cfi_startproc\n"
	"	.skip 256, 0x90\n"
	"	ret\n"
	"	.cfi_endproc\n"
	".size stale, . - stale\n");

static void leak(void)
{
	target_kept[0] = got(malloc(48), 48);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 20;
	switch_fn *on_other_stack = switches[argc > 2 ? atoi(argv[2]) : 0];
	uint64_t *top = stack + sizeof(stack) / sizeof(*stack) - 64;

	target_ready();
	for (int i = 0; i < count; i++) {
		top[-2] = (uint64_t)(uintptr_t)stale + 1 + (uint64_t)i % 255;
		on_other_stack(leak, top);
	}
	target_done();
	return target_result(NULL);
}
