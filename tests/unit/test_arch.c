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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_registers),
#ifdef __x86_64__
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_eintr_final),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
