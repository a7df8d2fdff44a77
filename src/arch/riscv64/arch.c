/*
 * RISC-V, 64 bits (RV64GC, LP64D; the C extension is not needed), as data.
 *
 * Sources: RISC-V ABIs Specification 1.0, "DWARF register numbers" (0 to 31 are x0 to x31; the
 * return address column is 1, ra; the pc has no number, 32 here) and "Integer register
 * convention"; struct user_regs_struct of <asm/ptrace.h>, which is what NT_PRSTATUS holds: pc,
 * then x1 to x31.
 *
 * A system call that was interrupted is put back, or has become EINTR, before a tracer sees the
 * registers (do_signal() in arch/riscv/kernel/signal.c).
 */
#include "arch/native.h"
#include "arch/riscv64/riscv64.h"

#include <elf.h>
#include <linux/audit.h>

#define X(n) [n] = 8 * (n)

enum { RA = 1, SP = 2, TP = 4, S0 = 8, S1 = 9, A0 = 10, A3 = 13, A4 = 14, A7 = 17, PC = 32, REGISTERS };
enum { AT_PC = 0, AT_END = 256 };

#ifndef AUDIT_ARCH_RISCV64 /* of Linux 5.0 */
#define AUDIT_ARCH_RISCV64 (243 | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif

/* By number (asm-generic/unistd.h); for what reason, see x86_64/arch.c. */
static const int16_t eintr_final[] = {
	57,  /* close */
	29,  /* ioctl */
	133, /* rt_sigsuspend */
	128, /* restart_syscall */
	-1,
};

static const struct arch_trap trap = {
	.calls = {135, 178, 130},
	/* (tgkill: its first argument can't be lent to a child by vfork(), as the kernel takes
	 * it from orig_a0, which is in no register set) */
	.call_args = {A0, A0 + 1},

	.arg0 = A4,
	.site = RA,
	.result = RISCV64_TRAP_RESULT,
	.args = RISCV64_TRAP_ARGS,
	.frame = RISCV64_TRAP_FRAME,
	.entry_args = RISCV64_TRAP_ARGS,
	.entry_frame = RISCV64_TRAP_FRAME,
	.arg3 = RISCV64_TRAP_ARG3,
	.mask = 8,
	.mask_reg = A3,

	.patch_len = RISCV64_PATCH_LEN,
	.far_patch_len = RISCV64_FAR_PATCH_LEN,
	.patch_reach = (1u << 20) - 4,
	.magic_len = RISCV64_MAGIC_LEN,
	.magic = riscv64_magic,

	.patch_offset = riscv64_patch_offset,
	.displace = riscv64_displace,
	.callees = riscv64_callees,
	.addresses = riscv64_addresses,
	.ways_in = riscv64_ways_in,
	.stubs_build = riscv64_stubs_build,
	.disarm = riscv64_trap_disarm,
	.change_signal = riscv64_trap_change_signal,
	.is_far_patch = riscv64_is_far_patch,
	.patch_target = riscv64_patch_target,
	.stub_frame = riscv64_stub_frame,

	.page_calls = {222, 215},
	.spare_register = riscv64_spare_register,
	.remote_build = riscv64_remote_build,
	.remote_at = riscv64_remote_at,
	.cut_sets = {0x901}, /* NT_RISCV_VECTOR */
	.cut_where_there = true,
	.copy_build = riscv64_copy_build,
};

const struct arch arch_riscv64 = {
	.name = "riscv64",
	.ports = "riscv64",
	.elf_machine = EM_RISCV,
	.elf_class = ELFCLASS64,
	.word_size = 8,
	.code_mask = ~(uint64_t)0,
	.chain = ARCH_CHAIN_BEHIND,
	.external_rows_first = true, /* (before what the code itself says) */

	.reg_count = REGISTERS,
	.reg_pc = PC,
	.reg_sp = SP,
	.reg_fp = S0,
	.reg_lr = RA,
	/* clang-format off */
	.reg_offset = {
		[0] = ARCH_NO_REG, /* reads as 0 */
		X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11),
		X(12), X(13), X(14), X(15), X(16), X(17), X(18), X(19), X(20), X(21),
		X(22), X(23), X(24), X(25), X(26), X(27), X(28), X(29), X(30), X(31),
		[PC] = AT_PC,
	},
	.reg_name = {
		"zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",
		"a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4",
		"s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5",
		"t6", "pc",
	},
	/* clang-format on */
	.callee_saved = 1u << S0 | 1u << S1 | 0x3ffu << 18, /* s0, s1, s2 to s11 */
	.regs_len = AT_END,

	.syscall_number_offset = -1,
	.syscall_result_offset = 8 * A0,
	.signal_set_len = 8,
	.call_number_offset = 8 * A7,
	.call_number_counts = true, /* syscall_get_nr() in arch/riscv/include/asm/syscall.h */
	.tls_set = 1, /* NT_PRSTATUS */
	.tls_offset = 8 * TP,
	.vector_set = 2, /* NT_PRFPREG */
	.ucontext_sp = 24, /* uc_mcontext is at 176, behind a mask of 128 bytes: pc, ra, sp */
	.audit_arch = AUDIT_ARCH_RISCV64,
	.eintr_final = eintr_final,
	.syscall_insn = {{4, {0x73, 0x00, 0x00, 0x00}}},

	.trap = NATIVE_TRAP(NATIVE_RISCV64, &trap),
};
