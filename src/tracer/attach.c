/* Refusals by name: findings of the doctor as errors of an attach. */
#include "tracer/attach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/kernel.h"
#include "tracer/doctor.h"

/* Without descriptors nothing can be read, and nothing of what follows would be true. */
static int check_descriptors(struct err *err)
{
	int fds[12], count = 0, rc = 0;

	while (count < (int)ARRAY_SIZE(fds) && !rc) {
		fds[count] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fds[count] < 0)
			rc = err_sys(
				err, -errno,
				"memtrace needs more files than it may open (ulimit -n 256 "
				"allows enough)");
		else
			count++;
	}
	while (count--)
		close(fds[count]);
	return rc;
}

int attach_check_proc(struct err *err)
{
	struct doctor_facts facts = {.proc = status_proc()};
	struct doctor_findings findings = {.count = 0};

	if (!facts.proc)
		return 0;
	doctor_judge(&facts, DOCTOR_PROCESS, &findings);
	return finding_err(findings_failed(&findings), err);
}

int attach_check(pid_t pid, struct err *err)
{
	struct doctor_facts facts;
	struct doctor_findings findings = {.count = 0};
	const struct finding *failed;

	if (pid <= 0)
		return err_set(err, -ESRCH, "no process has the pid %d", pid);
	if (check_descriptors(err))
		return err->code;
	doctor_look("", pid, &facts);
	doctor_judge(&facts, DOCTOR_PROCESS, &findings);
	failed = findings_failed(&findings);
	return failed ? finding_err(failed, err) : 0;
}

bool attach_doubt(pid_t pid, struct err *ret)
{
	struct doctor_facts facts;
	struct doctor_findings findings = {.count = 0};

	doctor_look("", pid, &facts);
	if (!facts.is_frozen)
		return false;
	doctor_judge(&facts, DOCTOR_PROCESS, &findings);
	finding_err(&findings.at[0], ret);
	return true;
}

int attach_check_machine(pid_t pid, struct err *err)
{
	struct doctor_facts facts;
	struct doctor_findings findings = {.count = 0};
	const struct finding *failed;

	doctor_look("", pid, &facts);
	doctor_judge(&facts, DOCTOR_MACHINE, &findings);
	failed = findings_failed(&findings);
	return failed ? finding_err(failed, err) : 0;
}

/*
 * PTRACE_SEIZE came with Linux 3.4.  3.1 to 3.3 know it and want a flag (EIO); before, it is
 * a request to a process that is not traced yet (ESRCH).
 */
static int too_old(int code, struct err *err)
{
	struct utsname system;

	if (uname(&system) || (code != -EIO && (code != -ESRCH || kernel_is_since(3, 4))))
		return 0;
	return err_set(err, -ENOSYS,
		       "the kernel (%.60s) is too old: memtrace needs Linux 3.4 or later",
		       system.release);
}

int attach_refused(pid_t pid, int code, struct err *err)
{
	struct doctor_facts facts;
	struct doctor_findings findings = {.count = 0};
	int old = too_old(code, err);

	if (old)
		return old;
	doctor_look("", pid, &facts);
	if (code == -ESRCH || facts.found)
		return err_set(err, -ESRCH, "pid %d ended before it could be attached to", pid);
	if (code != -EPERM && code != -EACCES)
		return err_sys(err, code, "cannot attach to pid %d", pid);
	facts.memory = code; /* whatever else may be allowed */
	doctor_judge(&facts, DOCTOR_ALL, &findings);
	return finding_err(findings_failed(&findings), err);
}
