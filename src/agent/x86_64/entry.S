/*
 * Where a stub of x86-64 comes to the agent, by the gate of its area (arch/x86_64/stub.c).
 *
 * It changes no register but rcx, which the gate has put aside, and no flag: rcx = 0 where the
 * trap is not needed.  lahf, seto and back are faster than pushf and popf.  The direction flag is
 * as it came: nothing in the blob is a string instruction (the build looks).
 *
 * The stack, from sp, behind the pushes:
 *
 *    r11, r10, r9, r8, rdi, rsi, rdx, flags, rax      72 bytes
 *    +72   return address into the gate
 *    +80   rcx
 *    +88   site: return address into the stub, whose number is in the nop in front of that call
 *    +96   1st, 2nd, 3rd argument
 *    +120  return address into the caller
 *
 * and below them a struct agent_call (agent.h), pushed from its end.
 */
#define NOP_AND_CALL 9 /* from the number's first byte to the site */

	.macro pushing what
	push	\what
	.cfi_adjust_cfa_offset 8
	.endm

	.macro popping what
	pop	\what
	.cfi_adjust_cfa_offset -8
	.endm

	.cfi_sections .debug_frame
	.section .text.entry, "ax", @progbits
	.globl	agent_entry
	.hidden	agent_control, agent_shared, agent_call
	.type	agent_entry, @function
agent_entry:
	.cfi_startproc
	endbr64
	mov	agent_control(%rip), %ecx	/* "on" */
	jrcxz	1f
	pushing	%rax
	lahf
	seto	%al
	pushing	%rax
	pushing	%rdx
	pushing	%rsi
	pushing	%rdi
	pushing	%r8
	pushing	%r9
	pushing	%r10
	pushing	%r11
	mov	88(%rsp), %rcx
	mov	-NOP_AND_CALL(%rcx), %edx
	lea	120(%rsp), %rcx
	mov	64(%rsp), %rax
	pushing	%rdx			/* hook */
	pushing	%rax			/* result */
	pushing	128(%rsp)		/* 3rd argument */
	pushing	128(%rsp)
	pushing	128(%rsp)		/* 1st */
	pushing	%rbp			/* fp */
	pushing	%rcx			/* slot */
	.globl	agent_pointer_read, agent_without_pointer
agent_pointer_read:
	pushing	%fs:0			/* pointer */
2:
	lea	agent_shared(%rip), %rdi
	mov	%rsp, %rsi
	call	agent_call
	lea	64(%rsp), %rsp
	.cfi_adjust_cfa_offset -64
	movzbl	%al, %ecx
	xor	$1, %ecx
	popping	%r11
	popping	%r10
	popping	%r9
	popping	%r8
	popping	%rdi
	popping	%rsi
	popping	%rdx
	popping	%rax
	add	$0x7f, %al		/* overflows if 1 */
	sahf
	popping	%rax
	ret
1:	mov	$1, %ecx
	ret
	.cfi_def_cfa_offset 136		/* as in front of the read */
agent_without_pointer:
	push	$0
	.cfi_adjust_cfa_offset 8
	jmp	2b
	.cfi_endproc
	.size	agent_entry, . - agent_entry

	.section .note.GNU-stack, "", @progbits
