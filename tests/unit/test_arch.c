/* Architectures as data: the tables, and registers by DWARF number. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#ifdef __x86_64__
#include <sys/syscall.h>
#include <sys/user.h>
#endif

#include <cmocka.h>

#include "arch/arch.h"

static void test_find(void **state)
{
	(void)state;
	assert_ptr_equal(arch_find(EM_X86_64, ELFCLASS64), &arch_x86_64);
	assert_null(arch_find(EM_X86_64, ELFCLASS32)); /* x32 */
	assert_null(arch_find(EM_386, ELFCLASS32));
}

static void test_registers(void **state)
{
	const struct arch *arch = &arch_x86_64;
	struct regs regs = {.len = arch->regs_len};

	(void)state;
	for (int i = 0; i < arch->reg_count; i++) {
		assert_non_null(arch->reg_name[i]);
		regs_write(arch, &regs, i, 0x1122334455667700 + (unsigned)i);
	}
	for (int i = 0; i < arch->reg_count; i++)
		assert_int_equal(regs_read(arch, &regs, i), 0x1122334455667700 + (unsigned)i);
	assert_int_equal(regs_read(arch, &regs, arch->reg_count), 0);
	assert_int_equal(regs_read(arch, &regs, arch->reg_lr), 0);
	regs.len = 152; /* rsp, the last, is not in a short block any more */
	assert_int_equal(regs_read(arch, &regs, arch->reg_sp), 0);
	assert_int_equal(regs_read(arch, &regs, arch->reg_pc), 0x1122334455667710);
	regs_write(arch, &regs, arch->reg_sp, 1);
	regs.len = arch->regs_len;
	assert_int_equal(regs_read(arch, &regs, arch->reg_sp), 0x1122334455667707);
}

#ifdef __x86_64__
static void test_native(void **state)
{
	const struct arch *arch = arch_native();
	struct user_regs_struct user;
	struct regs regs;

	(void)state;
	assert_ptr_equal(arch, &arch_x86_64);
	assert_int_equal(arch->regs_len, sizeof(user));
	for (size_t i = 0; i < sizeof(user) / 8; i++)
		((unsigned long long *)&user)[i] = i * 0x0101010101010101;
	memcpy(regs.bytes, &user, sizeof(user));
	regs.len = sizeof(user);
	const unsigned long long want[] = {user.rax, user.rdx, user.rcx, user.rbx, user.rsi,
					   user.rdi, user.rbp, user.rsp, user.r8,  user.r9,
					   user.r10, user.r11, user.r12, user.r13, user.r14,
					   user.r15, user.rip};
	assert_int_equal(ARRAY_SIZE(want), arch->reg_count);
	for (int i = 0; i < arch->reg_count; i++)
		assert_int_equal(regs_read(arch, &regs, i), want[i]);
	assert_int_equal(arch->syscall_number_offset,
			 offsetof(struct user_regs_struct, orig_rax));
	assert_int_equal(arch->syscall_result_offset, offsetof(struct user_regs_struct, rax));
}

static void test_eintr_final(void **state)
{
	static const int want[] = {SYS_close,	      SYS_ioctl,	   SYS_pause,
				   SYS_rt_sigsuspend, SYS_restart_syscall, -1};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_int_equal(arch_x86_64.eintr_final[i], want[i]);
}
#endif

/* Calls, jumps, and entries of the PLT, as linkers make them. */
static void test_callees(void **state)
{
	static const uint8_t x86_64[] = {
		0xf3, 0x0f, 0x1e, 0xfa,		    /* endbr64 */
		0xe8, 0x00, 0x01, 0x00, 0x00,	    /* call +0x100 */
		0x75, 0x10,			    /* jne +0x10 */
		0xff, 0x15, 0x20, 0x00, 0x00, 0x00, /* call *0x20(%rip) */
		0xf2, 0xff, 0x25, 0x40, 0, 0, 0,    /* bnd jmp *0x40(%rip) */
		0xff, 0xe0,			    /* jmp *%rax */
	};
	static const uint8_t aarch64[] = {
		0x04, 0x00, 0x00, 0x94, /* bl +16 */
		0xff, 0xff, 0xff, 0x17, /* b -4 */
		0x10, 0x01, 0x00, 0x90, /* adrp x16, +0x20000 */
		0x11, 0xfe, 0x47, 0xf9, /* ldr x17, [x16, #4088] */
		0x10, 0xe2, 0x3f, 0x91, /* add x16, x16, #4088 */
		0x20, 0x02, 0x1f, 0xd6, /* br x17 */
	};
	static const uint8_t arm[] = {
		0x02, 0x00, 0x00, 0xeb, /* bl +16 */
		0x00, 0xc6, 0x8f, 0xe2, /* add ip, pc, #0, 12 */
		0x10, 0xca, 0x8c, 0xe2, /* add ip, ip, #16, 20: 0x10000 */
		0x34, 0xf2, 0xbc, 0xe5, /* ldr pc, [ip, #564]! */
	};
	struct callee callees[8];

	(void)state;
	assert_int_equal(arch_x86_64.callees(x86_64, sizeof(x86_64), 0x1000, callees, 8), 4);
	assert_int_equal(callees[0].target, 0x1109);
	assert_int_equal(callees[1].target, 0x101b);
	assert_int_equal(callees[2].slot, 0x1031);
	assert_int_equal(callees[3].slot, 0x1058);
	assert_int_equal(arch_x86_64.callees(x86_64, sizeof(x86_64), 0x1000, callees, 1), 1);
	assert_int_equal(arch_aarch64.callees(aarch64, sizeof(aarch64), 0x1000, callees, 8), 3);
	assert_int_equal(callees[0].target, 0x1010);
	assert_int_equal(callees[1].target, 0x1000);
	assert_int_equal(callees[2].slot, 0x21000 + 4088);
	assert_int_equal(arch_arm.callees(arm, sizeof(arm), 0x1000, callees, 8), 2);
	assert_int_equal(callees[0].target, 0x1010);
	assert_int_equal(callees[1].slot, 0x1004 + 8 + 0x10000 + 564);
}

static void test_addresses(void **state)
{
	static const uint8_t x86_64[] = {
		0x48, 0x8d, 0x05, 0x00, 0x01, 0x00, 0x00, /* lea 0x100(%rip), %rax */
		0x48, 0x8b, 0x05, 0x00, 0x02, 0x00, 0x00, /* mov 0x200(%rip), %rax: no address */
		0xb8, 0x10, 0x20, 0x40, 0x00,		  /* mov $0x402010, %eax */
	};
	static const uint8_t aarch64[] = {
		0x41, 0x00, 0x00, 0x10, /* adr x1, +8 */
		0x03, 0x01, 0x00, 0x90, /* adrp x3, +0x20000 */
		0x60, 0x40, 0x00, 0x91, /* add x0, x3, #16 */
	};
	taddr_t addresses[4];

	(void)state;
	assert_int_equal(arch_x86_64.addresses(x86_64, sizeof(x86_64), 0x1000, addresses, 4), 2);
	assert_int_equal(addresses[0], 0x1107);
	assert_int_equal(addresses[1], 0x402010);
	assert_int_equal(arch_aarch64.addresses(aarch64, sizeof(aarch64), 0x1000, addresses, 4),
			 2);
	assert_int_equal(addresses[0], 0x1008);
	assert_int_equal(addresses[1], 0x21010);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_callees),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_registers),
#ifdef __x86_64__
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_eintr_final),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
