/*
 * Refusals by name.
 *
 * The kernel says EPERM for a dozen reasons (ptrace(2), ptrace_may_access(9) in
 * kernel/ptrace.c).  A user needs the reason and the command that mends it, so the
 * causes are looked for one by one, the certain ones first.
 */
#include "tracer/attach.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/scope.h"
#include "tracer/status.h"

/* -1: there is no such setting (Yama is not built in). */
static int ptrace_scope(void)
{
	scope_close int fd = open("/proc/sys/kernel/yama/ptrace_scope", O_RDONLY | O_CLOEXEC);
	char digit;

	if (fd < 0 || read(fd, &digit, 1) != 1)
		return -1;
	return digit - '0';
}

static int check_word_size(pid_t pid, struct err *err)
{
	char path[64];
	uint8_t ident[EI_NIDENT + 4];
	uint16_t machine;

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	scope_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, ident, sizeof(ident)) != sizeof(ident))
		return 0; /* not readable: the kernel will say more when we attach */
	memcpy(&machine, ident + EI_NIDENT + 2, sizeof(machine));
	if (arch_native() == arch_find(machine, ident[EI_CLASS]))
		return 0;
	if (ident[EI_CLASS] == ELFCLASS32 && arch_native()->elf_class == ELFCLASS64)
		return err_set(err, -ENOTSUP,
			       "pid %d is a 32-bit process; this memtrace traces 64-bit ones "
			       "(%s): use a memtrace built for it",
			       pid, arch_native()->name);
	return err_set(
		err, -ENOTSUP,
		"pid %d runs code of another machine (ELF machine %u) than this memtrace (%s)",
		pid, machine, arch_native()->name);
}

/* TracerPid is a thread's id; people know processes. */
static struct status tracer_of(const struct status *status)
{
	struct status tracer = {.name = "?", .tgid = status->tracer};

	status_read(status->tracer, 0, &tracer);
	return tracer;
}

int attach_check(pid_t pid, struct err *err)
{
	struct status status;
	pid_t alive;

	if (pid <= 0 || status_read(pid, 0, &status))
		return err_set(err, -ESRCH, "no process with pid %d (see: ps -e)", pid);
	if (status.tgid != pid)
		return err_set(err, -EINVAL, "%d is a thread of process %d: use -p %d", pid,
			       status.tgid, status.tgid);
	if (status.tgid == getpid())
		return err_set(err, -EPERM, "pid %d is memtrace itself", pid);
	alive = status_alive(pid);
	if (!alive)
		return err_set(err, -EPERM,
			       "pid %d (%s) is a zombie: it has ended, only its parent has not "
			       "noticed",
			       pid, status.name);
	if (alive == pid && !status.has_memory)
		return err_set(err, -EPERM,
			       "pid %d (%s) is a kernel thread: it has no heap of its own", pid,
			       status.name);
	if (status.tracer) {
		struct status tracer = tracer_of(&status);

		return err_set(err, -EPERM,
			       "pid %d is being traced by pid %d (%s): end that first", pid,
			       tracer.tgid, tracer.name);
	}
	return check_word_size(alive, err);
}

int attach_refused(pid_t pid, int code, struct err *err)
{
	struct status status = {0};
	int scope = ptrace_scope();

	if (code == -ESRCH || status_read(pid, 0, &status))
		return err_set(err, -ESRCH, "pid %d ended before it could be attached to", pid);
	if (code != -EPERM && code != -EACCES)
		return err_sys(err, code, "cannot attach to pid %d", pid);
	if (status.tracer)
		return err_set(err, code, "pid %d is being traced by pid %d: end that first",
			       pid, tracer_of(&status).tgid);
	if (geteuid() && status.uid != geteuid())
		return err_set(err, code,
			       "pid %d belongs to another user (uid %u, you are %u): run "
			       "memtrace as that user or with sudo",
			       pid, status.uid, geteuid());
	if (scope == 3)
		return err_set(err, code,
			       "attaching is switched off until the next boot "
			       "(kernel.yama.ptrace_scope = 3)");
	if (scope == 2 && geteuid())
		return err_set(err, code,
			       "only root may attach (kernel.yama.ptrace_scope = 2): use sudo "
			       "memtrace -p %d",
			       pid);
	if (scope == 1 && geteuid())
		return err_set(err, code,
			       "only a parent may attach (kernel.yama.ptrace_scope = 1): use "
			       "sudo memtrace -p %d, or sudo sysctl kernel.yama.ptrace_scope=0",
			       pid);
	if (geteuid())
		return err_set(err, code,
			       "pid %d may not be traced by you (setuid program, or made "
			       "itself undumpable): use sudo memtrace -p %d",
			       pid, pid);
	return err_set(err, code,
		       "the kernel refuses to trace pid %d: in a container, start it with "
		       "--cap-add=SYS_PTRACE; else look at the security module's log "
		       "(AppArmor, SELinux deny_ptrace)",
		       pid);
}
