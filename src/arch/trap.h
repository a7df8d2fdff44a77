/*
 * A CPU architecture, as encoders: moving instructions, stubs, the trap, system calls that the
 * target makes for us.  What it is made of: arch/cpu.h.
 */
#ifndef MEMTRACE_TRAP_H
#define MEMTRACE_TRAP_H

#include "arch/cpu.h"
#include "base/err.h"

enum { ARCH_MAX_DISPLACED = 64 }; /* bytes of original code a patch may displace */

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
	uint32_t covered;  /* by the patch, where more is moved than it needs; else 0 */
	uint32_t copy_len; /* including the jump back */
	bool calls;        /* a function is called from the copy: no exception may come back */
	uint8_t copy[ARCH_MAX_DISPLACED * 3];
	uint32_t count;
	struct {
		uint8_t original, copy;
	} map[ARCH_MAX_DISPLACED];
};

/* How many bytes of the function are not to be entered in between. */
static inline uint32_t displaced_covered(const struct displaced *d)
{
	return d->covered ? d->covered : d->original_len;
}

/*
 * What a stub does with the calls of its function.  It calls the payload, code in the same
 * area that all stubs share: the trap, or what is in front of it.
 */
enum stub_kind {
	STUB_RETURN, /* runs the function, then calls it: malloc, calloc, posix_memalign ... */
	STUB_ENTRY,  /* calls it, then runs the function: free, _dl_debug_state */
	STUB_BOTH,   /* calls it, runs the function, calls it: realloc, reallocarray */
	/*
	 * Runs another function that does the same but cannot throw, and calls it when
	 * it succeeded; else runs the function itself, without a frame of ours that
	 * an exception would have to pass: an allocator's own operator new, for which
	 * its malloc is called.
	 */
	STUB_INSTEAD,
};

/* Beside a number: see struct stub. */
#define STUB_ENTERED (1u << 16)

/* One function to stub, and what came of it. */
struct stub {
	enum stub_kind kind;
	taddr_t function;           /* where the patch goes (behind endbr64 / bti) */
	uint32_t skipped;           /* bytes of the function in front of that, readable before code[i] */
	bool thumb;                 /* ARM: it is T32 code */
	uint32_t instead;           /* STUB_INSTEAD: index of the stub, an earlier one, of what is run */
	bool swap;                  /* STUB_INSTEAD: with its first two arguments exchanged */
	uint32_t number;            /* what the agent knows its calls by; 0: it is not asked */
	                            /* (STUB_BOTH: + STUB_ENTERED at the first side) */
	bool on_stack;              /* STUB_RETURN, STUB_BOTH: it has more than four arguments, which 32-bit
	                               ARM passes on the stack: at most four words of them */
	bool nothing_for_0;         /* a call whose first argument is 0 is of no interest */
	bool must_stay;             /* somebody's breakpoint is on the first instruction: see `stays` */
	struct displaced displaced; /* by trap->displace() for a copy at `copy` */
	/* filled in by trap->stubs_build(): */
	taddr_t entry;          /* where the patch jumps to */
	taddr_t copy;           /* the displaced code */
	/* return addresses of its calls; 0: there is none on that side */
	taddr_t payload_entry;  /* of the payload, before the function runs */
	taddr_t copy_return;    /* of the copy (0: STUB_ENTRY) */
	taddr_t payload_return; /* of the payload, when the function has returned */
	uint8_t patch[16];      /* arch_patch_len() bytes for stub_patch_at() */
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
enum { REMOTE_ARGUMENTS = 6, REMOTE_CODE = 288 };

struct remote_call {
	int64_t number;
	uint64_t argument[REMOTE_ARGUMENTS];
};

struct remote_code {
	unsigned spare; /* given: a register that nobody reads any more at the thread's pc (spare_register()) */
	taddr_t at;
	uint32_t len;
	uint8_t bytes[REMOTE_CODE];
	taddr_t behind;	   /* pc of a thread that is in the call, or the last of them */
	taddr_t behind_clone; /* copy_build(): in that which makes a process */
	struct regs begin; /* with these registers it is entered */
	struct regs calling; /* to be set where it has entered the call; len 0: none */
	struct regs home;  /* to be set where it leaves the call, or stops elsewhere: the thread
			    * is home.  len 0: as they were */
	struct regs ended; /* .. where it leaves the call, if that differs (len) */
	bool enters;	   /* .. but for its own call, which it is to enter, and be stopped in */
};

/* Where the kernel puts a thread back on its interrupted call before the stop (AArch64, ARM):
 * the instruction at its pc. */
enum remote_at {
	REMOTE_AT_CODE,	   /* no system call */
	REMOTE_AT_CALL,	   /* one that may be made, and interrupted, again */
	REMOTE_AT_LEAVING, /* one that does not come back, or not here: exit, exec, clone ... */
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
 * The trap, the payload that asks nobody.  The soft one is a subroutine: save registers;
 * unblock the signal; gettid, tkill(tid, signo); [pc]; restore the mask; restore registers;
 * return, with the arguments that the stub pushed taken off the stack (but on AArch64, where
 * no instruction can).  A traced thread is reported at pc, an untraced one drops the signal
 * and goes on.
 *
 * Where stub_area.process says for whom the trap is, it is tgkill(process, tid, signo): no other
 * process with the same code, a child by vfork or fork, can ever send itself the signal, whoever
 * traces that, unless its tracer lends it the number (tracer/sharer_calls.c).
 *
 * At pc, by arch (x86-64): the registers hold
 *      arg0 register of the trap (trap->arg0): the function's 1st argument (entry side)
 *      trap->site: return address of the payload's call: stub.payload_entry / payload_return
 * and on the stack, from sp:
 *      sp + result:  the function's result (return side)
 *      sp + args:    its first three arguments as words, 1st lowest (both sides)
 *      sp + frame:   the return address into the function's caller; the caller's
 *                         CFA (its sp after return) is that + one word
 *      on entry side args/frame differ: entry_args, entry_frame.
 *      sp + arg3:    the 4th argument, if there is one (entry side)
 *      sp + mask:    the thread's signal mask, 64 bits; its lower word also in mask_reg
 * Callee-saved registers are the caller's, but for saved_reg.  On CPUs with a link
 * register the stub's first push puts it into the slot that `frame` names.
 */
struct trap_place { /* addresses */
	taddr_t begin;
	taddr_t open;	  /* from here on, up to pc, its signal is unblocked; sp is as at pc */
	taddr_t pc;	  /* of a thread in the trap: behind the tkill */
	taddr_t done;	  /* behind its last system call */
	taddr_t skip;	  /* a thread moved there from pc goes on as behind that call */
	taddr_t to_break; /* where use_break()'s bytes go */
	taddr_t hard;	  /* the hard trap: a break instruction instead; 0: the arch has none */
	taddr_t hard_pc;  /* pc as reported for it */
};

/*
 * The bytes for one module's padding: header, the payload, one stub per function.
 *
 *   base: [ magic 8 | total length 4 | reserved 4 ][ gate ][ trap ][ stub ][ copy ][ stub ][
 * copy ]...
 *
 * Stub, payload, patch and jump back leave alone what the function would: all registers that
 * it keeps, whether or not a convention says so, and the flags.  See x86_64/stub.c.
 */
struct stub_area {
	taddr_t base;
	uint32_t room;      /* bytes available at base */
	uint32_t len;       /* bytes used */
	taddr_t agent;      /* its entry, which is asked before the trap; 0: there is none */
	taddr_t gate;       /* what asks it */
	uint32_t process;   /* its own number of the process whose threads stop; 0: whoever does */
	struct trap_place trap;
	uint8_t bytes[2048];
};

struct callee { /* one of the two, state_mask bits included */
	taddr_t target;
	taddr_t slot; /* where the target's address lies */
};

struct arch_trap {
	int16_t calls[3]; /* the soft trap's: rt_sigprocmask, gettid, tkill */
	int16_t tgkill;   /* in place of that, with stub_area.process; 0: it is not used */
	int call_args[2]; /* the first arguments of a system call: DWARF numbers */

	/* Where trap data lies: see struct trap_place. */
	int arg0, site; /* DWARF numbers */
	int16_t result;
	int16_t args, frame;
	int16_t entry_args, entry_frame;
	int16_t arg3;
	int16_t mask;
	int mask_reg; /* DWARF number */
	/* A callee-saved register (DWARF number) that the trap has put aside, and where:
	 * sp + saved.  0 (both): none. */
	int16_t saved_reg, saved;

	uint32_t patch_len;     /* bytes a patch overwrites */
	/* .. of two instructions, where one does not reach; 0: there is none such.  A thread may be
	 * between the two (tracer/between.h). */
	uint32_t far_patch_len;
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
	 * Lays out and encodes the area at area->base: fills area->bytes, len,
	 * gate, trap and, per stub, entry, copy, displaced (from code[i], code_len[i]:
	 * the original bytes at stubs[i].function), payload_* and patch.
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
	/* The bytes that, written at area->trap.begin, make the trap return at once.  len <= 8.
	 * Also while threads run through it: they differ in one byte, or an aligned word. */
	uint32_t (*disarm)(uint8_t *ret);
	/*
	 * Makes the soft trap of area->bytes send another signal.  In the target that
	 * may be done while no thread is between area->trap.begin and area->trap.pc.  NULL:
	 * the architecture can't.
	 */
	void (*change_signal)(struct stub_area *area, int signo);
	/*
	 * The bytes that, written at area->trap.to_break, make the soft trap lead to the hard
	 * one: for targets whose system calls are filtered (seccomp, Syscall User Dispatch).
	 * They cover one whole instruction.  len <= 8.  NULL: not there, such targets are
	 * refused.
	 */
	uint32_t (*use_break)(const struct stub_area *area, uint8_t *ret);
	/* Is that how a far patch begins? */
	bool (*is_far_patch)(const uint8_t *code);
	/* Where arch_patch_most() bytes found at `function` (with state_mask bits) jump to, or 0: they
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

	int16_t page_calls[2]; /* mmap (mmap2), munmap */
	int16_t agent_calls[4]; /* madvise, memfd_create, mprotect, close; 0: it has no agent */
	/*
	 * Encodes ret for the place `at`; regs: of a thread in a stop by a signal or an
	 * interrupt.  The code uses neither stack nor flags nor data, so a thread that is left alone
	 * anywhere in it comes home; a system call of its own that the stop has interrupted is
	 * made again there.  `own`, where remote_at is not NULL: what that call, on which regs
	 * stand, ended with when it was made again and interrupted anew; NULL: regs stand on none.
	 * -ENOTSUP: not from where that thread is; -ERANGE: that is too far from `at`.  NULL: the
	 * architecture can't.
	 */
	int (*remote_build)(taddr_t at, const struct remote_call *call, const struct regs *regs,
			    const int64_t *own, struct remote_code *ret);
	/* A register that nobody reads any more from code + at on, 0: none is known.  NULL: it needs none. */
	unsigned (*spare_register)(const uint8_t *code, size_t len, size_t at);
	/* code: 4 bytes at their pc + call_at.  NULL: the call is in the registers
	 * (syscall_number_offset). */
	enum remote_at (*remote_at)(const struct regs *regs, const uint8_t *code);
	/* From the pc of a thread that a stop has interrupted in a call to the call's instruction:
	 * 0 where the kernel has put it back before the stop; else it does so behind that, with
	 * registers that are seen where the call is entered again. */
	int8_t call_at;
	/* Register sets (NT_*) that say in their header whether a thread has vectors in use that
	 * a system call would cut off (Documentation/arch/arm64/sve.rst, 3); 0: none. */
	uint16_t cut_sets[2];
	bool cut_where_there; /* .. or by there being such a set (Documentation/arch/riscv/vector.rst, 3) */
	/*
	 * The same by which a thread has its process copied (tracer/copy.h).  mask: its signal mask
	 * (signal_set_len bytes, as PTRACE_GETSIGMASK gives them), as it is to be when it is home.
	 * NULL: the architecture can't.
	 */
	int (*copy_build)(taddr_t at, const void *mask, const struct regs *regs,
			  const int64_t *own, struct remote_code *ret);
	bool copy_waits_by_wait4; /* .. for its helper: not by waitid(), which has five arguments */
};

/* 0: none, or this machine traces none of that CPU, and only walks its recorded stacks. */
static inline int arch_saved_reg(const struct arch *arch)
{
	return arch->trap ? arch->trap->saved_reg : 0;
}

/* How long the longest patch is, and the one that code (as much of it) is, if it is one. */
static inline uint32_t arch_patch_most(const struct arch_trap *trap)
{
	return trap->far_patch_len ? trap->far_patch_len : trap->patch_len;
}

static inline uint32_t arch_patch_len(const struct arch_trap *trap, const uint8_t *code)
{
	return trap->is_far_patch && trap->is_far_patch(code) ? trap->far_patch_len : trap->patch_len;
}

#endif
