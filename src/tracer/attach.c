/* Refusals by name: findings of the doctor as errors of an attach. */
#include "tracer/attach.h"

#include <errno.h>

#include "tracer/doctor.h"

int attach_check(pid_t pid, struct err *err)
{
	struct doctor_facts facts;
	struct findings findings = {.count = 0};
	const struct finding *failed;

	if (pid <= 0)
		return err_set(err, -ESRCH, "no process has the pid %d", pid);
	doctor_look("", pid, &facts);
	doctor_judge(&facts, DOCTOR_PROCESS, &findings);
	failed = findings_failed(&findings);
	return failed ? finding_err(failed, err) : 0;
}

int attach_refused(pid_t pid, int code, struct err *err)
{
	struct doctor_facts facts;
	struct findings findings = {.count = 0};

	doctor_look("", pid, &facts);
	if (code == -ESRCH || facts.found)
		return err_set(err, -ESRCH, "pid %d ended before it could be attached to", pid);
	if (code != -EPERM && code != -EACCES)
		return err_sys(err, code, "cannot attach to pid %d", pid);
	facts.memory = code; /* whatever else may be allowed */
	doctor_judge(&facts, DOCTOR_ALL, &findings);
	return finding_err(findings_failed(&findings), err);
}
