/*
 * What a worker that a hostile file has taken over could still do is what it could do to the
 * socket that it has: nothing else is left to it.
 *
 *    another user (nobody), where we are root; no capabilities
 *    no_new_privs, and a filter of system calls: memory, its own descriptors, time, and the
 *      children that demangle (who inherit it); all others fail with EPERM
 *    limits: memory, and the CPU's time of each question
 *
 * Each of them is used as far as the kernel lets us.
 */
#include "serve/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "arch/cpu.h"
#include "base/syscalls.h"
#include "base/vec.h"

enum {
	NOBODY = 65534,
	NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
			 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET,
};

static const int allowed[] = {
	SYS_read,
	SYS_write,
	SYS_readv,
	SYS_writev,
	SYS_pread64,
	SYS_lseek,
	SYS_close,
	SYS_dup,
	SYS_dup3,
	SYS_fstat,
	SYS_fcntl,
	SYS_ftruncate,
	SYS_memfd_create,
	SYS_eventfd2,
	/* fstat() of newer C libraries; it tells what a path is, and no more */
	SYS_statx,
	SYS_sendmsg,
	SYS_recvmsg,
	SYS_sendto,
	SYS_recvfrom,
	SYS_socketpair,
	SYS_ppoll,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_futex,
	SYS_rt_sigaction,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_sigaltstack,
	SYS_setitimer,
	SYS_clock_gettime,
	SYS_clock_nanosleep,
	SYS_getrusage,
	SYS_sysinfo,
	SYS_getrandom,
	SYS_sched_getaffinity,
	SYS_getpid,
	SYS_gettid,
	SYS_wait4,
	SYS_set_robust_list,
	SYS_exit,
	SYS_exit_group,
	SYS_close_range,
#ifdef SYS_rseq
	SYS_rseq,
#endif
#ifdef SYS_newfstatat
	SYS_newfstatat,
#endif
#ifdef SYS_fstatat64
	SYS_fstatat64,
#endif
#ifdef SYS_fstat64
	SYS_fstat64,
#endif
#ifdef SYS_fcntl64
	SYS_fcntl64,
#endif
#ifdef SYS__llseek
	SYS__llseek,
#endif
#ifdef SYS_mmap2
	SYS_mmap2,
#endif
#ifdef SYS_clock_gettime64
	SYS_clock_gettime64,
#endif
#ifdef SYS_ppoll_time64
	SYS_ppoll_time64,
#endif
#ifdef SYS_futex_time64
	SYS_futex_time64,
#endif
#ifdef SYS_poll
	SYS_poll,
#endif
#ifdef SYS_dup2
	SYS_dup2,
#endif
};

VEC_TYPE(program, struct sock_filter);

static bool add(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t value)
{
	return vec_push(p, ((struct sock_filter){code, yes, no, value}));
}

/* One call, if bits of its first argument's lower half are `value`. */
static bool allow_if(struct program *p, int nr, uint32_t bits, uint32_t value)
{
	return add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 4, (uint32_t)nr) &&
	       add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, args)) &&
	       add(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, bits) &&
	       add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, value) &&
	       add(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW) &&
	       /* (the accumulator has been overwritten on one way here) */
	       add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));
}

static bool build(struct program *p, uint32_t audit_arch)
{
	bool ok = add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, arch)) &&
		  add(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, audit_arch) &&
		  add(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM) &&
		  add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr));

	for (size_t i = 0; ok && i < ARRAY_SIZE(allowed); i++)
		ok = add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, (uint32_t)allowed[i]) &&
		     add(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
	/* Limits and abort() are the process' own affair; fork() makes no namespaces, and is
	 * clone(), whose flags a filter can see. */
	ok = ok && allow_if(p, SYS_prlimit64, ~0u, 0) &&
	     allow_if(p, SYS_tgkill, ~0u, (uint32_t)getpid()) &&
	     allow_if(p, SYS_clone, NEW_NAMESPACES, 0);
#ifdef SYS_clone3
	ok = ok && add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_clone3) &&
	     add(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS);
#endif
	return ok && add(p, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM);
}

static void filter_calls(void)
{
	const struct arch *arch = arch_native();
	struct program program = {};

	if (arch && build(&program, arch->audit_arch)) {
		struct sock_fprog given = {(unsigned short)program.len, program.at};
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &given);
	}
	vec_deinit(&program);
}

static void limit(int which, rlim_t most)
{
	struct rlimit limit;

	if (getrlimit(which, &limit) == 0 && limit.rlim_cur > most) {
		limit.rlim_cur = most;
		setrlimit(which, &limit);
	}
}

/* Not every namespace lets us, or knows nobody: then the rest remains. */
static void become_nobody(void)
{
	bool gone = geteuid() == 0 && setgroups(0, NULL) == 0 &&
		    setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
		    setresuid(NOBODY, NOBODY, NOBODY) == 0;

	(void)gone;
}

void sandbox_enter(void)
{
#ifndef __SANITIZE_ADDRESS__ /* it has terabytes mapped */
	limit(RLIMIT_AS,
	      (rlim_t)sysconf(_SC_PHYS_PAGES) / 4 * 3 * (rlim_t)sysconf(_SC_PAGESIZE));
#endif
	limit(RLIMIT_CORE, 0);
	become_nobody();
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		filter_calls();
}

void sandbox_allow_seconds(unsigned seconds)
{
	struct rusage used;
	struct rlimit limit;

	if (getrusage(RUSAGE_SELF, &used) || getrlimit(RLIMIT_CPU, &limit))
		return;
	limit.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 1 + seconds;
	if (limit.rlim_cur < limit.rlim_max)
		setrlimit(RLIMIT_CPU, &limit);
}
