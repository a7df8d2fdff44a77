/*
 * A CPU architecture, as data: registers, system calls, call stacks.  Everything that differs
 * between CPUs and is not kernel access is here, and in trap.h; there is no #ifdef on the CPU
 * anywhere else, and every build knows every architecture.
 *
 * To add one: a folder with arch.c (the tables: this one, and that of trap.h), insn.c
 * (instruction lengths and kinds), displace.c (moving instructions), stub.c (the stubs), each
 * with its unit test; in arch.c a line in the list and one in arch_native().  That traces, and
 * unwinds by DWARF CFI.  What else an ABI puts into its files is read where the ELF file's
 * machine is asked for: code addresses with a state bit (elf/image_symbols.c), CFI instructions
 * of its own (unwind/cfi_program.c), other tables, signal frames without CFI and code that must
 * be read itself (unwind/unwinder.c).  Proof: a line in CPUS of tests/cross/guest.py and its
 * kernel boots, one in VARIANTS of tests/cross/record_cases.py and its stacks become cases.
 *
 * For the agent (agent/agent.h), which a port may leave out, and then the trap serves: the gate in stub.c,
 * trap->agent_calls, agent/CPU/entry.S, BLOB_FLAGS_CPU in the Makefile, and on 32 bits what is atomic in
 * region/atom.h.  Proof: AGENT_CPUS of tests/cross/build.py.
 *
 * Words of memory and registers are in the target's size and byte order: arch_word().
 */
#ifndef MEMTRACE_CPU_H
#define MEMTRACE_CPU_H

#include <string.h>

#include "base/types.h"

enum {
	ARCH_MAX_REGS = 34,    /* DWARF numbers kept by a full unwind */
	ARCH_REGS_BYTES = 512, /* largest NT_PRSTATUS register block */
	ARCH_SIGNAL_SET = 16,  /* largest signal_set_len */
	ARCH_NO_REG = -1,
};

#define ARCH_HOST_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) /* this memtrace's own words */

/* A thread's registers as PTRACE_GETREGSET(NT_PRSTATUS) gives them. */
struct regs {
	uint32_t len; /* bytes used */
	_Alignas(8) uint8_t bytes[ARCH_REGS_BYTES];
};

/* How frame pointers are chained: [fp] = the caller's fp, [fp + word] = the return address. */
enum arch_chain {
	ARCH_CHAIN_TOP,	  /* the pair lies on top of its frame: the caller's sp is behind it */
	ARCH_CHAIN_BELOW, /* at its lower end: the caller's sp is where the caller's own pair is
			   */
	ARCH_CHAIN_BEHIND, /* [fp - 2 words] and [fp - word]: the caller's sp is fp (RISC-V) */
	ARCH_CHAIN_NONE,  /* they are not */
};

struct arch_trap;

struct arch {
	const char *name;  /* "x86_64" */
	const char *ports; /* what distributions call it: "armhf or armel" */
	uint16_t elf_machine;
	uint8_t elf_class;   /* ELFCLASS32 / 64 */
	uint8_t word_size;   /* 4 or 8 */
	bool big_endian;     /* its words in memory and in struct regs */
	uint64_t code_mask;  /* see walk.h */
	uint64_t state_mask; /* bits of a code address that say how to read the code: Thumb */

	/* Call stacks. */
	enum arch_chain chain;
	bool external_rows_first; /* what memtrace-fs knows of a frame goes before what the file
				   * says: .ARM.exidx has less than .debug_frame */

	/* Registers: DWARF numbers, and where each lies in struct regs. */
	int reg_count;
	int reg_pc, reg_sp, reg_fp,
		reg_lr; /* DWARF numbers; reg_pc = the return address column */
	int16_t reg_offset[ARCH_MAX_REGS]; /* byte offset in NT_PRSTATUS; ARCH_NO_REG: not there
					    */
	const char *reg_name[ARCH_MAX_REGS];
	uint32_t callee_saved; /* bit n: DWARF register n survives a call by the ABI */
	uint32_t regs_len;     /* NT_PRSTATUS bytes */

	/* System calls, for making interrupted ones invisible. */
	int16_t syscall_number_offset; /* in NT_PRSTATUS: the call being made (x86: orig_rax); <
					* 0: it is not there, or the kernel does not look at the
					* result behind a stop */
	/* It is not there, but PTRACE_PEEKUSER 0 gives that of a call that has failed (else 0), and
	 * the kernel looks at the result behind a stop (MIPS: regs[0]). */
	bool syscall_number_peeked;
	int16_t syscall_result_offset;
	int16_t call_number_offset; /* in a system call: of its number */
	/* The register set (NT_*) by which a tracer changes the call that is about to be made,
	 * where it is not in NT_PRSTATUS; 0: by PTRACE_SET_SYSCALL. */
	uint16_t syscall_set;
	bool call_number_counts; /* .. the kernel reads that register again behind the stop, and
				  * the first argument from a place of its own (RISC-V) */
	/* The flag that tells an error, whose number is then the result (MIPS: a3; PowerPC: a
	 * bit of cr).  mask 0: there is none, and an error is a result of -4095 to -1. */
	struct {
		int16_t offset;
		uint32_t mask;
	} syscall_error;
	uint8_t signal_set_len; /* bytes of the kernel's sigset_t: 8 (MIPS: 16) */
	/* The thread pointer, which on a thread's stack that the C library made lies on top:
	 * the word at tls_offset of the register set tls_set (NT_*), or, where that is 0, what
	 * PTRACE_GET_THREAD_AREA gives, which has that number; less tls_bias. */
	uint16_t tls_set, tls_offset, tls_bias;
	uint8_t thread_area;
	/* The agent reads the word that it points to, which is the pointer itself by the ABI (x86-64),
	 * and faults where there is none; not the pointer. */
	bool tls_is_read;
	uint8_t pointer_tag_bits; /* uppermost bits of an address that the CPU does not look at */
	uint8_t red_zone;	  /* bytes below sp that are a function's own */
	uint16_t vector_set; /* the register set (NT_*) with all of the vector registers */
	uint8_t ucontext_sp; /* words from a signal frame's ucontext to the sp that it saved */
	uint8_t ucontext_pc; /* and to the pc; 0: nobody asks, where there can be no agent */
	taddr_t helpers[2];  /* from, to: the kernel's functions that an agent may call; 0: none */
	bool stack_size_first; /* in its stack_t the size comes before the flags */
	uint32_t plain_uc_flags; /* of a frame that says nothing of the alternate stack; 0: all
				    do */
	uint8_t plain_sp; /* a handler without SA_SIGINFO has a frame that begins with pc and
			   * registers, each of 8 bytes: which of them sp is.  0: it has not */
	uint32_t audit_arch; /* AUDIT_ARCH_* of <linux/audit.h>, as seccomp filters see it */
	const int16_t *eintr_final; /* calls that must NOT be made again after -EINTR (close);
				       -1 ends */
	/* The instruction that makes a system call, each way that there is; len 0: no more. */
	struct {
		uint8_t len, bytes[4];
	} syscall_insn[2];

	const struct arch_trap
		*trap; /* arch/trap.h.  NULL: its files are read, nothing is traced */
};

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

/* The same, written. */
static inline void arch_put_word(const struct arch *arch, void *bytes, uint64_t value)
{
	uint32_t half = (uint32_t)value;

	if (arch->big_endian != ARCH_HOST_BIG) {
		half = __builtin_bswap32(half);
		value = __builtin_bswap64(value);
	}
	if (arch->word_size == sizeof(half))
		memcpy(bytes, &half, sizeof(half));
	else
		memcpy(bytes, &value, sizeof(value));
}

/* The first 64 signals of the kernel's sigset_t at `bytes`, an array of words. */
uint64_t arch_signal_set(const struct arch *arch, const void *bytes);
/* The same, written; what else is in it stays. */
void arch_put_signal_set(const struct arch *arch, void *bytes, uint64_t set);

extern const struct arch arch_x86_64;
extern const struct arch arch_aarch64;
extern const struct arch arch_arm; /* armel and armhf, A32 and T32 */
extern const struct arch arch_mipsel, arch_mips; /* o32, little- and big-endian */
extern const struct arch arch_riscv64;

/* By ELF e_machine, class and byte order; NULL: not supported. */
const struct arch *arch_find(uint16_t elf_machine, uint8_t elf_class, bool big_endian);

/* The architecture this memtrace runs on (and can trace). */
const struct arch *arch_native(void);

/* Register access by DWARF number; a register that isn't there reads as 0. */
uint64_t regs_read(const struct arch *arch, const struct regs *regs, int reg);
void regs_write(const struct arch *arch, struct regs *regs, int reg, uint64_t value);

/* The word at a byte offset of the block, sign-extended. */
int64_t regs_word(const struct arch *arch, const struct regs *regs, int offset);

/* The result of the system call that has ended: -4095 to -1 is -errno. */
int64_t regs_syscall_result(const struct arch *arch, const struct regs *regs);

#endif
