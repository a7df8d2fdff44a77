/*
 * A CPU architecture, as data and encoders.  Everything that differs between CPUs and is
 * not kernel access is here; there is no #ifdef on the CPU anywhere else, and every build
 * knows every architecture.
 *
 * To add one: a folder with arch.c (the table below), insn.c (instruction lengths and
 * kinds), displace.c (moving instructions), stub.c (the stubs), each with its unit test; in
 * arch.c a line in the list and one in arch_native().  That traces, and unwinds by DWARF
 * CFI.  What else an ABI puts into its files is read where the ELF file's machine is asked
 * for: code addresses with a state bit (elf/image_symbols.c), CFI instructions of its own
 * (unwind/cfi_program.c), other tables, signal frames without CFI and code that must be
 * read itself (unwind/unwinder.c).  Proof: a line in CPUS of tests/cross/guest.py and its
 * kernel boots, one in VARIANTS of tests/cross/record_cases.py and its stacks become cases.
 */
#ifndef MEMTRACE_ARCH_H
#define MEMTRACE_ARCH_H

#include <string.h>

#include "base/err.h"
#include "base/types.h"

enum {
	ARCH_MAX_REGS = 34,      /* DWARF numbers kept by a full unwind */
	ARCH_REGS_BYTES = 512,   /* largest NT_PRSTATUS register block */
	ARCH_MAX_DISPLACED = 64, /* bytes of original code a patch may displace */
	ARCH_NO_REG = -1,
};

#define ARCH_HOST_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) /* this memtrace's own words */

/* A thread's registers as PTRACE_GETREGSET(NT_PRSTATUS) gives them. */
struct regs {
	uint32_t len; /* bytes used */
	_Alignas(8) uint8_t bytes[ARCH_REGS_BYTES];
};

/*
 * Displaced code: the first whole instructions of a function, moved elsewhere.
 *
 *   function:  [ patch: jump to stub ]  rest...
 *                 displaced instructions = bytes [0, original_len)
 *   copy:      [ the same, pc-relative forms rewritten ][ jump to function + original_len ]
 *
 * map[] lets a thread caught inside be moved between both: instruction i is at
 * function + map[i].original and at copy + map[i].copy.  The jump back, where there is
 * one, is the last entry, with original == original_len.  Padding has no entry.
 */
struct displaced {
	uint32_t original_len;
	uint32_t copy_len; /* including the jump back */
	bool calls;        /* a function is called from the copy: no exception may come back */
	uint8_t copy[ARCH_MAX_DISPLACED * 3];
	uint32_t count;
	struct {
		uint8_t original, copy;
	} map[ARCH_MAX_DISPLACED];
};

/* What a stub does with the calls of its function. */
enum stub_kind {
	STUB_RETURN, /* runs the function, then traps: malloc, calloc, posix_memalign ... */
	STUB_ENTRY,  /* traps, then runs the function: free, _dl_debug_state */
	STUB_BOTH,   /* traps, runs the function, traps: realloc, reallocarray */
	/*
	 * Runs another function that does the same but cannot throw, and traps when
	 * it succeeded; else runs the function itself, without a frame of ours that
	 * an exception would have to pass: an allocator's own operator new, for which
	 * its malloc is called.
	 */
	STUB_INSTEAD,
};

/* One function to stub, and what came of it. */
struct stub {
	enum stub_kind kind;
	taddr_t function;           /* where the patch goes (behind endbr64 / bti) */
	uint32_t skipped;           /* bytes of the function in front of that, readable before code[i] */
	bool thumb;                 /* ARM: it is T32 code */
	uint32_t instead;           /* STUB_INSTEAD: index of the stub, an earlier one, of what is run */
	bool swap;                  /* STUB_INSTEAD: with its first two arguments exchanged */
	bool must_stay;             /* somebody's breakpoint is on the first instruction: see `stays` */
	struct displaced displaced; /* by arch->displace() for a copy at `copy` */
	/* filled in by arch->stubs_build(): */
	taddr_t entry;       /* where the patch jumps to */
	taddr_t copy;        /* the displaced code */
	taddr_t trap_entry;  /* return address of its call of the trap, entry side (0: none) */
	taddr_t copy_return; /* return address of its call of the copy (0: STUB_ENTRY) */
	taddr_t trap_return; /* return address of its call of the trap, return side (0: none) */
	uint8_t patch[16];   /* arch->patch_len bytes for stub_patch_at() */
	/*
	 * Bytes of the first instruction, where it stays in place in front of the patch: what
	 * a uprobe replaces and runs elsewhere, by the file.  It has then been executed when
	 * the stub is entered, which takes back by how much it lowered sp; the copy runs it
	 * again.
	 */
	uint32_t stays, lowered;
};

static inline taddr_t stub_patch_at(const struct stub *stub)
{
	return stub->function + stub->stays;
}

/*
 * A system call that a thread of the target makes for us, in code that needs nobody (see
 * tracer/remote.h): the call, then every register that it changes := what it was, then on
 * where the thread was.
 */
enum { REMOTE_ARGUMENTS = 6, REMOTE_CODE = 128 };

struct remote_call {
	int64_t number;
	uint64_t argument[REMOTE_ARGUMENTS];
};

struct remote_code {
	taddr_t at;
	uint32_t len;
	uint8_t bytes[REMOTE_CODE];
	taddr_t behind;	   /* pc of a thread that is in the call */
	struct regs begin; /* with these registers it is entered */
};

/* Covered bytes, begin < address < end: in between nothing may enter. */
struct covered {
	taddr_t begin, end;
};

/* A branch or an address, by an instruction whose pc-relative field is at `at`. */
struct way {
	taddr_t at, target;
};

/* Where in a stub a pc is. */
enum stub_place {
	STUB_OUTSIDE,
	STUB_BEFORE, /* the function has not begun: set pc to it and sp to sp + stub_frame() */
	STUB_COPY,   /* in the displaced code: see displaced.map */
	STUB_BEHIND, /* the function has returned (STUB_INSTEAD: the other one has) */
};
enum stub_place stub_place(const struct stub *stub, taddr_t pc);

/*
 * The bytes for one module's slack: header, the trap subroutine, one stub per
 * function.
 *
 *   base: [ magic 8 | total length 4 | reserved 4 ][ trap subroutine ][ stub ][ copy ][ stub ][ copy ]...
 *
 * The trap subroutine is the soft trap: save registers; unblock the signal; gettid,
 * tkill(tid, signo); [trap_pc]; restore the mask; restore registers; return, with the
 * arguments that the stub pushed taken off the stack (but on AArch64, where no
 * instruction can).  A traced thread is reported at trap_pc, an untraced one drops the
 * signal and goes on.
 *
 * At trap_pc, by arch (x86-64): the registers hold
 *      arg0 register of the trap (arch->trap_arg0): the function's 1st argument (entry side)
 *      arch->trap_site: return address of the call of the trap: stub.trap_entry / trap_return
 * and on the stack, from sp:
 *      sp + trap_result:  the function's result (return side)
 *      sp + trap_args:    its first three arguments as words, 1st lowest (both sides)
 *      sp + trap_frame:   the return address into the function's caller; the caller's
 *                         CFA (its sp after return) is that + one word
 *      on entry side trap_args/trap_frame differ: trap_entry_args, trap_entry_frame.
 *      sp + trap_arg3:    the 4th argument, if there is one (entry side)
 *      sp + trap_mask:    the thread's signal mask, 64 bits; also in trap_mask_reg
 * Callee-saved registers are the caller's, but for trap_saved_reg.  On CPUs with a link
 * register the stub's first push puts it into the slot that trap_frame names.
 *
 * Stub, trap, patch and jump back leave alone what the function would: all registers that
 * it keeps, whether or not a convention says so, and the flags.  See x86_64/stub.c.
 */
struct stub_area {
	taddr_t base;
	uint32_t room;      /* bytes available at base */
	uint32_t len;       /* bytes used */
	taddr_t trap;       /* the trap subroutine */
	taddr_t trap_open;  /* from here on, up to trap_pc, its signal is unblocked; sp is as at trap_pc */
	taddr_t trap_pc;    /* pc of a thread in the trap: behind the tkill */
	taddr_t trap_done;  /* behind its last system call */
	taddr_t trap_skip;  /* a thread moved there from trap_pc goes on as behind that call */
	taddr_t harden;     /* where trap_harden()'s bytes go */
	taddr_t hard;       /* the hard trap: a break instruction instead; 0: the arch has none */
	taddr_t hard_pc;    /* pc as reported for it */
	uint8_t bytes[2048];
};

struct callee { /* one of the two, state_mask bits included */
	taddr_t target;
	taddr_t slot; /* where the target's address lies */
};

struct arch {
	const char *name;  /* "x86_64" */
	const char *ports; /* what distributions call it: "armhf or armel" */
	uint16_t elf_machine;
	uint8_t elf_class; /* ELFCLASS32 / 64 */
	uint8_t word_size;   /* 4 or 8 */
	bool big_endian;     /* its words in memory and in struct regs */
	uint64_t code_mask;  /* see walk.h */
	uint64_t state_mask; /* bits of a code address that say how to read the code: Thumb */

	/* Registers: DWARF numbers, and where each lies in struct regs. */
	int reg_count;
	int reg_pc, reg_sp, reg_fp, reg_lr; /* DWARF numbers; reg_pc = the return address column */
	int16_t reg_offset[ARCH_MAX_REGS];  /* byte offset in NT_PRSTATUS; ARCH_NO_REG: not there */
	const char *reg_name[ARCH_MAX_REGS];
	uint32_t callee_saved; /* bit n: DWARF register n survives a call by the ABI */
	uint32_t regs_len;     /* NT_PRSTATUS bytes */

	/* System calls, for making interrupted ones invisible. */
	int16_t syscall_number_offset; /* in NT_PRSTATUS: the call being made (x86: orig_rax); < 0: it is
	                                * not there, or the kernel does not look at the result behind a stop */
	int16_t syscall_result_offset;
	/* The thread pointer, which on a thread's stack that the C library made lies on top: the
	 * word at tls_offset of the register set tls_set (NT_*), or, where that is 0, what
	 * PTRACE_GET_THREAD_AREA gives. */
	uint16_t tls_set, tls_offset;
	uint8_t ucontext_sp;   /* words from a signal frame's ucontext to the sp that it saved */
	uint32_t plain_uc_flags; /* of a frame that says nothing of the alternate stack; 0: all do */
	uint32_t audit_arch;   /* AUDIT_ARCH_* of <linux/audit.h>, as seccomp filters see it */
	int16_t trap_calls[3]; /* the soft trap's: rt_sigprocmask, gettid, tkill */
	const int16_t *eintr_final; /* calls that must NOT be made again after -EINTR (close); -1 ends */

	/* Where trap data lies: see struct stub_area. */
	int trap_arg0, trap_site; /* DWARF register numbers */
	int16_t trap_result;
	int16_t trap_args, trap_frame;
	int16_t trap_entry_args, trap_entry_frame;
	int16_t trap_arg3;
	int16_t trap_mask;
	int trap_mask_reg[2]; /* DWARF register numbers: its low word, its high one or ARCH_NO_REG */
	/* A callee-saved register (DWARF number) that the trap has put aside, and where:
	 * sp + trap_saved.  0 (both): none. */
	int16_t trap_saved_reg, trap_saved;

	uint32_t patch_len;     /* bytes a patch overwrites */
	taddr_t patch_reach;    /* farthest |entry - function| */
	uint32_t magic_len;
	const uint8_t *magic;   /* first bytes of a stub area: how a successor knows it */

	/*
	 * Offset of the first byte that may be patched: behind endbr64 / bti.
	 */
	uint32_t (*patch_offset)(const uint8_t *code, size_t len);
	/*
	 * Decodes code (len bytes that stand at `from`; state_mask bits included) until at least patch_len
	 * bytes are covered, and rewrites them to stand at `to`, with a jump back.
	 * A function that ends before (ret, jmp) may be covered with the padding
	 * behind it, and only with padding.  All of len is taken for the function's
	 * own and searched for branches into the covered bytes, so it should reach
	 * to the next symbol (that is, include the padding) and no farther: a
	 * neighbour's tail call would count as such a branch.
	 * -ENOTSUP with the reason in err: cannot be displaced (unknown instruction,
	 * a call, a way back into the covered bytes, too short).  -ERANGE: refers
	 * to what can't be reached from `to`.
	 */
	int (*displace)(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
			struct displaced *ret, struct err *err);
	/* Where code (len bytes that stand at `from`, state_mask bits included) leads to: its
	 * calls and jumps, at most max of them, up to an instruction that is not known. */
	size_t (*callees)(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
			  size_t max);
	/* Which addresses the same code makes, in one register, state_mask bits included. */
	size_t (*addresses)(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret,
			    size_t max);
	/*
	 * Lays out and encodes the area at area->base: fills area->bytes/len/trap/
	 * trap_pc and, per stub, entry, copy, displaced (from code[i], code_len[i]:
	 * the original bytes at stubs[i].function), trap_* and patch.
	 * -ENOSPC: does not fit in area->room; -ERANGE: out of the patch's reach, or
	 * as displace(); -ENOTSUP as displace(); -EINVAL: signo is not 1..31.
	 * `failed` (may be NULL) = index of the stub.  After a failure *area (but base
	 * and room) and stubs[] are undefined; calling again is all right.
	 */
	int (*stubs_build)(struct stub_area *area, int signo, struct stub *stubs, size_t count,
			   const uint8_t *const *code, const size_t *code_len, size_t *failed,
			   struct err *err);
	/*
	 * The direct branches, and addresses taken, that lead into one of the covered ranges
	 * (count >= 1), in code (len bytes that stand at `from`, state_mask bits included): of
	 * the instructions that follow each other from its beginning, or, `anywhere`, of
	 * whatever could be one.  Returns how many, ret has the first max.  NULL: a patch
	 * covers one instruction, there is nothing in between.
	 */
	size_t (*ways_in)(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
			  const struct covered *covered, size_t count, struct way *ret,
			  size_t max);
	/* Is there a breakpoint of somebody's that covers no more than the first byte of an
	 * instruction?  NULL: the architecture has none. */
	bool (*is_breakpoint)(const uint8_t *code);
	/* The bytes that, written at area->trap, make the trap return at once.  len <= 8. */
	uint32_t (*trap_disarm)(uint8_t *ret);
	/*
	 * Makes the soft trap of area->bytes send another signal.  In the target that
	 * may be done while no thread is between area->trap and area->trap_pc.  NULL:
	 * the architecture can't.
	 */
	void (*trap_resign)(struct stub_area *area, int signo);
	/*
	 * The bytes that, written at area->harden, make the soft trap lead to the hard
	 * one: for targets whose system calls are filtered (seccomp, Syscall User Dispatch).
	 * They cover one whole instruction.  len <= 8.  NULL: not there, such targets are
	 * refused.
	 */
	uint32_t (*trap_harden)(const struct stub_area *area, uint8_t *ret);
	/* Where patch_len bytes found at `function` (with state_mask bits) jump to, or 0: they
	 * are no patch, or no instruction can begin there.
	 * Functions may begin with a jump of their own: look for the magic in front of
	 * where it leads. */
	taddr_t (*patch_target)(const uint8_t *code, taddr_t function);
	/*
	 * Unwinds our own code, for a walk that meets it below an allocator that calls
	 * another one, or below a signal handler: the return address of the frame at pc
	 * lies at sp + the result; the CFA is that + one word; callee-saved registers
	 * are unchanged.  `stub` = the stub pc is in (copy_return is the common case),
	 * or NULL: the trap.  `called`: pc is a return address, and what was called there
	 * has not come back (the trap takes the arguments off when it does).  -ENOENT: pc
	 * is in neither, or in the copy, where the function's own unwind data holds for the
	 * mapped pc.
	 */
	int (*stub_frame)(const struct stub_area *area, const struct stub *stub, taddr_t pc,
			  bool called);

	/* The instruction that makes a system call, each way that there is; len 0: no more. */
	struct {
		uint8_t len, bytes[4];
	} syscall_insn[2];
	int16_t page_calls[2]; /* mmap (mmap2), munmap */
	/*
	 * Encodes ret for the place `at`; regs: of a thread that stands in a stop by a signal or an
	 * interrupt.  The code uses neither stack nor flags nor data, so a thread that is left alone
	 * anywhere in it comes home; a system call of its own that the stop has interrupted is
	 * made again there.  -ENOTSUP: not from where that thread is.  NULL: the architecture can't.
	 */
	int (*remote_build)(taddr_t at, const struct remote_call *call, const struct regs *regs,
			    struct remote_code *ret);
};

extern const struct arch arch_x86_64;
extern const struct arch arch_aarch64;
extern const struct arch arch_arm; /* armel and armhf, A32 and T32 */

/* The word that lies at `bytes` (word_size of them), zero-extended. */
static inline uint64_t arch_word(const struct arch *arch, const void *bytes)
{
	uint32_t half;
	uint64_t word;

	if (arch->word_size == sizeof(half)) {
		memcpy(&half, bytes, sizeof(half));
		return arch->big_endian == ARCH_HOST_BIG ? half : __builtin_bswap32(half);
	}
	memcpy(&word, bytes, sizeof(word));
	return arch->big_endian == ARCH_HOST_BIG ? word : __builtin_bswap64(word);
}

/* By ELF e_machine and class; NULL: not supported. */
const struct arch *arch_find(uint16_t elf_machine, uint8_t elf_class);

/* The architecture this memtrace runs on (and can trace). */
const struct arch *arch_native(void);

/* Register access by DWARF number; a register that isn't there reads as 0. */
uint64_t regs_read(const struct arch *arch, const struct regs *regs, int reg);
void regs_write(const struct arch *arch, struct regs *regs, int reg, uint64_t value);

#endif
