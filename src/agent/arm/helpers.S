/*
 * What the compiler calls by itself, which elsewhere are functions of libgcc and libc: here there is
 * nothing else.  (Run-time ABI for the Arm Architecture; Documentation/arch/arm/kernel_user_helpers.rst.)
 */
#define KUSER_CMPXCHG 0xffff0fc0
#define KUSER_BARRIER 0xffff0fa0

	.syntax unified
	.arm
	.cfi_sections .debug_frame

	.macro function name
	.section .text.\name, "ax", %progbits
	.globl	\name
	.hidden	\name
	.type	\name, %function
\name:
	.cfi_startproc
	.endm

	.macro end name
	.cfi_endproc
	.ltorg
	.size	\name, . - \name
	.endm

	.macro pushing
	push	{r4, r5, r6, lr}
	.cfi_def_cfa_offset 16
	.cfi_offset r4, -16
	.cfi_offset r5, -12
	.cfi_offset r6, -8
	.cfi_offset lr, -4
	.endm

/* r0 = where, r1 = the byte, r2 = how many; comes back with where. */
function memset
	mov	r3, r0
1:	subs	r2, r2, #1
	strbhs	r1, [r3], #1
	bhi	1b
	bx	lr
end memset

/* r0 = to, r1 = from, r2 = how many; comes back with to. */
function memcpy
	mov	r3, r0
1:	subs	r2, r2, #1
	ldrbhs	ip, [r1], #1
	strbhs	ip, [r3], #1
	bhi	1b
	bx	lr
end memcpy

/* r0 / r1 in r0, the rest in r1: bit by bit.  (By 0: all ones.) */
function __aeabi_uidivmod
	mov	r2, r0
	mov	r3, #32
	mov	ip, #0				/* the rest */
1:	lsls	r2, r2, #1
	adc	ip, ip, ip
	cmp	ip, r1
	subhs	ip, ip, r1
	addhs	r2, r2, #1
	subs	r3, r3, #1
	bne	1b
	mov	r0, r2
	mov	r1, ip
	bx	lr
end __aeabi_uidivmod

/* r1:r0 / r3:r2 in r1:r0, the rest in r3:r2: bit by bit. */
function __aeabi_uldivmod
	pushing
	mov	r4, #0				/* r5:r4: the rest */
	mov	r5, #0
	mov	r6, #64
1:	lsls	r0, r0, #1
	adcs	r1, r1, r1
	adcs	r4, r4, r4
	adcs	r5, r5, r5
	bcs	2f				/* above 64 bits: above the divisor */
	cmp	r5, r3
	cmpeq	r4, r2
	blo	3f
2:	subs	r4, r4, r2
	sbc	r5, r5, r3
	add	r0, r0, #1
3:	subs	r6, r6, #1
	bne	1b
	mov	r2, r4
	mov	r3, r5
	pop	{r4, r5, r6, pc}
end __aeabi_uldivmod

#if !(__ARM_FEATURE_LDREX & 4)
/*
 * Words of 32 bits, before ARMv6: each looks at the word, makes the new one, and asks the kernel's helper
 * to store that if the word is still as it was: r0 = 0 then.  (It changes r3, ip, lr and the flags.)
 */
	.macro change name, how
	function \name
	pushing
	mov	r4, r0
	mov	r5, r1
1:	ldr	r6, [r4]
	mov	r0, r6
	\how	r1, r6, r5
	mov	r2, r4
	ldr	ip, =KUSER_CMPXCHG
	blx	ip
	cmp	r0, #0
	bne	1b
	mov	r0, r6
	pop	{r4, r5, r6, pc}
	end \name
	.endm

change __sync_fetch_and_add_4, add
change __sync_fetch_and_or_4, orr

function __sync_val_compare_and_swap_4
	pushing
	mov	r4, r0
	mov	r5, r1
	mov	r6, r2
1:	ldr	r0, [r4]
	cmp	r0, r5
	popne	{r4, r5, r6, pc}
	mov	r1, r6
	mov	r2, r4
	ldr	ip, =KUSER_CMPXCHG
	blx	ip
	cmp	r0, #0
	bne	1b
	mov	r0, r5
	pop	{r4, r5, r6, pc}
end __sync_val_compare_and_swap_4

function __sync_synchronize
	ldr	ip, =KUSER_BARRIER		/* (changes nothing) */
	bx	ip
end __sync_synchronize
#endif

	.section .note.GNU-stack, "", %progbits
