/*
 * tailed: a malloc whose return address is in the link register alone while it waits in the
 * kernel, where neither a signal nor a tracer wakes it: it goes on in clone(CLONE_VFORK), as
 * free() does in munmap().
 *
 * A line from the test begins that call, and the next one, which its child takes, ends it.
 */
#include <sys/wait.h>

#include "../../targets/target.h"

enum { WAITS = 77, ROOM = 1 << 20 };

#ifdef __arm__
#define A32 __attribute__((target("arm")))
#else
#define A32
#endif

void free(void *block)
{
	__asm__ volatile("" ::"r"(block) : "memory");
}

#ifdef __mips__ /* where no function is naked, and each has to find its data itself */
static _Alignas(16) char room[ROOM];
extern char *room_next;
char *room_next = room;

__asm__(".text\n.set push\n.set noreorder\n.globl malloc\n.type malloc, @function\n"
	"malloc: nop; nop; li $2, 77; beq $4, $2, 3f; addiu $29, $29, -16; sw $31, 8($29)\n"
	"	bal 1f; addiu $4, $4, 15\n"
	"1:	lw $3, 40($31); addu $3, $31, $3; lw $2, 40($3)\n"
	"	srl $4, $4, 4; sll $4, $4, 4; addu $4, $2, $4; sw $4, 40($3)\n"
	"	lw $31, 8($29); jr $31; addiu $29, $29, 16\n"
	"2:	.word room_next - .\n"
	"3:	addiu $29, $29, 16; li $4, 0x4012; move $5, $0; move $6, $0; move $7, $0\n"
	"	li $2, 4120; syscall; jr $31; nop\n"
	".size malloc, .-malloc\n.set pop\n");
_Static_assert(WAITS == 77, "as in malloc()");
#else
A32 NOINLINE __attribute__((used)) static void *bump(size_t size)
{
	static _Alignas(16) char room[ROOM];
	static size_t used;
	size_t at = __atomic_fetch_add(&used, (size + 15) & ~(size_t)15, __ATOMIC_RELAXED);

	return at + size <= ROOM ? room + at : NULL;
}

/* malloc(WAITS): in the child, which is a copy of this process, 0; then the child's number. */
A32 __attribute__((naked)) void *malloc(size_t size)
{
#ifdef __aarch64__
	__asm__("nop; nop; cmp x0, %0; b.ne bump\n"
		"mov x0, #0x4011; mov x1, #0; mov x2, #0; mov x3, #0; mov x4, #0\n"
		"mov x8, #220; svc #0; ret" ::"i"(WAITS));
#elif defined(__riscv)
	__asm__("nop; nop; li t0, %0; bne a0, t0, bump\n"
		"li a0, 0x4011; li a1, 0; li a2, 0; li a3, 0; li a4, 0\n"
		"li a7, 220; ecall; ret" ::"i"(WAITS));
#else
	__asm__("nop; nop; cmp r0, %0; bne bump\n"
		"mov r12, r7; mov r0, #0x4000; orr r0, r0, #0x11; mov r1, #0; mov r2, #0\n"
		"mov r7, #120; svc #0; mov r7, r12; bx lr" ::"i"(WAITS));
#endif
}
#endif

int main(void)
{
	target_kept[0] = malloc(10);
	target_ready();
	target_kept[1] = malloc(WAITS);
	if (!target_kept[1]) {
		await_test();
		_exit(0);
	}
	target_kept[2] = malloc(20);
	int status = 1;
	if (waitpid((pid_t)(intptr_t)target_kept[1], &status, 0) < 0 || status)
		target_fail("its child ended with 0x%x", status);
	target_done();
	return target_result("");
}
