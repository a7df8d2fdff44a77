/*
 * 32-bit ARM, soft and hard float, ARMv5TE and later, as data.
 *
 * Sources: DWARF for the Arm Architecture (AADWARF32), table 1; AAPCS32 6.1.1 (register
 * usage); struct pt_regs of Linux (arch/arm/include/uapi/asm/ptrace.h), which is what
 * NT_PRSTATUS holds: r0-r15, cpsr, ORIG_r0.
 *
 * reg_fp is r11: that of A32 code.  Thumb code has its frame pointer, if any, in r7;
 * see unwind/exidx.c.
 *
 * The instruction cache: code is written through /proc/PID/mem only, and the kernel then
 * makes it visible itself: access_remote_vm() -> copy_to_user_page() (arch/arm/mm/flush.c)
 * -> flush_ptrace_access(), which for a VM_EXEC mapping cleans the data cache and
 * invalidates the instruction cache, on all cores where they don't share it.  So no call
 * of cacheflush (0x0f0002) is made in the target.
 */
#include "arch/arm/arm.h"
#include "arch/native.h"

#include <elf.h>

/* clang-format off */
enum { /* DWARF numbers, and words of NT_PRSTATUS */
	R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, R11, R12, SP, LR, PC, REGISTERS
};
/* clang-format on */

enum { AT_CPSR = 64, AT_ORIG_R0 = 68, AT_END = 72 };

/*
 * Calls that are not made again when a stop of ours made them return -EINTR; reasons as
 * in x86_64/arch.c.
 */
static const int16_t eintr_final[] = {
	0,   /* restart_syscall */
	6,   /* close */
	29,  /* pause */
	54,  /* ioctl */
	179, /* rt_sigsuspend */
	-1,
};

static const struct arch_trap trap = {
	.calls = {175, 224, 238},
	.tgkill = 268,
	.call_args = {0, 1},

	.arg0 = R12,
	.site = LR,
	.result = ARM_TRAP_RESULT,
	.args = ARM_TRAP_ARGS,
	.frame = ARM_TRAP_FRAME,
	.entry_args = ARM_TRAP_ARGS,
	.entry_frame = ARM_TRAP_FRAME,
	.arg3 = ARM_TRAP_ARG3,
	.mask_reg = 3,
	.saved_reg = R7,
	.saved = ARM_TRAP_R7,

	.patch_len = ARM_PATCH_LEN,
	.patch_reach = (1 << 24) - ARM_PATCH_LEN,
	.magic_len = ARM_MAGIC_LEN,
	.magic = arm_magic,

	.patch_offset = arm_patch_offset,
	.callees = arm_callees,
	.addresses = arm_addresses,
	.displace = arm_displace,
	.ways_in = arm_ways_in,
	.stubs_build = arm_stubs_build,
	.disarm = arm_trap_disarm,
	.change_signal = arm_trap_change_signal,
	.patch_target = arm_patch_target,
	.stub_frame = arm_stub_frame,

	.page_calls = {192, 91},
	.agent_calls = {220, 385, 125, 6},
	.remote_build = arm_remote_build,
	.remote_at = arm_remote_at,
	.copy_build = arm_copy_build,
};

const struct arch arch_arm = {
	.name = "arm",
	.ports = "armhf or armel",
	.elf_machine = EM_ARM,
	.elf_class = ELFCLASS32,
	.word_size = 4,
	.code_mask = 0xfffffffe,
	.state_mask = 1,
	.chain = ARCH_CHAIN_NONE,
	.external_rows_first = true,

	.reg_count = REGISTERS,
	.reg_pc = PC,
	.reg_sp = SP,
	.reg_fp = R11,
	.reg_lr = LR,
	/* clang-format off */
	.reg_offset = {
		[R0] = 0, [R1] = 4, [R2] = 8, [R3] = 12, [R4] = 16, [R5] = 20, [R6] = 24,
		[R7] = 28, [R8] = 32, [R9] = 36, [R10] = 40, [R11] = 44, [R12] = 48,
		[SP] = 52, [LR] = 56, [PC] = 60,
	},
	.reg_name = {
		[R0] = "r0", [R1] = "r1", [R2] = "r2", [R3] = "r3", [R4] = "r4", [R5] = "r5",
		[R6] = "r6", [R7] = "r7", [R8] = "r8", [R9] = "r9", [R10] = "r10",
		[R11] = "r11", [R12] = "r12", [SP] = "sp", [LR] = "lr", [PC] = "pc",
	},
	/* clang-format on */
	.callee_saved =
		1 << R4 | 1 << R5 | 1 << R6 | 1 << R7 | 1 << R8 | 1 << R9 | 1 << R10 | 1 << R11,
	.regs_len = AT_END,

	/* Calls that end with -EINTR are not made again: a call's number stays in r7, and
	 * nothing tells the end of a call from a sigreturn() to behind it, where the
	 * program must see its EINTR. */
	.syscall_number_offset = -1,
	.syscall_result_offset = 0,
	.signal_set_len = 8,
	.call_number_offset = 4 * 7, /* r7 */
	.thread_area = 22, /* arch/arm/include/uapi/asm/ptrace.h */
	.vector_set = 0x400, /* NT_ARM_VFP */
	.ucontext_sp = 21,
	.ucontext_pc = 23,
	/* Documentation/arch/arm/kernel_user_helpers.rst, in use before ARMv6K (region/atom.h) */
	.helpers = {0xffff0f60, 0xffff1000},
	.plain_uc_flags = 0x5ac3c35a, /* setup_frame() in arch/arm/kernel/signal.c */
	.audit_arch = 0x40000028, /* AUDIT_ARCH_ARM */
	.eintr_final = eintr_final,
	.syscall_insn = {{4, {0x00, 0x00, 0x00, 0xef}}, {2, {0x00, 0xdf}}},

	.trap = NATIVE_TRAP(NATIVE_ARM, &trap),
};
