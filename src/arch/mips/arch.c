/*
 * MIPS, 32 bits (o32), both orders of bytes, releases 1 to 5, as data.
 *
 * Sources: the MIPS ABI (System V, 3rd edition) and its o32 registers; struct pt_regs of Linux
 * (arch/mips/include/asm/ptrace.h) by regset: NT_PRSTATUS are 45 words, r0 at the seventh,
 * lo, hi, epc, badvaddr, status, cause behind r31 (arch/mips/kernel/ptrace.c, gpr32_get(), which
 * leaves r0, k0 and k1 out).
 *
 * DWARF: 0 to 31 are r0 to r31, and a CIE's return address column is ra; the pc has no number, and
 * here the next one.
 *
 * A signal that is blocked is one of 128; struct sigset_t has 16 bytes.  An error of a system
 * call is a flag, a3, and a positive number, v0.
 *
 * Code of MIPS16 and microMIPS is told by bit 0 of its address.  It is walked through by its
 * unwind data, and is not patched.
 */
#include "arch/mips/mips.h"
#include "arch/native.h"

#include <elf.h>

enum { A0 = 4, A3 = 7, V0 = 2, V1 = 3, T9 = 25, SP = 29, S8 = 30, RA = 31, PC, REGISTERS };
enum { WORD = 4, AT_R0 = 6 * WORD, AT_PC = 40 * WORD, AT_END = 45 * WORD };
enum { UCONTEXT_REGISTERS = 10 }; /* words; each has 8 bytes */

#define AT(n)  (AT_R0 + WORD * (n))
#define R(n)   [n] = AT(n)

/* Calls that are not made again when a stop of ours made them return -EINTR; reasons as in
 * x86_64/arch.c. */
static const int16_t eintr_final[] = {
	4006, /* close */
	4029, /* pause */
	4054, /* ioctl */
	4072, /* sigsuspend */
	4199, /* rt_sigsuspend */
	4253, /* restart_syscall */
	-1,
};

static const struct arch_trap trap = {
	.calls = {4195, 4222, 4236},
	.tgkill = 4266,
	.call_args = {A0, A0 + 1},

	.arg0 = T9,
	.site = RA,
	.result = MIPS_TRAP_RESULT,
	.args = MIPS_TRAP_ARGS,
	.frame = MIPS_TRAP_FRAME,
	.entry_args = MIPS_TRAP_ARGS,
	.entry_frame = MIPS_TRAP_FRAME,
	.arg3 = MIPS_TRAP_ARG3,
	.mask_reg = V1,

	.patch_len = MIPS_PATCH_LEN,
	/* (what is in the same 256 MB is what counts: stubs_build() says) */
	.patch_reach = 1 << 28,
	.magic_len = MIPS_MAGIC_LEN,
	.magic = mips_magic,

	.patch_offset = mips_patch_offset,
	.callees = mips_callees,
	.addresses = mips_addresses,
	.displace = mips_displace,
	.ways_in = mips_ways_in,
	.stubs_build = mips_stubs_build,
	.disarm = mips_trap_disarm,
	.change_signal = mips_trap_change_signal,
	.patch_target = mips_patch_target,
	.stub_frame = mips_stub_frame,

	.page_calls = {4210, 4091},
	.remote_build = mips_remote_build,
	.remote_at = mips_remote_at,
	.call_at = -4,
	.copy_build = mips_copy_build,
	.copy_waits_by_wait4 = true,
};

/* clang-format off */
#define MIPS_COMMON                                                                       \
	.elf_machine = EM_MIPS,                                                           \
	.elf_class = ELFCLASS32,                                                          \
	.word_size = WORD,                                                                \
	.code_mask = 0xfffffffe,                                                          \
	.state_mask = 1,                                                                  \
	.chain = ARCH_CHAIN_NONE,                                                         \
	.external_rows_first = true,                                                      \
                                                                                          \
	.reg_count = REGISTERS,                                                           \
	.reg_pc = PC,                                                                     \
	.reg_sp = SP,                                                                     \
	.reg_fp = S8,                                                                     \
	.reg_lr = RA,                                                                     \
	.reg_offset = {                                                                   \
		R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), R(8), R(9), R(10),        \
		R(11), R(12), R(13), R(14), R(15), R(16), R(17), R(18), R(19), R(20),     \
		R(21), R(22), R(23), R(24), R(25), R(26), R(27), R(28), R(29), R(30),     \
		R(31), [PC] = AT_PC,                                                      \
	},                                                                                \
	.reg_name = {                                                                     \
		"zero", "at", "v0", "v1", "a0", "a1", "a2", "a3", "t0", "t1", "t2", "t3", \
		"t4", "t5", "t6", "t7", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7",   \
		"t8", "t9", "k0", "k1", "gp", "sp", "s8", "ra", "pc",                     \
	},                                                                                \
	.callee_saved = 0xffu << 16 | 1u << 28 | 1u << S8, /* s0 to s7, gp, s8 */         \
	.regs_len = AT_END,                                                               \
                                                                                          \
	.syscall_number_offset = -1,                                                      \
	.syscall_number_peeked = true,                                                    \
	.syscall_result_offset = AT(V0),                                                  \
	.call_number_offset = AT(V0),                                                     \
	.syscall_error = {AT(A3), UINT32_MAX},                                            \
	.signal_set_len = 16,                                                             \
	.thread_area = 25, /* arch/mips/include/uapi/asm/ptrace.h */                      \
	.tls_bias = 0x7000,                                                               \
	.vector_set = 2, /* NT_PRFPREG */                                                 \
	.stack_size_first = true,                                                         \
	.plain_sp = 1 + SP,                                                               \
	.eintr_final = eintr_final,                                                       \
	.syscall_insn = {{4, MIPS_SYSCALL_BYTES}}

#define MIPS_SYSCALL_BYTES {0x0c, 0, 0, 0}
const struct arch arch_mipsel = {
	.name = "mipsel",
	.ports = "mipsel",
	.audit_arch = 0x40000008, /* AUDIT_ARCH_MIPSEL */
	.ucontext_sp = UCONTEXT_REGISTERS + 2 * SP,
	MIPS_COMMON,
	.trap = ARCH_HOST_BIG ? NULL : NATIVE_TRAP(NATIVE_MIPS, &trap),
};
#undef MIPS_SYSCALL_BYTES

#define MIPS_SYSCALL_BYTES {0, 0, 0, 0x0c}
const struct arch arch_mips = {
	.name = "mips",
	.ports = "mips",
	.big_endian = true,
	.audit_arch = 0x00000008, /* AUDIT_ARCH_MIPS */
	.ucontext_sp = UCONTEXT_REGISTERS + 2 * SP + 1,
	MIPS_COMMON,
	.trap = ARCH_HOST_BIG ? NATIVE_TRAP(NATIVE_MIPS, &trap) : NULL,
};
/* clang-format on */
