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

#include "arch/trap.h"

static void test_find(void **state)
{
	(void)state;
	assert_ptr_equal(arch_find(EM_X86_64, ELFCLASS64, false), &arch_x86_64);
	assert_null(arch_find(EM_X86_64, ELFCLASS32, false)); /* x32 */
	assert_null(arch_find(EM_386, ELFCLASS32, false));
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
	assert_int_equal(arch_x86_64.trap->callees(x86_64, sizeof(x86_64), 0x1000, callees, 8), 4);
	assert_int_equal(callees[0].target, 0x1109);
	assert_int_equal(callees[1].target, 0x101b);
	assert_int_equal(callees[2].slot, 0x1031);
	assert_int_equal(callees[3].slot, 0x1058);
	assert_int_equal(arch_x86_64.trap->callees(x86_64, sizeof(x86_64), 0x1000, callees, 1), 1);
	assert_int_equal(arch_aarch64.trap->callees(aarch64, sizeof(aarch64), 0x1000, callees, 8), 3);
	assert_int_equal(callees[0].target, 0x1010);
	assert_int_equal(callees[1].target, 0x1000);
	assert_int_equal(callees[2].slot, 0x21000 + 4088);
	assert_int_equal(arch_arm.trap->callees(arm, sizeof(arm), 0x1000, callees, 8), 2);
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
	assert_int_equal(arch_x86_64.trap->addresses(x86_64, sizeof(x86_64), 0x1000, addresses, 4), 2);
	assert_int_equal(addresses[0], 0x1107);
	assert_int_equal(addresses[1], 0x402010);
	assert_int_equal(arch_aarch64.trap->addresses(aarch64, sizeof(aarch64), 0x1000, addresses, 4),
			 2);
	assert_int_equal(addresses[0], 0x1008);
	assert_int_equal(addresses[1], 0x21010);
}

/* Made-up CPUs: words, registers and results of either byte order and size. */
static void test_words(void **state)
{
	static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8};
	static const uint64_t word[2][2] = {{0x04030201, 0x0807060504030201},
					    {0x01020304, 0x0102030405060708}};

	(void)state;
	for (int big = 0; big < 2; big++)
		for (int wide = 0; wide < 2; wide++) {
			const struct arch arch = {.word_size = wide ? 8 : 4,
						  .big_endian = big};
			uint8_t out[9] = {0};

			assert_true(arch_word(&arch, bytes) == word[big][wide]);
			arch_put_word(&arch, out, 0xa5a5a5a500000000 * !wide + word[big][wide]);
			assert_memory_equal(out, bytes, arch.word_size);
			assert_int_equal(out[arch.word_size], 0);
		}
}

static void test_big_endian_registers(void **state)
{
	const struct arch arch = {.word_size = 4,
				  .big_endian = true,
				  .reg_count = 2,
				  .reg_offset = {4, 0},
				  .syscall_result_offset = 4,
				  .syscall_error = {0, 1 << 28}};
	struct regs regs = {.len = 8, .bytes = {0x00, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe}};

	(void)state;
	assert_int_equal(regs_read(&arch, &regs, 0), 0xfffffffe);
	assert_int_equal(regs_read(&arch, &regs, 1), 1);
	assert_true(regs_syscall_result(&arch, &regs) == -2);
	regs_write(&arch, &regs, 0, 11);
	assert_int_equal(regs.bytes[7], 11);
	assert_true(regs_syscall_result(&arch, &regs) == 11);
	regs.bytes[0] = 0x10; /* as PowerPC's summary overflow: 11 is the error */
	assert_true(regs_syscall_result(&arch, &regs) == -11);
	assert_true(regs_word(&arch, &regs, 0) == 0x10000001);
}

/* Signal 1 and signal 34, the first two words of a set. */
static void test_signal_sets(void **state)
{
	static const struct {
		struct arch arch;
		uint8_t bytes[9];
	} sets[] = {
		{{.word_size = 8}, {1, 0, 0, 0, 2, 0, 0, 0, 9}},
		{{.word_size = 4}, {1, 0, 0, 0, 2, 0, 0, 0, 9}},
		{{.word_size = 8, .big_endian = true}, {0, 0, 0, 2, 0, 0, 0, 1, 9}},
		{{.word_size = 4, .big_endian = true}, {0, 0, 0, 1, 0, 0, 0, 2, 9}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		uint8_t out[9] = {[8] = 9};

		assert_true(arch_signal_set(&sets[i].arch, sets[i].bytes) == 0x200000001);
		arch_put_signal_set(&sets[i].arch, out, 0x200000001);
		assert_memory_equal(out, sets[i].bytes, 9);
	}
	assert_int_equal(arch_x86_64.signal_set_len, 8);
	assert_int_equal(arch_aarch64.signal_set_len, 8);
	assert_int_equal(arch_arm.signal_set_len, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_callees),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_registers),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_big_endian_registers),
		cmocka_unit_test(test_signal_sets),
#ifdef __x86_64__
		cmocka_unit_test(test_native),
		cmocka_unit_test(test_eintr_final),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
