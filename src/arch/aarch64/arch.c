/*
 * AArch64 (little-endian, LP64), as data.
 *
 * Sources: DWARF for the Arm 64-bit Architecture (AADWARF64), 4.1 (31 is sp, 32 the pc;
 * the return address column of a CIE is 30, the link register); AAPCS64, 6.1.1;
 * struct user_pt_regs of <asm/ptrace.h>, which is what NT_PRSTATUS holds.
 *
 * A system call that ended with -EINTR can't be made again: its result is in x0, where
 * the first argument was, and orig_x0, which keeps that, is in no register set (nor does
 * /proc/PID/syscall show it behind the call).
 */
#include "arch/aarch64/aarch64.h"
#include "arch/native.h"

#include <elf.h>
#include <linux/audit.h>

#define X(n) [n] = 8 * (n)

enum { X0 = 0, FP = 29, LR = 30, SP = 31, PC = 32, REGISTERS };
enum { AT_SP = 248, AT_PC = 256, AT_END = 272 };

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
	.tgkill = 131,
	.call_args = {0, 1},

	.arg0 = 4,
	.site = LR,
	.result = AARCH64_TRAP_RESULT,
	.args = AARCH64_TRAP_ARGS_RETURN,
	.frame = AARCH64_TRAP_FRAME_RETURN,
	.entry_args = AARCH64_TRAP_ARGS_ENTRY,
	.entry_frame = AARCH64_TRAP_FRAME_ENTRY,
	.arg3 = AARCH64_TRAP_ARG3,
	.mask = 8,
	.mask_reg = 3,

	.patch_len = AARCH64_PATCH_LEN,
	.patch_reach = (1u << 27) - 4,
	.magic_len = AARCH64_MAGIC_LEN,
	.magic = aarch64_magic,

	.patch_offset = aarch64_patch_offset,
	.callees = aarch64_callees,
	.addresses = aarch64_addresses,
	.displace = aarch64_displace,
	.stubs_build = aarch64_stubs_build,
	.disarm = aarch64_trap_disarm,
	.change_signal = aarch64_trap_change_signal,
	.patch_target = aarch64_patch_target,
	.stub_frame = aarch64_stub_frame,

	.page_calls = {222, 215},
	.agent_calls = {233, 279, 226, 57},
	.remote_build = aarch64_remote_build,
	.remote_at = aarch64_remote_at,
	.copy_build = aarch64_copy_build,
	.cut_sets = {0x405, 0x40b}, /* NT_ARM_SVE, NT_ARM_SSVE */
};

const struct arch arch_aarch64 = {
	.name = "aarch64",
	.ports = "arm64",
	.elf_machine = EM_AARCH64,
	.elf_class = ELFCLASS64,
	.word_size = 8,
	/* A signature (PAC) lies above the 48 bits of an address. */
	.code_mask = (1ull << 48) - 1,
	.chain = ARCH_CHAIN_BELOW,

	.reg_count = REGISTERS,
	.reg_pc = PC,
	.reg_sp = SP,
	.reg_fp = FP,
	.reg_lr = LR,
	/* clang-format off */
	.reg_offset = {
		X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10),
		X(11), X(12), X(13), X(14), X(15), X(16), X(17), X(18), X(19), X(20),
		X(21), X(22), X(23), X(24), X(25), X(26), X(27), X(28), X(29), X(30),
		[SP] = AT_SP, [PC] = AT_PC,
	},
	.reg_name = {
		"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10",
		"x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20",
		"x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30",
		"sp", "pc",
	},
	/* clang-format on */
	.callee_saved = 0x7ffu << 19, /* x19 to x29 */
	.regs_len = AT_END,

	.syscall_number_offset = -1,
	.syscall_result_offset = 8 * X0,
	.signal_set_len = 8,
	.call_number_offset = 8 * 8, /* x8 */
	.syscall_set = 0x404,	     /* NT_ARM_SYSTEM_CALL */
	.tls_set = 0x401, /* NT_ARM_TLS */
	.pointer_tag_bits = 8,
	.vector_set = 2, /* NT_PRFPREG */
	.ucontext_sp = 54,
	.ucontext_pc = 55,
	.audit_arch = AUDIT_ARCH_AARCH64,
	.eintr_final = eintr_final,
	.syscall_insn = {{4, {0x01, 0x00, 0x00, 0xd4}}},

	.trap = NATIVE_TRAP(NATIVE_AARCH64, &trap),
};
