/*
 * gated errno|kill|trap|allow clone|close_range|waitid: a program behind a seccomp filter that
 * lets that one system call, which it does not make itself, end so.  With trap a SIGSYS that
 * comes is a failure.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "target.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static void on_sys(int signo)
{
	(void)signo;
	target_fail("SIGSYS");
}

static uint32_t action(const char *name)
{
	if (!strcmp(name, "kill"))
		return SECCOMP_RET_KILL_PROCESS;
	if (!strcmp(name, "trap"))
		return SECCOMP_RET_TRAP;
	return !strcmp(name, "errno") ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW;
}

static uint32_t number(const char *name)
{
	if (!strcmp(name, "clone"))
		return SYS_clone;
	return !strcmp(name, "waitid") ? SYS_waitid : SYS_close_range;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number(argv[2]), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action(argv[1])),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	signal(SIGSYS, on_sys);
	target_kept[0] = got(malloc(777), 777);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		target_fail("seccomp: %s", strerror(errno));
	target_ready();
	return target_result(NULL);
}
