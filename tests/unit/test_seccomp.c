/* Filters are run as the kernel would: held to filters that are really installed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/audit.h>

#include <cmocka.h>

#include "tracer/seccomp.h"

#define LOAD(field)	       BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(verdict)	       BPF_STMT(BPF_RET | BPF_K, verdict)
#define EQUALS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)

static uint32_t run(const struct sock_filter *program, size_t len, int nr, uint64_t first)
{
	struct seccomp_data data = {.nr = nr, .arch = AUDIT_ARCH_X86_64, .args = {first}};

	return seccomp_run(program, len, &data);
}

static void deny_one_call(void **state)
{
	const struct sock_filter f[] = {LOAD(nr), EQUALS(SYS_tkill, 0, 1),
					RETURN(SECCOMP_RET_KILL_PROCESS),
					RETURN(SECCOMP_RET_ALLOW)};

	(void)state;
	assert_int_equal(run(f, 4, SYS_tkill, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(f, 4, SYS_gettid, 0), SECCOMP_RET_ALLOW);
}

/* libseccomp compares arguments in halves, with masks and scratch memory. */
static void arithmetic(void **state)
{
	const struct sock_filter f[] = {
		LOAD(args[0]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
		BPF_STMT(BPF_ST, 3),
		BPF_STMT(BPF_LDX | BPF_W | BPF_MEM, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_IMM, 16),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 16),
		BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};

	(void)state;
	assert_int_equal(run(f, 10, 0, 0x705), 16 * 5 - 16 + 16 * 5);
}

static void jumps(void **state)
{
	const struct sock_filter f[] = {
		LOAD(nr),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 100, 0, 3),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 200, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 2, 3),
		BPF_STMT(BPF_JMP | BPF_JA, 0),
		RETURN(1),
		RETURN(2),
		RETURN(3),
	};

	(void)state;
	assert_int_equal(run(f, 8, 50, 0), 1);
	assert_int_equal(run(f, 8, 101, 0), 2);
	assert_int_equal(run(f, 8, 102, 0), 3);
	assert_int_equal(run(f, 8, 201, 0), 1);
}

static void what_is_not_understood_kills(void **state)
{
	const struct sock_filter out_of_data[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof(struct seccomp_data)),
		RETURN(SECCOMP_RET_ALLOW)};
	const struct sock_filter no_end[] = {LOAD(nr)};
	const struct sock_filter far[] = {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff),
					  RETURN(SECCOMP_RET_ALLOW)};

	(void)state;
	assert_int_equal(run(out_of_data, 2, 1, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(no_end, 1, 1, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(far, 2, 1, 0), SECCOMP_RET_KILL_PROCESS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(deny_one_call),
		cmocka_unit_test(arithmetic),
		cmocka_unit_test(jumps),
		cmocka_unit_test(what_is_not_understood_kills),
	};

	return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}
