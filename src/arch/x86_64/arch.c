/*
 * x86-64, as data.
 *
 * Sources: System V psABI for AMD64, figures 3.4 (register usage) and 3.36 (DWARF
 * numbers; 16 is the return address, which stands for rip); struct
 * user_regs_struct of <sys/user.h>, which is what NT_PRSTATUS holds.
 */
#include "arch/x86_64/x86_64.h"
#include "arch/native.h"

#include <elf.h>
#include <linux/audit.h>

/* clang-format off */
enum { /* DWARF numbers */
	RAX, RDX, RCX, RBX, RSI, RDI, RBP, RSP, R8, R9, R10, R11, R12, R13, R14, R15, RIP, REGISTERS
};
/* clang-format on */

/*
 * Calls that are not made again when a stop of ours made them return -EINTR, by
 * number.  The others have done nothing by then (those that had done a part
 * return how much).
 */
static const int16_t eintr_final[] = {
	3,   /* close: the descriptor is free already, and may be another thread's by now */
	16,  /* ioctl: drivers that can be called again say so (ERESTARTSYS); others may not */
	34,  /* pause: a signal was handled, which is what it waited for */
	130, /* rt_sigsuspend: the same */
	219, /* restart_syscall: the kernel's own "can't be continued" */
	-1,
};

static const struct arch_trap trap = {
	.calls = {14, 186, 200},
	.tgkill = 234,
	.call_args = {RDI, RSI},

	.arg0 = R8,
	.site = R9,
	.result = X86_64_TRAP_RESULT,
	.args = X86_64_TRAP_ARGS,
	.frame = X86_64_TRAP_FRAME,
	.entry_args = X86_64_TRAP_ARGS,
	.entry_frame = X86_64_TRAP_FRAME,
	.arg3 = X86_64_TRAP_ARG3,
	.mask = 8,
	.mask_reg = R10,

	.patch_len = X86_64_PATCH_LEN,
	.patch_reach = INT32_MAX - X86_64_PATCH_LEN,
	.magic_len = X86_64_MAGIC_LEN,
	.magic = x86_64_magic,

	.patch_offset = x86_64_patch_offset,
	.displace = x86_64_displace,
	.callees = x86_64_callees,
	.ways_in = x86_64_ways_in,
	.is_breakpoint = x86_64_is_breakpoint,
	.addresses = x86_64_addresses,
	.stubs_build = x86_64_stubs_build,
	.disarm = x86_64_trap_disarm,
	.change_signal = x86_64_trap_change_signal,
	.use_break = x86_64_trap_use_break,
	.patch_target = x86_64_patch_target,
	.stub_frame = x86_64_stub_frame,

	.page_calls = {9, 11},
	.agent_calls = {28, 319, 10, 3},
	.remote_build = x86_64_remote_build,
	.copy_build = x86_64_copy_build,
};

const struct arch arch_x86_64 = {
	.name = "x86_64",
	.ports = "amd64",
	.elf_machine = EM_X86_64,
	.elf_class = ELFCLASS64,
	.word_size = 8,
	.code_mask = ~(uint64_t)0,
	.chain = ARCH_CHAIN_TOP,

	.reg_count = REGISTERS,
	.reg_pc = RIP,
	.reg_sp = RSP,
	.reg_fp = RBP,
	.reg_lr = ARCH_NO_REG,
	/* clang-format off */
	.reg_offset = {
		[RAX] = AT_RAX, [RDX] = AT_RDX, [RCX] = AT_RCX, [RBX] = AT_RBX,
		[RSI] = AT_RSI, [RDI] = AT_RDI, [RBP] = AT_RBP, [RSP] = AT_RSP,
		[R8] = AT_R8, [R9] = AT_R9, [R10] = AT_R10, [R11] = AT_R11,
		[R12] = AT_R12, [R13] = AT_R13, [R14] = AT_R14, [R15] = AT_R15,
		[RIP] = AT_RIP,
	},
	.reg_name = {
		[RAX] = "rax", [RDX] = "rdx", [RCX] = "rcx", [RBX] = "rbx",
		[RSI] = "rsi", [RDI] = "rdi", [RBP] = "rbp", [RSP] = "rsp",
		[R8] = "r8", [R9] = "r9", [R10] = "r10", [R11] = "r11",
		[R12] = "r12", [R13] = "r13", [R14] = "r14", [R15] = "r15",
		[RIP] = "rip",
	},
	/* clang-format on */
	/* rsp too survives, but as the CFA, which every unwind rule gives. */
	.callee_saved = 1 << RBX | 1 << RBP | 1 << R12 | 1 << R13 | 1 << R14 | 1 << R15,
	.regs_len = AT_END,

	.syscall_number_offset = AT_ORIG_RAX,
	.syscall_result_offset = AT_RAX,
	.signal_set_len = 8,
	.call_number_offset = AT_ORIG_RAX,
	.tls_set = 1, /* NT_PRSTATUS: fs_base of struct user_regs_struct */
	.tls_offset = 21 * 8,
	.tls_is_read = true,
	.red_zone = 128,
	.vector_set = 0x202, /* NT_X86_XSTATE */
	.ucontext_sp = 20,
	.ucontext_pc = 21,
	.eintr_final = eintr_final,
	.audit_arch = AUDIT_ARCH_X86_64,
	.syscall_insn = {{2, {0x0f, 0x05}}},

	.trap = NATIVE_TRAP(NATIVE_X86_64, &trap),
};
