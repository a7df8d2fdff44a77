/*
 * Allocators by hand (x86-64), for what compilers don't make of a function's first bytes.
 * One is made of each of:
 *
 *    PLAIN    nothing special
 *    TEXTREL  malloc has an address in it that the loader writes there
 *    COVERED  the same, within its first five bytes
 *    SHORT    functions of 8 to 14 bytes, one right behind the other
 *    BRANCH   memalign jumps to malloc's second instruction
 *    TABLE    the same, by an address in its data
 *    SWITCH   malloc has a switch, a case of which is its second instruction
 *    FALLS    calloc is one instruction, and falls into malloc
 *    ALIKE    in front of malloc is data, and then code whose bytes, out of step, jump into malloc
 *    LANDS    calloc's second instruction is a NOTYPE symbol that memalign calls by its name
 *
 * Memory is never used again; in front of each block lies its size.
 */
	.macro function name
	.globl \name
	.type \name, @function
#ifndef SHORT
	.p2align 4
#endif
\name:	.cfi_startproc
	.endm
	.macro done name
	.cfi_endproc
	.size \name, . - \name
	.endm

	.text
#ifdef SHORT
	.byte 0x90, 0x90, 0x90 /* so that nothing is aligned */
#endif
/* rdi: size; rax: the block */
	.type alloc, @function
alloc:	.cfi_startproc
	lea 31(%rdi), %rdx
	and $-16, %rdx
	lea state(%rip), %rcx
	lock xadd %rdx, (%rcx)
	lea heap + 16(%rip), %rax
	add %rdx, %rax
	mov %rdi, -8(%rax)
	ret
	done alloc

#ifdef FALLS
function calloc
	imul %rsi, %rdi
	done calloc
	.globl malloc
	.type malloc, @function
malloc:	.cfi_startproc
#else
#ifdef ALIKE
	.p2align 4
	.skip 7, 0x90
	.byte 0xbe, 0, 0 /* mov $..., %esi, if it were an instruction: jl to malloc + 2 would follow */
	.cfi_startproc
	mov %rdi, 8(%rsp)
	.skip 20, 0x90
	jmp alloc
	.cfi_endproc
#endif
function malloc
#endif
#if defined(COVERED)
	movabs $state, %rdx
	mov %rdi, %rcx
	add $31, %rcx
	and $-16, %rcx
	lock xadd %rcx, (%rdx)
	lea heap + 16(%rip), %rax
	add %rcx, %rax
	mov %rdi, -8(%rax)
	ret
#elif defined(TEXTREL)
	mov %rdi, %rdx
	movabs $state, %rax
	add $31, %rdx
	and $-16, %rdx
	lock xadd %rdx, (%rax)
	lea heap + 16(%rip), %rax
	add %rdx, %rax
	mov %rdi, -8(%rax)
	ret
#else
	xor %esi, %esi
.Lsecond:
	mov %rdi, %rdx
#ifdef SWITCH
	test %edi, %edi
	jns .Lelse
	lea table(%rip), %rcx
	movslq (%rcx, %rsi, 4), %rax
	add %rcx, %rax
	jmp *%rax
.Lelse:
#endif
	jmp alloc
#endif
	done malloc
	.byte 0x90

#ifndef FALLS
function calloc
	imul %rsi, %rdi
#ifdef LANDS
	.globl calloc_behind
calloc_behind:
#endif
	xor %esi, %esi
	jmp alloc
	done calloc
#endif

function free
	lea freed(%rip), %rcx
	lock incq (%rcx)
	ret
	done free

function memalign
#if defined(BRANCH)
	mov %rsi, %rdi
	or $1, %esi
	jmp .Lsecond
#elif defined(TABLE)
	mov %rsi, %rdi
	or $1, %esi
	jmp *way(%rip)
#else
	mov %rsi, %rdi
	xor %esi, %esi
	jmp alloc
#endif
	done memalign

function realloc
	push %rdi
	.cfi_adjust_cfa_offset 8
	push %rsi
	.cfi_adjust_cfa_offset 8
	sub $8, %rsp
	.cfi_adjust_cfa_offset 8
	mov %rsi, %rdi
	call alloc
	add $8, %rsp
	.cfi_adjust_cfa_offset -8
	pop %rcx
	.cfi_adjust_cfa_offset -8
	pop %rsi
	.cfi_adjust_cfa_offset -8
	test %rsi, %rsi
	jz 1f
	cmp -8(%rsi), %rcx
	jbe 2f
	mov -8(%rsi), %rcx
2:	mov %rax, %rdi
	rep movsb
1:	ret
	done realloc

#ifdef SWITCH
	.section .rodata
	.p2align 2
table:	.long .Lelse - table, .Lsecond - table
#endif
	.data
	.p2align 3
#ifdef TABLE
way:	.quad .Lsecond
#endif
state:	.quad 0
freed:	.quad 0
	.bss
	.p2align 12
heap:	.skip 64 << 20
	.section .note.GNU-stack, "", @progbits
