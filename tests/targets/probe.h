/*
 * A call with all general registers and flags as a pattern says, which notes what they are
 * afterwards.  It needs no register of its own, so that all can be held to the rule that
 * what a function leaves alone is left alone by whoever watches it.
 */
#ifndef PROBE_H
#define PROBE_H

struct state {
	unsigned long reg[32]; /* REGISTERS of them, in the order of the code below */
	unsigned long flags;
};

void probe(const void *function, struct state *state);
extern const unsigned char probe_return[]; /* where the call comes back to */
extern const void *probe_target;
const void *probe_target;

#define STRING(x)	#x
#define NUMBER(x)	STRING(x)
#define AT(label)	".globl " label "\n" label ":\n"
#define FUNCTION(label) ".type " label ", %function\n" AT(label)

/* clang-format off */
#if defined(__x86_64__)
#define REGISTERS 15 /* rax rcx rdx rbx rsi rdi rbp r8-r15 */
#define ARGUMENT   5
#define ARGUMENT_2 4
#define LINK	  -1
/* carry, parity, adjust, zero, sign, overflow; direction, too: a loop downwards */
#define FLAGS	  0xcd5
#define CODE	  ".text\n"
__asm__(CODE FUNCTION("probe")
	"	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rsi\n"
	"	mov %rdi, probe_target(%rip); mov %rsi, %rax\n"
	"	push 256(%rax); popfq\n"
	"	mov 8(%rax), %rcx; mov 16(%rax), %rdx; mov 24(%rax), %rbx; mov 32(%rax), %rsi\n"
	"	mov 40(%rax), %rdi; mov 48(%rax), %rbp; mov 56(%rax), %r8; mov 64(%rax), %r9\n"
	"	mov 72(%rax), %r10; mov 80(%rax), %r11; mov 88(%rax), %r12; mov 96(%rax), %r13\n"
	"	mov 104(%rax), %r14; mov 112(%rax), %r15; mov (%rax), %rax\n"
	"	call *probe_target(%rip)\n"
	AT("probe_return")
	"	pushfq; push %rax; mov 16(%rsp), %rax\n"
	"	mov %rcx, 8(%rax); mov %rdx, 16(%rax); mov %rbx, 24(%rax); mov %rsi, 32(%rax)\n"
	"	mov %rdi, 40(%rax); mov %rbp, 48(%rax); mov %r8, 56(%rax); mov %r9, 64(%rax)\n"
	"	mov %r10, 72(%rax); mov %r11, 80(%rax); mov %r12, 88(%rax); mov %r13, 96(%rax)\n"
	"	mov %r14, 104(%rax); mov %r15, 112(%rax); pop (%rax); pop 256(%rax)\n"
	"	cld; pop %rsi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
	"	ret\n"
	);
#elif defined(__aarch64__)
#define REGISTERS 31
#define ARGUMENT   0
#define ARGUMENT_2 1
#define LINK	  30 /* changed by the call */
#define FLAGS	  0xf0000000
#define CODE	  ".text\n"
__asm__(CODE FUNCTION("probe")
	"	stp x29, x30, [sp, #-112]!\n"
	"	stp x19, x20, [sp, #16]; stp x21, x22, [sp, #32]; stp x23, x24, [sp, #48]\n"
	"	stp x25, x26, [sp, #64]; stp x27, x28, [sp, #80]; str x1, [sp, #96]\n"
	"	mov x30, x0; mov x0, x1; ldr x1, [x0, #256]; msr nzcv, x1\n"
	"	ldp x2, x3, [x0, #16]; ldp x4, x5, [x0, #32]; ldp x6, x7, [x0, #48]\n"
	"	ldp x8, x9, [x0, #64]; ldp x10, x11, [x0, #80]; ldp x12, x13, [x0, #96]\n"
	"	ldp x14, x15, [x0, #112]; ldp x16, x17, [x0, #128]; ldp x18, x19, [x0, #144]\n"
	"	ldp x20, x21, [x0, #160]; ldp x22, x23, [x0, #176]; ldp x24, x25, [x0, #192]\n"
	"	ldp x26, x27, [x0, #208]; ldp x28, x29, [x0, #224]; ldp x0, x1, [x0]\n"
	"	blr x30\n"
	AT("probe_return")
	"	stp x0, x1, [sp, #-16]!; ldr x0, [sp, #112]\n"
	"	stp x2, x3, [x0, #16]; stp x4, x5, [x0, #32]; stp x6, x7, [x0, #48]\n"
	"	stp x8, x9, [x0, #64]; stp x10, x11, [x0, #80]; stp x12, x13, [x0, #96]\n"
	"	stp x14, x15, [x0, #112]; stp x16, x17, [x0, #128]; stp x18, x19, [x0, #144]\n"
	"	stp x20, x21, [x0, #160]; stp x22, x23, [x0, #176]; stp x24, x25, [x0, #192]\n"
	"	stp x26, x27, [x0, #208]; stp x28, x29, [x0, #224]; str x30, [x0, #240]\n"
	"	mrs x1, nzcv; str x1, [x0, #256]; ldp x1, x2, [sp], #16; stp x1, x2, [x0]\n"
	"	ldp x19, x20, [sp, #16]; ldp x21, x22, [sp, #32]; ldp x23, x24, [sp, #48]\n"
	"	ldp x25, x26, [sp, #64]; ldp x27, x28, [sp, #80]; ldp x29, x30, [sp], #112\n"
	"	ret\n"
	);
#elif defined(__arm__)
#define REGISTERS 14 /* r0-r12, lr */
#define ARGUMENT   0
#define ARGUMENT_2 1
#define LINK	  13
#define FLAGS	  0xf8000000
#if __ARM_ARCH < 7
#define CODE	  ".text\n.syntax unified\n.arch armv7-a\n.arm\n.balign 4\n"
#else
#define CODE	  ".text\n.syntax unified\n.arm\n.balign 4\n"
#endif
#ifdef __thumb__
#define CODE_END  ".thumb\n"
#else
#define CODE_END  ".arm\n"
#endif
__asm__(CODE FUNCTION("probe")
	"	push {r1, r4-r11, lr}; mov lr, r0\n"
	"	ldr r2, [r1, #128]; msr CPSR_f, r2; ldm r1, {r0-r12}\n"
	"	blx lr\n"
	AT("probe_return")
	"	push {r0, lr}; ldr r0, [sp, #8]; str r1, [r0, #4]\n"
	"	add r1, r0, #8; stm r1, {r2-r12}; mrs r1, CPSR; str r1, [r0, #128]\n"
	"	pop {r1, r2}; str r1, [r0]; str r2, [r0, #52]\n"
	"	pop {r1, r4-r11, pc}\n"
	CODE_END);
#elif defined(__riscv)
#define REGISTERS 28 /* a0-a7, t0-t6, s0-s11, ra */
#define ARGUMENT   0
#define ARGUMENT_2 1
#define LINK	  27
#define FLAGS	  0
#define CODE	  ".text\n.balign 4\n"
__asm__(CODE FUNCTION("probe")
	"	addi sp, sp, -112; sd ra, 104(sp); sd a1, 96(sp)\n"
	"	sd s0, 0(sp); sd s1, 8(sp); sd s2, 16(sp); sd s3, 24(sp); sd s4, 32(sp)\n"
	"	sd s5, 40(sp); sd s6, 48(sp); sd s7, 56(sp); sd s8, 64(sp); sd s9, 72(sp)\n"
	"	sd s10, 80(sp); sd s11, 88(sp)\n"
	"	mv ra, a0; mv a0, a1\n"
	"	ld a1, 8(a0); ld a2, 16(a0); ld a3, 24(a0); ld a4, 32(a0); ld a5, 40(a0)\n"
	"	ld a6, 48(a0); ld a7, 56(a0); ld t0, 64(a0); ld t1, 72(a0); ld t2, 80(a0)\n"
	"	ld t3, 88(a0); ld t4, 96(a0); ld t5, 104(a0); ld t6, 112(a0); ld s0, 120(a0)\n"
	"	ld s1, 128(a0); ld s2, 136(a0); ld s3, 144(a0); ld s4, 152(a0); ld s5, 160(a0)\n"
	"	ld s6, 168(a0); ld s7, 176(a0); ld s8, 184(a0); ld s9, 192(a0); ld s10, 200(a0)\n"
	"	ld s11, 208(a0)\n"
	"	ld a0, 0(a0); jalr ra, 0(ra)\n"
	AT("probe_return")
	"	addi sp, sp, -16; sd a0, 0(sp); ld a0, 112(sp)\n"
	"	sd a1, 8(a0); sd a2, 16(a0); sd a3, 24(a0); sd a4, 32(a0); sd a5, 40(a0)\n"
	"	sd a6, 48(a0); sd a7, 56(a0); sd t0, 64(a0); sd t1, 72(a0); sd t2, 80(a0)\n"
	"	sd t3, 88(a0); sd t4, 96(a0); sd t5, 104(a0); sd t6, 112(a0); sd s0, 120(a0)\n"
	"	sd s1, 128(a0); sd s2, 136(a0); sd s3, 144(a0); sd s4, 152(a0); sd s5, 160(a0)\n"
	"	sd s6, 168(a0); sd s7, 176(a0); sd s8, 184(a0); sd s9, 192(a0); sd s10, 200(a0)\n"
	"	sd s11, 208(a0); sd ra, 216(a0)\n"
	"	ld a1, 0(sp); sd a1, 0(a0); addi sp, sp, 16\n"
	"	ld s0, 0(sp); ld s1, 8(sp); ld s2, 16(sp); ld s3, 24(sp); ld s4, 32(sp)\n"
	"	ld s5, 40(sp); ld s6, 48(sp); ld s7, 56(sp); ld s8, 64(sp); ld s9, 72(sp)\n"
	"	ld s10, 80(sp); ld s11, 88(sp)\n"
	"	ld ra, 104(sp); addi sp, sp, 112; ret\n"
	);
#elif defined(__mips__)
#define REGISTERS 29 /* v0 v1 a0-a3 t0-t7 s0-s7 t8 gp s8 at hi lo ra; (t9 has the function's address) */
#define ARGUMENT   2
#define ARGUMENT_2 3
#define LINK	  28
#define FLAGS	  0ul
#define CODE	  ".text\n.set push\n.set noreorder\n.set noat\n.balign 4\n"
#define CODE_END  ".set pop\n"
__asm__(CODE FUNCTION("probe")
	"	addiu $29, $29, -64; sw $31, 60($29); sw $5, 56($29)\n"
	"	sw $16, 16($29); sw $17, 20($29); sw $18, 24($29); sw $19, 28($29)\n"
	"	sw $20, 32($29); sw $21, 36($29); sw $22, 40($29); sw $23, 44($29)\n"
	"	sw $30, 48($29); sw $28, 52($29)\n"
	"	move $25, $4; lw $2, 104($5); mthi $2; lw $2, 108($5); mtlo $2\n"
	"	lw $2, 0($5); lw $3, 4($5); lw $4, 8($5); lw $6, 16($5)\n"
	"	lw $7, 20($5); lw $8, 24($5); lw $9, 28($5); lw $10, 32($5)\n"
	"	lw $11, 36($5); lw $12, 40($5); lw $13, 44($5); lw $14, 48($5)\n"
	"	lw $15, 52($5); lw $16, 56($5); lw $17, 60($5); lw $18, 64($5)\n"
	"	lw $19, 68($5); lw $20, 72($5); lw $21, 76($5); lw $22, 80($5)\n"
	"	lw $23, 84($5); lw $24, 88($5); lw $28, 92($5); lw $30, 96($5)\n"
	"	lw $1, 100($5)\n"
	"	jalr $25; lw $5, 12($5)\n"
	AT("probe_return")
	"	sw $5, 0($29); lw $5, 56($29)\n"
	"	sw $2, 0($5); sw $3, 4($5); sw $4, 8($5); sw $6, 16($5)\n"
	"	sw $7, 20($5); sw $8, 24($5); sw $9, 28($5); sw $10, 32($5)\n"
	"	sw $11, 36($5); sw $12, 40($5); sw $13, 44($5); sw $14, 48($5)\n"
	"	sw $15, 52($5); sw $16, 56($5); sw $17, 60($5); sw $18, 64($5)\n"
	"	sw $19, 68($5); sw $20, 72($5); sw $21, 76($5); sw $22, 80($5)\n"
	"	sw $23, 84($5); sw $24, 88($5); sw $28, 92($5); sw $30, 96($5)\n"
	"	sw $1, 100($5)\n"
	"	lw $2, 0($29); sw $2, 12($5); sw $31, 112($5); sw $0, 128($5)\n"
	"	mfhi $2; sw $2, 104($5); mflo $2; sw $2, 108($5)\n"
	"	lw $16, 16($29); lw $17, 20($29); lw $18, 24($29); lw $19, 28($29)\n"
	"	lw $20, 32($29); lw $21, 36($29); lw $22, 40($29); lw $23, 44($29)\n"
	"	lw $30, 48($29); lw $28, 52($29)\n"
	"	lw $31, 60($29); jr $31; addiu $29, $29, 64\n"
	CODE_END);
#endif
#ifndef CODE_END
#define CODE_END
#endif
/* clang-format on */

static inline struct state pattern(unsigned long flags)
{
	struct state state = {.flags = flags};

	for (unsigned long i = 0; i < REGISTERS; i++)
		state.reg[i] = ~0ul / 251 * (i + 1);
	return state;
}

#endif
