/*
 * old_kernel VERSION PROGRAM ARGS...: runs a program as if the kernel were an old one, by a
 * seccomp filter:
 *
 *   3.4   lacks process_vm_readv and kcmp (they may be left out of a kernel, too),
 *         memfd_create and getrandom; waitid() refuses __WALL; ptrace() does not tell of
 *         Syscall User Dispatch
 *   3.3   PTRACE_SEIZE is there, but fails with EIO
 *   3.0   PTRACE_SEIZE is not there: ESRCH; and uname() says 2.6
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOW	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define FAIL(e) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (e))
#define LOAD(f) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, f))
#define IF(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define IF_SET(bit, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bit), (yes), (no))

enum { GET_USER_DISPATCH = 0x4211 }; /* PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, Linux 6.4 */

int main(int argc, char **argv)
{
	const char *version = argc > 2 ? argv[1] : "";
	unsigned seize = !strcmp(version, "3.3") ? EIO : !strcmp(version, "3.0") ? ESRCH : 0;
	struct sock_filter code[] = {
		LOAD(nr),
		IF(SYS_kcmp, 14, 0),
		IF(SYS_process_vm_readv, 13, 0),
		IF(SYS_memfd_create, 12, 0),
		IF(SYS_getrandom, 11, 0),
		IF(SYS_ptrace, 4, 0),
		IF(SYS_waitid, 0, 7),
		LOAD(args[3]),
		IF_SET(__WALL, 0, 5),
		FAIL(EINVAL),
		LOAD(args[0]),
		IF(GET_USER_DISPATCH, 3, 0),
		IF(seize ? PTRACE_SEIZE : ~0u, 0, 1),
		FAIL(seize),
		ALLOW,
		FAIL(EIO),
		FAIL(ENOSYS),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	if (!version[0])
		return 127;
	if (seize == ESRCH)
		personality(UNAME26);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		perror("seccomp");
		return 127;
	}
	execvp(argv[2], &argv[2]);
	perror(argv[2]);
	return 127;
}
