/*
 * registers [sandboxed] ROUNDS: an allocator of the program's own that leaves all registers
 * and flags but its result alone, and a caller that counts on it, as gcc -fipa-ra and LTO
 * make them, and people who write assembly.  Each is called ROUNDS times with every register
 * set, and again behind the result.  sandboxed: behind a filter that forbids sending signals.
 *
 * The program allocates nothing else.
 */
#include "filter.h"
#include "probe.h"

enum { CELL = 64, CELLS = 1 << 17 };

extern char arena[CELL * CELLS], *arena_next;
char arena[CELL * CELLS], *arena_next = arena;

/* malloc() takes the next cell; free() and realloc() have nothing to do. */
/* clang-format off */
__asm__(CODE
#if defined(__x86_64__)
	FUNCTION("malloc")
	"	push %rcx; mov arena_next(%rip), %rax; lea 64(%rax), %rcx\n"
	"	mov %rcx, arena_next(%rip); pop %rcx; ret\n"
	".size malloc, .-malloc\n.balign 16\n"
	FUNCTION("free") "	nop; nop; nop; nop; nop; ret\n.size free, .-free\n.balign 16\n"
	FUNCTION("realloc") "	nop; nop; mov %rdi, %rax; ret\n.size realloc, .-realloc\n"
#elif defined(__aarch64__)
	FUNCTION("malloc")
	"	stp x1, x2, [sp, #-16]!; adrp x1, arena_next\n"
	"	add x1, x1, :lo12:arena_next; ldr x0, [x1]; add x2, x0, #64; str x2, [x1]\n"
	"	ldp x1, x2, [sp], #16; ret\n"
	".size malloc, .-malloc\n"
	FUNCTION("free") "	nop; ret\n.size free, .-free\n"
	FUNCTION("realloc") "	nop; ret\n.size realloc, .-realloc\n"
#elif defined(__arm__)
	FUNCTION("malloc")
	"	push {r1, r2}; ldr r1, 2f\n"
	"1:	add r1, pc, r1; ldr r0, [r1]; add r2, r0, #64; str r2, [r1]\n"
	"	pop {r1, r2}; bx lr\n"
	"2:	.word arena_next - (1b + 8)\n"
	".size malloc, .-malloc\n"
	FUNCTION("free") "	nop; bx lr\n.size free, .-free\n"
	FUNCTION("realloc") "	nop; bx lr\n.size realloc, .-realloc\n"
#elif defined(__riscv)
	FUNCTION("malloc")
	"	addi sp, sp, -16; sd t0, 0(sp); sd t1, 8(sp); lla t0, arena_next\n"
	"	ld a0, 0(t0); addi t1, a0, 64; sd t1, 0(t0)\n"
	"	ld t0, 0(sp); ld t1, 8(sp); addi sp, sp, 16; ret\n"
	".size malloc, .-malloc\n"
	FUNCTION("free") "	nop; ret\n.size free, .-free\n"
	FUNCTION("realloc") "	nop; ret\n.size realloc, .-realloc\n"
#elif defined(__mips__)
	FUNCTION("malloc")
	"	addiu $29, $29, -16; sw $8, 0($29); sw $9, 4($29); sw $31, 8($29); bal 1f; nop\n"
	"1:	lw $8, 40($31); addu $8, $31, $8; lw $2, 40($8); addiu $9, $2, 64\n"
	"	sw $9, 40($8); lw $8, 0($29); lw $9, 4($29); lw $31, 8($29); jr $31\n"
	"	addiu $29, $29, 16\n"
	"2:	.word arena_next - .\n"
	".size malloc, .-malloc\n"
	FUNCTION("free") "	nop; jr $31; nop\n.size free, .-free\n"
	FUNCTION("realloc") "	jr $31; move $2, $4\n.size realloc, .-realloc\n"
#endif
	CODE_END);
/* clang-format on */

/* Calls it; its result, which is all that may be different. */
static void *call(const char *name, const void *function, unsigned long first,
		  unsigned long second, unsigned long flags)
{
	struct state before = pattern(flags), after;

	before.reg[ARGUMENT] = first;
	before.reg[ARGUMENT_2] = second;
	after = before;
	probe(function, &after);
	for (int i = 1; i < REGISTERS; i++)
		if (i != LINK && after.reg[i] != before.reg[i])
			target_fail("%s: register %d is 0x%lx", name, i, after.reg[i]);
	if (LINK >= 0 && after.reg[LINK & 31] != (uintptr_t)probe_return)
		target_fail("%s: the link register is 0x%lx", name, after.reg[LINK & 31]);
	if ((after.flags & FLAGS) != flags)
		target_fail("%s: the flags are 0x%lx", name, after.flags);
	return (void *)after.reg[0];
}

static void rounds(unsigned long count, unsigned long flags)
{
	for (unsigned long i = 0; i < count; i++) {
		size_t size = 8 + i % 9;
		char *expected = arena_next, *block = call("malloc", malloc, size, 1, flags);

		if (block != expected)
			target_fail("malloc: %p, not %p", block, expected);
		got(block, size);
		block = call("realloc", realloc, (unsigned long)block, 2 * size, flags);
		if (block != expected)
			target_fail("realloc: %p, not %p", block, expected);
		gone(size);
		got(block, 2 * size);
		gone(2 * size);
		call("free", free, (unsigned long)block, 1, flags);
	}
}

int main(int argc, char **argv)
{
	unsigned long count = strtoul(argv[argc - 1], NULL, 10);

	if (argc > 2)
		forbid_signals(SECCOMP_RET_KILL_PROCESS);
	target_ready();
	rounds(count, FLAGS);
	rounds(count, 0);
	target_done();
	int status = target_result(NULL);
	rounds(10, FLAGS);
	return strcmp(target_verdict, "ok") ? 1 : status;
}
