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

	.section .text.entry, "ax", @progbits
	.globl	agent_entry
	.hidden	agent_control, agent_shared, agent_call
	.type	agent_entry, @function
agent_entry:
	endbr64
	mov	agent_control(%rip), %ecx	/* "on" */
	jrcxz	1f
	push	%rax
	lahf
	seto	%al
	push	%rax
	push	%rdx
	push	%rsi
	push	%rdi
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	mov	88(%rsp), %rcx
	mov	-NOP_AND_CALL(%rcx), %edx
	lea	120(%rsp), %rcx
	mov	64(%rsp), %rax
	push	%rdx			/* hook */
	push	%rax			/* result */
	push	128(%rsp)		/* 3rd argument */
	push	128(%rsp)
	push	128(%rsp)		/* 1st */
	push	%rbp			/* fp */
	push	%rcx			/* slot */
	push	%fs:0			/* pointer */
	lea	agent_shared(%rip), %rdi
	mov	%rsp, %rsi
	call	agent_call
	lea	64(%rsp), %rsp
	movzbl	%al, %ecx
	xor	$1, %ecx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rax
	add	$0x7f, %al		/* overflows if 1 */
	sahf
	pop	%rax
	ret
1:	mov	$1, %ecx
	ret
	.size	agent_entry, . - agent_entry

	.section .note.GNU-stack, "", @progbits
