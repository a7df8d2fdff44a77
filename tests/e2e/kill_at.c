/*
 * kill_at STEP|all [-g] [-f] PROGRAM [ARG]...
 *
 * Runs memtrace and kills it by SIGKILL just before its STEP-th step: a system call by
 * which it touches its target (ptrace, writes, tgkill).  With -g its children (the
 * guardian, memtrace-fs) are killed in the same moment.  `all` kills nobody.  Prints
 *     STEPS <made> killed|ended
 * when what memtrace left behind (the guardian) has ended too.
 * It is a tracer of the tracer: threads are followed, children are not.  With -f they are, too (so memtrace
 * can start no PROGRAM): the steps of all of them are counted, and the one that makes the STEP-th is killed,
 * or, with -g, all of them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static int is_step(long number)
{
	return number == SYS_ptrace || number == SYS_pwrite64 || number == SYS_pwritev ||
	       number == SYS_process_vm_writev || number == SYS_tgkill || number == SYS_write;
}

/* Kills what the process has started, by every thread's list of children. */
static void kill_children(pid_t pid, pid_t tid)
{
	char path[64];
	int child;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, tid);
	FILE *file = fopen(path, "r");
	while (file && fscanf(file, "%d", &child) == 1)
		kill(child, SIGKILL);
	if (file)
		fclose(file);
}

/* (A thread that is traced by us, and has not been waited for, keeps its number.) */
static pid_t process_of(pid_t tid)
{
	char path[64], line[128];
	int pid = tid;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file) && sscanf(line, "Tgid: %d", &pid) != 1)
		;
	if (file)
		fclose(file);
	return pid;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	long at = strcmp(argv[1], "all") ? atol(argv[1]) : -1, steps = 0;
	int guardian = !strcmp(argv[2], "-g"), family = !strcmp(argv[2 + guardian], "-f"), status, killed = 0;
	pid_t threads[512];
	int count = 0;
	argv += guardian + family;
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* the guardian becomes our child */
	pid_t pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(argv[2], argv + 2);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return 2;
	ptrace(PTRACE_SETOPTIONS, pid, 0,
	       PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL |
		       (family ? PTRACE_O_TRACEFORK : 0));
	threads[count++] = pid;
	ptrace(PTRACE_SYSCALL, pid, 0, 0);
	int last = 0;
	for (;;) {
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid == pid && !WIFSTOPPED(status))
			last = status;
		if (tid < 0 || (tid == pid && !WIFSTOPPED(status) && !family))
			break;
		for (int i = 0; i < count && !WIFSTOPPED(status); i++)
			if (threads[i] == tid) /* its number may become another one's */
				threads[i] = threads[--count];
		if (!WIFSTOPPED(status))
			continue;
		int known = 0, deliver = WSTOPSIG(status);
		for (int i = 0; i < count; i++)
			known |= threads[i] == tid;
		if (!known && count < 512)
			threads[count++] = tid;
		if (deliver == (SIGTRAP | 0x80)) {
			struct __ptrace_syscall_info info;
			ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info);
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY && is_step(info.entry.nr) &&
			    steps++ == at) {
				for (int i = 0; guardian && i < count; i++)
					family ? (void)kill(process_of(threads[i]), SIGKILL)
					       : kill_children(pid, threads[i]);
				kill(family ? process_of(tid) : pid, SIGKILL);
				killed = 1;
			}
			deliver = 0;
		} else if (status >> 16 || !known) {
			deliver = 0; /* an event, or a new thread's first stop */
		}
		ptrace(PTRACE_SYSCALL, tid, 0, deliver);
	}
	while (waitpid(-1, &status, __WALL) > 0 || errno == EINTR)
		;
	printf("STEPS %ld %s\n", steps, killed ? "killed" : "ended");
	return killed || (WIFEXITED(last) && WEXITSTATUS(last) == 0) ? 0 : 1;
}
