/*
 * Where a stub of AArch64 comes to the agent, by the gate of its area (arch/aarch64/stub.c).
 *
 * It changes no register but x16, which the gate has put aside, and no flag: x16 = 0 where the
 * trap is not needed.  x19 to x29 the C code keeps, x18 it does not touch (-ffixed-x18), and of the
 * vector registers nothing is used.
 *
 * The stack from sp, behind the push of FRAME bytes:
 *
 *    0            a struct agent_call (agent.h)
 *    CALL         x0 to x15, x17, x30, the flags
 *    FRAME        x16
 *    FRAME + 8    site: return address into the stub, whose number is in the movz in front of that
 *                 call, with 1 << 17 where the function has not run yet
 *                 entry side                     return side
 *    FRAME + 16   x2                             1st, 2nd, 3rd argument
 *    FRAME + 24   return address into the caller
 *    FRAME + 40                                  return address into the caller
 */
#define CALL 64
#define FRAME (CALL + 160)
#define NUMBER 8 /* from the movz to the site */

	.cfi_sections .debug_frame
	.section .text.entry, "ax", @progbits
	.globl	agent_entry
	.hidden	agent_control, agent_shared, agent_call
	.type	agent_entry, @function
agent_entry:
	.cfi_startproc
	hint	#34				/* bti c */
	adrp	x16, agent_control
	ldr	w16, [x16, :lo12:agent_control]	/* "on" */
	cbz	w16, 3f
	sub	sp, sp, #FRAME
	.cfi_def_cfa_offset FRAME
	stp	x17, x30, [sp, #CALL + 128]
	.cfi_offset x30, CALL + 136 - FRAME
	stp	x0, x1, [sp, #CALL]
	stp	x2, x3, [sp, #CALL + 16]
	stp	x4, x5, [sp, #CALL + 32]
	stp	x6, x7, [sp, #CALL + 48]
	stp	x8, x9, [sp, #CALL + 64]
	stp	x10, x11, [sp, #CALL + 80]
	stp	x12, x13, [sp, #CALL + 96]
	stp	x14, x15, [sp, #CALL + 112]
	mrs	x9, nzcv
	str	x9, [sp, #CALL + 144]
	ldr	x9, [sp, #FRAME + 8]
	ldur	w9, [x9, #-NUMBER]
	ubfx	w9, w9, #5, #18
	add	x10, sp, #FRAME + 24
	tbnz	w9, #17, 1f
	add	x10, sp, #FRAME + 40
	ldp	x3, x1, [sp, #FRAME + 16]
	ldr	x2, [sp, #FRAME + 32]
	b	2f
1:	mov	x3, x0
2:	mrs	x11, tpidr_el0
	and	w9, w9, #0x1ffff
	stp	x11, x10, [sp]			/* pointer, slot */
	stp	x29, x3, [sp, #16]		/* fp, 1st argument */
	stp	x1, x2, [sp, #32]
	stp	x0, x9, [sp, #48]		/* result, hook */
	adrp	x0, agent_shared
	add	x0, x0, :lo12:agent_shared
	mov	x1, sp
	bl	agent_call
	eor	w16, w0, #1			/* a bool: the upper bits are anything */
	and	w16, w16, #1
	ldr	x9, [sp, #CALL + 144]
	msr	nzcv, x9
	ldp	x14, x15, [sp, #CALL + 112]
	ldp	x12, x13, [sp, #CALL + 96]
	ldp	x10, x11, [sp, #CALL + 80]
	ldp	x8, x9, [sp, #CALL + 64]
	ldp	x6, x7, [sp, #CALL + 48]
	ldp	x4, x5, [sp, #CALL + 32]
	ldp	x2, x3, [sp, #CALL + 16]
	ldp	x0, x1, [sp, #CALL]
	ldp	x17, x30, [sp, #CALL + 128]
	.cfi_restore x30
	add	sp, sp, #FRAME
	.cfi_def_cfa_offset 0
	ret
3:	mov	w16, #1
	ret
	.cfi_endproc
	.size	agent_entry, . - agent_entry

	.section .note.GNU-stack, "", @progbits
