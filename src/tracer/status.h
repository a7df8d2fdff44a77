/* What /proc says about a process or a thread. */
#ifndef MEMTRACE_STATUS_H
#define MEMTRACE_STATUS_H

#include <sys/types.h>

#include "base/err.h"
#include "base/types.h"
#include "base/vec.h"

struct status { /* /proc/PID/task/TID/status, proc(5) */
	char name[16];
	char state; /* R S D T t Z X ... */
	pid_t tgid, parent, tracer;
	pid_t own_pid, own_tgid; /* by which it knows itself, in its own pid namespace */
	uid_t uid, euid, suid;
	gid_t gid, egid, sgid;
	unsigned threads;
	uint64_t cap_permitted, cap_effective;			    /* bit CAP_* */
	uint64_t pending, shared_pending, blocked, ignored, caught; /* bit signo - 1 */
	bool init;   /* the first process of its pid namespace */
	int seccomp; /* 0 none, 1 strict, 2 filter */
	uint64_t resident_kb;
	uint64_t shared_kb; /* of it, shared memory and files in memory (Linux 4.5) */
	uint64_t data_kb; /* private memory that may be written, but for the first thread's stack */
	uint64_t switches; /* how often the thread was put off a core, by itself or not */
	bool has_memory; /* false: a kernel thread or a zombie */
};

/* tid = 0: the process itself; any thread is that, too, by its own id as pid.  -ENOENT: it is
 * gone. */
int status_read(pid_t pid, pid_t tid, struct status *ret);
/* The same by the file's name: 0, or -errno. */
int status_read_file(const char *path, struct status *ret);
/* By its text.  What is not there is 0 ('?' for the state, "" for the name). */
void status_parse(const char *text, struct status *ret);

static inline uint64_t signal_bit(int signo)
{
	return 1ull << (signo - 1);
}

/* Has it the capability, CAP_*, in effect? */
static inline bool status_can(const struct status *status, int capability)
{
	return status->cap_effective >> capability & 1;
}

/* Would the signal have no effect at all on a process with this status: ignored,
 * or not caught and ignored by default (sig_kernel_ignore(), include/linux/signal.h)?
 * What SIGCONT does to a process that is stopped is done when it is sent. */
bool status_ignores(const struct status *status, int signo);

/* A thread of the process that has not ended: the leader where that lives, else any
 * (a leader may exit before its threads, and has no memory or files in /proc then).
 * 0: none is left. */
pid_t status_alive(pid_t pid);

/* Where a thread that is blocked in a system call will return to, by
 * /proc/PID/task/TID/syscall.  -EBUSY: it is running; -errno. */
int status_syscall(pid_t pid, pid_t tid, taddr_t *sp, taddr_t *pc);

/* Where sp stood when the program began, after its exec: /proc/PID/stat (28), startstack.
 * 0: it is not to be known. */
taddr_t status_first_sp(pid_t pid);

/* When it began: clock ticks since the system did, /proc/PID/stat (22).  0: it is gone. */
uint64_t status_start(pid_t pid);

/* CPU time that its threads have used, with those that have ended: /proc/PID/stat (14), (15).  0: it is gone. */
uint64_t status_cpu_ms(pid_t pid);

/* Is a thread, by its id, on its way out: PF_EXITING (include/linux/sched.h, the same since 2.6) in
 * /proc/PID/stat (9), or gone?  It traces whom it traces until exit_notify() at its very end. */
bool status_is_ending(pid_t tid);

/*
 * Does a number in /proc mean the process that it means to us?  Not so where /proc was mounted
 * in another pid namespace (unshare --pid without --mount-proc).  0; -ENOENT: nothing is
 * mounted there; -EXDEV: it is another namespace's.
 */
int status_proc(void);

VEC_TYPE(tid_list, pid_t);

/* The threads of a process, as listed now.  -ENOENT: it is gone. */
int status_threads(pid_t pid, struct tid_list *ret);

/* argv, NULL-terminated, in one malloc'ed block (free() it).  Falls back to the
 * name in brackets.  Empty arguments at its end are left out.  NULL: memory is short. */
char **status_command(pid_t pid);

#endif
