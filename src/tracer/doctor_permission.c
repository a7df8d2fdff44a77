/*
 * Whether we are allowed to.
 *
 * The kernel's rules are in __ptrace_may_access() and ptrace_attach() (kernel/ptrace.c),
 * and in the security modules behind them (security/commoncap.c, yama/yama_lsm.c).  They
 * are many, and the kernel answers EPERM to all; but it can be asked: /proc/PID/mem opens
 * only for whom it would let trace.  So its answer (facts->memory) decides, and the rules
 * here only explain: one that would forbid is a failure unless the kernel allows, and
 * what none of them explains is said to be unexplained.
 */
#include "tracer/doctor_rules.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <string.h>

/* Inode of the first user namespace: PROC_USER_INIT_INO, include/linux/proc_ns.h. */
#define FIRST_USER_NAMESPACE 0xeffffffdull

/* CAP_SYS_PTRACE where the process lives: a capability reaches down into the namespaces
 * below its own, and all are below the first. */
static bool is_capable(const struct doctor_facts *f)
{
	return status_can(&f->self, CAP_SYS_PTRACE) &&
	       (!f->user_namespace || f->user_namespace == f->self_namespace ||
		f->self_namespace == FIRST_USER_NAMESPACE);
}

static bool is_allowed(const struct doctor_facts *f)
{
	return f->memory == 0;
}

/* Of a rule that forbids: the kernel may know better. */
static enum finding_level verdict_unless_allowed(const struct doctor_facts *f)
{
	return f->pid && is_allowed(f) ? FINDING_OK : FINDING_FAIL;
}

static void remedy_root(struct finding *finding, const struct doctor_facts *f)
{
	if (f->self.euid == 0)
		finding_remedy(finding,
			       "in a container, start it with --cap-add=SYS_PTRACE; else run "
			       "memtrace outside of it");
	else if (f->pid)
		finding_remedy(finding, "sudo memtrace -p %d", f->pid);
	else
		finding_remedy(finding, "sudo memtrace -p PID");
}

void doctor_judge_ptrace_call(const struct doctor_facts *f, struct doctor_findings *ret)
{
	if (f->ptrace_call == DOCTOR_NOT_ASKED)
		return;
	if (f->ptrace_call == 0)
		findings_add(ret, "ptrace", FINDING_OK, 0, "memtrace may call ptrace()");
	else
		finding_remedy(findings_add(ret, "ptrace", FINDING_FAIL, f->ptrace_call,
					    "ptrace() is forbidden here (%s), by a seccomp "
					    "filter of a container or service manager",
					    strerror(-f->ptrace_call)),
			       "docker run --cap-add=SYS_PTRACE, or --security-opt "
			       "seccomp=unconfined");
}

void doctor_judge_user(const struct doctor_facts *f, struct doctor_findings *ret)
{
	const struct status *s = &f->status, *us = &f->self;
	struct finding *finding;

	if (!f->pid) {
		findings_add(ret, "user", FINDING_OK, 0, "you are uid %u", us->uid);
	} else if (s->uid != us->uid) {
		finding = findings_add(
			ret, "user", is_capable(f) ? FINDING_OK : verdict_unless_allowed(f),
			-EPERM, "pid %d belongs to another user (uid %u, you are %u)", f->pid,
			s->uid, us->uid);
		if (finding->verdict == FINDING_FAIL && us->euid)
			finding_remedy(finding,
				       "run memtrace as that user, or sudo memtrace -p %d",
				       f->pid);
		else if (finding->verdict == FINDING_FAIL)
			remedy_root(finding, f);
	} else if (s->euid != us->uid || s->suid != us->uid || s->gid != us->gid ||
		   s->egid != us->gid || s->sgid != us->gid) {
		finding = findings_add(
			ret, "user", is_capable(f) ? FINDING_OK : verdict_unless_allowed(f),
			-EPERM,
			"pid %d runs with other ids than yours (uids %u %u %u, gids %u %u %u): "
			"a setuid or setgid program, or another group",
			f->pid, s->uid, s->euid, s->suid, s->gid, s->egid, s->sgid);
		if (finding->verdict == FINDING_FAIL)
			remedy_root(finding, f);
	} else {
		findings_add(ret, "user", FINDING_OK, 0, "it belongs to you (uid %u)", us->uid);
	}
}

void doctor_judge_namespace(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;

	if (!f->user_namespace || !f->self_namespace)
		return;
	if (f->user_namespace == f->self_namespace) {
		findings_add(ret, "namespace", FINDING_OK, 0,
			     "it lives in the same user namespace");
		return;
	}
	finding = findings_add(ret, "namespace",
			       is_capable(f) ? FINDING_OK : verdict_unless_allowed(f), -EPERM,
			       "pid %d lives in another user namespace (%" PRIu64
			       ", you in %" PRIu64 ")",
			       f->pid, f->user_namespace, f->self_namespace);
	if (finding->verdict == FINDING_FAIL)
		remedy_root(finding, f);
}

void doctor_judge_capabilities(const struct doctor_facts *f, struct doctor_findings *ret)
{
	uint64_t lacking = f->status.cap_permitted & ~f->self.cap_permitted;
	struct finding *finding;

	if (status_can(&f->self, CAP_SYS_PTRACE)) {
		findings_add(ret, "capabilities", FINDING_OK, 0, "you have CAP_SYS_PTRACE");
	} else if (f->pid && lacking) {
		finding = findings_add(ret, "capabilities", verdict_unless_allowed(f), -EPERM,
				       "pid %d has capabilities that you lack (0x%" PRIx64 ")",
				       f->pid, lacking);
		if (finding->verdict == FINDING_FAIL)
			remedy_root(finding, f);
	} else if (!f->pid && f->self.euid == 0) {
		finding = findings_add(ret, "capabilities", FINDING_WARN, 0,
				       "you are root without CAP_SYS_PTRACE: only processes "
				       "with your ids and no more capabilities than yours");
		remedy_root(finding, f);
	} else if (!f->pid) {
		findings_add(ret, "capabilities", FINDING_OK, 0,
			     "you have no CAP_SYS_PTRACE: only processes of your own (uid %u)",
			     f->self.uid);
	} else {
		findings_add(ret, "capabilities", FINDING_OK, 0,
			     "you have no CAP_SYS_PTRACE, and it has no capabilities that "
			     "you lack");
	}
}

void doctor_judge_dumpable(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;

	if (f->status.euid == 0)
		return; /* its files are root's in either case */
	if (!f->undumpable) {
		findings_add(ret, "dumpable", FINDING_OK, 0, "it lets itself be inspected");
		return;
	}
	finding = findings_add(
		ret, "dumpable", is_capable(f) ? FINDING_OK : verdict_unless_allowed(f), -EPERM,
		"pid %d does not let itself be inspected (PR_SET_DUMPABLE 0, or a "
		"program that you may run and not read)",
		f->pid);
	if (finding->verdict == FINDING_FAIL)
		remedy_root(finding, f);
}

/* Yama's levels: Documentation/admin-guide/LSM/Yama.rst. */
void doctor_judge_ptrace_scope(const struct doctor_facts *f, struct doctor_findings *ret)
{
	static const char setting[] = "kernel.yama.ptrace_scope";
	static const char *const reasons[] = {
		NULL,
		"only a parent may attach",
		"only root may attach",
		"attaching is switched off until the next boot",
	};
	struct finding *finding;

	if (f->ptrace_scope < 0 || f->ptrace_scope > 3) {
		findings_add(ret, "ptrace_scope", FINDING_OK, 0, "%s does not restrict it",
			     setting);
		return;
	}
	if (f->ptrace_scope == 0 || (f->ptrace_scope < 3 && is_capable(f)) ||
	    verdict_unless_allowed(f) == FINDING_OK) {
		findings_add(ret, "ptrace_scope", FINDING_OK, 0, "%s = %d, and you may attach",
			     setting, f->ptrace_scope);
		return;
	}
	finding = findings_add(ret, "ptrace_scope", FINDING_FAIL, -EPERM, "%s (%s = %d)",
			       reasons[f->ptrace_scope], setting, f->ptrace_scope);
	if (f->ptrace_scope == 3)
		finding_remedy(finding, "set %s = 1 in /etc/sysctl.d, and boot anew", setting);
	else if (f->pid)
		finding_remedy(finding, "sudo memtrace -p %d, or sudo sysctl %s=0", f->pid,
			       setting);
	else
		finding_remedy(finding, "sudo memtrace -p PID, or sudo sysctl %s=0", setting);
}

static bool is_confined(const char *label)
{
	return label[0] && strcmp(label, "unconfined") && !strstr(label, "(complain)") &&
	       !strstr(label, "(unconfined)");
}

/* A profile may allow ptrace: it is the reason only if the kernel refuses and no other
 * rule explains it. */
void doctor_judge_apparmor(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;
	enum finding_level verdict = FINDING_OK;

	if (!f->apparmor || !f->label[0])
		return;
	if (is_confined(f->label) && !is_allowed(f) && f->memory != DOCTOR_NOT_ASKED &&
	    !findings_failed(ret))
		verdict = FINDING_FAIL;
	finding = findings_add(ret, "apparmor", verdict, -EACCES, "pid %d has the profile %s",
			       f->pid, f->label);
	if (verdict == FINDING_FAIL)
		finding_remedy(finding,
			       "sudo aa-complain %.*s; sudo dmesg | grep DENIED says "
			       "what was denied",
			       (int)strcspn(f->label, " "), f->label);
}

void doctor_judge_selinux(const struct doctor_facts *f, struct doctor_findings *ret)
{
	enum finding_level verdict = f->deny_ptrace == 1 ? verdict_unless_allowed(f) : FINDING_OK;
	struct finding *finding;

	if (f->deny_ptrace < 0)
		return;
	finding = findings_add(ret, "selinux", verdict, -EACCES, "deny_ptrace is %s",
			       f->deny_ptrace ? "on" : "off");
	if (verdict == FINDING_FAIL)
		finding_remedy(finding, "sudo setsebool deny_ptrace=off");
}

void doctor_judge_kernel(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;

	if (f->memory == DOCTOR_NOT_ASKED)
		return;
	if (is_allowed(f)) {
		findings_add(ret, "kernel", FINDING_OK, 0, "the kernel lets you trace it");
		return;
	}
	if (findings_failed(ret)) {
		findings_add(ret, "kernel", FINDING_FAIL, f->memory,
			     "the kernel does not let you trace it (%s): see above",
			     strerror(-f->memory));
		return;
	}
	finding = findings_add(ret, "kernel", FINDING_FAIL, f->memory,
			       "the kernel refuses to trace pid %d (%s)", f->pid,
			       strerror(-f->memory));
	finding_remedy(finding,
		       "in a container, start it with --cap-add=SYS_PTRACE; else look "
		       "at the security module's log (sudo dmesg; sudo ausearch -m avc)");
}
