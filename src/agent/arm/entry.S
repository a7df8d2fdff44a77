/*
 * Where a stub of 32-bit ARM comes to the agent, by the gate of its area (arch/arm/stub.c).
 *
 * It changes no register but ip, which the gate has put aside, and no flag, and returns to where it was
 * called from if the call is known, and BESIDE bytes behind that if the trap is needed.  r4 to r11 the C
 * code keeps.  It is A32 code; the C code is what the compiler makes, and is called by blx where that
 * is T32.
 *
 * The stack from sp, behind the push of SAVED bytes:
 *
 *    0             a struct agent_call (agent.h)
 *    CALL          r0 to r3, the flags, return address into the gate
 *    FRAME         ip
 *    FRAME + 4     site: return address into the stub, whose number is in the pld in front of that call
 *    FRAME + 8     1st, 2nd, 3rd argument, pushed by the stub
 *    FRAME + 20    return address into the caller
 *
 * Before ARMv6K there is no register for a thread pointer: the kernel says it, by a function at a fixed
 * address (Documentation/arch/arm/kernel_user_helpers.rst).
 */
#define CALL 64
#define SAVED 24
#define FRAME (CALL + SAVED)
#define NUMBER 8 /* from the pld to the site */
#define IS_ENTERED 0x800
#define ENTERED 0x10000 /* SHARED_ENTERED */
#define BESIDE 20

#define KUSER_GET_TLS 0xffff0fe0

	.syntax unified
	.arm
	.cfi_sections .debug_frame
	.section .text.entry, "ax", %progbits
	.globl	agent_entry
	.hidden	agent_control, agent_shared, agent_call
	.type	agent_entry, %function
agent_entry:
	.cfi_startproc
	mrs	ip, cpsr
	push	{r0, r1, r2, r3, ip, lr}
	.cfi_def_cfa_offset SAVED
	.cfi_offset lr, -4
	ldr	r3, 6f
1:	ldr	r3, [pc, r3]			/* "on" */
	cmp	r3, #0
	sub	sp, sp, #CALL
	.cfi_def_cfa_offset FRAME
	beq	4f
	mov	r3, #0
	str	r0, [sp, #48]			/* result */
	str	r3, [sp, #52]
#if __ARM_FEATURE_LDREX & 8
	mrc	p15, 0, r0, c13, c0, 3
#else
	ldr	ip, =KUSER_GET_TLS		/* (changes r0 and lr) */
	blx	ip
#endif
	str	r0, [sp]			/* pointer */
	str	r3, [sp, #4]
	add	r0, sp, #FRAME + 20
	str	r0, [sp, #8]			/* slot */
	str	r3, [sp, #12]
	str	r11, [sp, #16]			/* fp */
	str	r3, [sp, #20]
	ldr	r0, [sp, #FRAME + 8]
	ldr	r1, [sp, #FRAME + 12]
	ldr	r2, [sp, #FRAME + 16]
	str	r0, [sp, #24]			/* 1st argument */
	str	r3, [sp, #28]
	str	r1, [sp, #32]
	str	r3, [sp, #36]
	str	r2, [sp, #40]
	str	r3, [sp, #44]
	ldr	r2, [sp, #FRAME + 4]
	ldr	r2, [r2, #-NUMBER]
	ldr	r0, 7f
	lsl	r1, r2, #21			/* the lower 11 bits */
	lsr	r1, r1, #21
	tst	r2, #IS_ENTERED
	orrne	r1, r1, #ENTERED
	str	r1, [sp, #56]			/* hook */
	str	r3, [sp, #60]
2:	add	r0, pc, r0
	mov	r1, sp
	bl	agent_call
	tst	r0, #0xff			/* a bool */
4:	ldr	lr, [sp, #CALL + 20]
	.cfi_restore lr
	addeq	lr, lr, #BESIDE
	ldr	ip, [sp, #CALL + 16]
	add	sp, sp, #CALL
	.cfi_def_cfa_offset SAVED
	msr	cpsr_f, ip
	pop	{r0, r1, r2, r3}
	.cfi_def_cfa_offset 8
	add	sp, sp, #8
	.cfi_def_cfa_offset 0
	bx	lr
	.cfi_endproc
6:	.word	agent_control - (1b + 8)
7:	.word	agent_shared - (2b + 8)
	.ltorg
	.size	agent_entry, . - agent_entry

	.section .note.GNU-stack, "", %progbits
