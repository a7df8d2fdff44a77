/*
 * What facts mean for an attach.
 *
 * The kernel's rules are in __ptrace_may_access() and ptrace_attach() (kernel/ptrace.c),
 * and in the security modules behind them (security/commoncap.c, yama/yama_lsm.c).  They
 * are many, and the kernel answers EPERM to all; but it can be asked: /proc/PID/mem opens
 * only for whom it would let trace.  So its answer (facts->memory) decides, and the rules
 * below only explain: one that would forbid is a failure unless the kernel allows, and
 * what none of them explains is said to be unexplained.
 *
 * Each rule is a function of the table at the end; the order is the order of the lines,
 * and of two that fail the first is the reason that an attach gives.
 */
#include "tracer/doctor.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "arch/cpu.h"

enum { KTHREADD = 2 }; /* the parent of all kernel threads */

/* ---- findings ---------------------------------------------------------- */

struct finding *findings_add(struct doctor_findings *findings, const char *id, enum verdict verdict,
			     int code, const char *format, ...)
{
	size_t last = findings->count < FINDINGS_MAX ? findings->count++ : FINDINGS_MAX - 1;
	struct finding *finding = &findings->at[last];
	va_list args;

	*finding = (struct finding){.id = id, .verdict = verdict};
	finding->code = verdict == VERDICT_FAIL ? code : 0;
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
	return finding;
}

void finding_remedy(struct finding *finding, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(finding->remedy, sizeof(finding->remedy), format, args);
	va_end(args);
}

const struct finding *findings_failed(const struct doctor_findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->at[i].verdict == VERDICT_FAIL)
			return &findings->at[i];
	return NULL;
}

int finding_err(const struct finding *finding, struct err *err)
{
	return err_set(err, finding->code, "%s%s%s", finding->text,
		       finding->remedy[0] ? ": " : "", finding->remedy);
}

/* ---- shared by the rules ----------------------------------------------- */

/* Inode of the first user namespace: PROC_USER_INIT_INO, include/linux/proc_ns.h. */
#define FIRST_USER_NAMESPACE 0xeffffffdull

static bool has_bit(uint64_t set, int capability)
{
	return set >> capability & 1;
}

/* CAP_SYS_PTRACE where the process lives: a capability reaches down into the namespaces
 * below its own, and all are below the first. */
static bool is_capable(const struct doctor_facts *f)
{
	return has_bit(f->self.cap_effective, CAP_SYS_PTRACE) &&
	       (!f->user_namespace || f->user_namespace == f->self_namespace ||
		f->self_namespace == FIRST_USER_NAMESPACE);
}

static bool is_allowed(const struct doctor_facts *f)
{
	return f->memory == 0;
}

/* Of a rule that forbids: the kernel may know better. */
static enum verdict verdict_unless_allowed(const struct doctor_facts *f)
{
	return f->pid && is_allowed(f) ? VERDICT_OK : VERDICT_FAIL;
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

/* ---- whether /proc can be believed --------------------------------------- */

static void judge_proc(const struct doctor_facts *f, struct doctor_findings *ret)
{
	if (f->proc == -ENOENT)
		finding_remedy(findings_add(ret, "proc", VERDICT_FAIL, -ENOENT,
					    "/proc is not mounted"),
			       "mount -t proc proc /proc");
	else if (f->proc)
		finding_remedy(findings_add(ret, "proc", VERDICT_FAIL, -EXDEV,
					    "/proc is of another pid namespace than memtrace, "
					    "and means other processes by its numbers"),
			       "mount this namespace's (unshare --mount-proc, or mount -t "
			       "proc proc /proc), or run memtrace outside of it");
}

/* ---- what the process is ----------------------------------------------- */

static const char *state_in_words(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'S':
	case 'I':
		return "sleeping";
	case 'D':
		return "in uninterruptible sleep";
	case 'T':
		return "stopped (fg, or kill -CONT, lets it go on)";
	case 't':
		return "stopped by its tracer";
	case 'Z':
	case 'X':
		return "going on without its main thread";
	default:
		return "in an unknown state";
	}
}

/* A leader may end before its threads: then it is no zombie, the process lives on. */
static void judge_process(const struct doctor_facts *f, struct doctor_findings *ret)
{
	const struct status *s = &f->status;

	if (f->found) {
		finding_remedy(findings_add(ret, "process", VERDICT_FAIL, -ESRCH,
					    "no process with pid %d", f->pid),
			       "see ps -e");
	} else if (f->is_us) {
		findings_add(ret, "process", VERDICT_FAIL, -EPERM, "pid %d is memtrace itself",
			     f->pid);
	} else if (f->traces_us) {
		findings_add(ret, "process", VERDICT_FAIL, -EPERM,
			     "pid %d (%s) traces this memtrace: each would wait for the other",
			     f->pid, s->name);
	} else if (s->tgid != f->pid) {
		finding_remedy(findings_add(ret, "process", VERDICT_FAIL, -EINVAL,
					    "%d is a thread of process %d", f->pid, s->tgid),
			       "use -p %d", s->tgid);
	} else if (!f->threads) {
		finding_remedy(findings_add(ret, "process", VERDICT_FAIL, -EPERM,
					    "pid %d (%s) is a zombie", f->pid, s->name),
			       "it has ended, only its parent has not noticed");
	} else if (!f->has_memory && s->parent != KTHREADD && f->pid != KTHREADD) {
		findings_add(ret, "process", VERDICT_FAIL, -ESRCH, "pid %d (%s) is ending",
			     f->pid, s->name);
	} else if (!f->has_memory) {
		findings_add(ret, "process", VERDICT_FAIL, -EPERM,
			     "pid %d (%s) is a kernel thread: it has no heap of its own",
			     f->pid, s->name);
	} else if (f->is_frozen) {
		finding_remedy(findings_add(ret, "process", VERDICT_WARN, 0,
					    "pid %d (%s) is frozen with its cgroup: it does "
					    "nothing until that is thawed",
					    f->pid, s->name),
			       "echo %s > %s", f->frozen.thaw, f->frozen.file);
	} else {
		findings_add(ret, "process", VERDICT_OK, 0, "pid %d (%s) is %s, %u thread%s",
			     f->pid, s->name, state_in_words(s->state), f->threads,
			     f->threads == 1 ? "" : "s");
	}
}

/* Of what follows nothing can be said of a process that is no such. */
static bool is_process(const struct doctor_facts *f)
{
	return f->pid && !f->found && !f->is_us && !f->traces_us && f->status.tgid == f->pid &&
	       f->threads && f->has_memory;
}

static void judge_tracer(const struct doctor_facts *f, struct doctor_findings *ret)
{
	if (!f->tracer) {
		findings_add(ret, "tracer", VERDICT_OK, 0, "nobody traces it");
		return;
	}
	finding_remedy(findings_add(ret, "tracer", VERDICT_FAIL, -EPERM,
				    "pid %d is being traced by pid %d (%s)", f->pid, f->tracer,
				    f->tracer_name),
		       "end that first (kill %d)", f->tracer);
}

static void need_another(const struct doctor_facts *f, struct finding *finding)
{
	const struct arch *arch = arch_find(f->machine, f->elf_class, ARCH_HOST_BIG);

	if (arch)
		finding_remedy(finding, "use a memtrace built for it: %s", arch->ports);
	else
		finding_remedy(finding, "use a memtrace built for it");
}

static void judge_word_size(const struct doctor_facts *f, struct doctor_findings *ret)
{
	const struct arch *native = arch_native();

	if (!f->machine)
		return; /* not readable: the kernel will say more when we attach */
	if (arch_find(f->machine, f->elf_class, ARCH_HOST_BIG) == native)
		findings_add(ret, "word_size", VERDICT_OK, 0, "%u bits, %s",
			     8u * native->word_size, native->name);
	else if (f->elf_class == ELFCLASS32 && native->elf_class == ELFCLASS64)
		need_another(f, findings_add(ret, "word_size", VERDICT_FAIL, -ENOTSUP,
					     "pid %d is a 32-bit process; this memtrace traces "
					     "64-bit ones (%s)",
					     f->pid, native->name));
	else
		need_another(f, findings_add(ret, "word_size", VERDICT_FAIL, -ENOTSUP,
					     "pid %d runs code of another machine (ELF machine "
					     "%u) than this memtrace (%s)",
					     f->pid, f->machine, native->name));
}

/* A warning only: where a filter forbids the soft trap, capture/ takes the hard one. */
static void judge_seccomp(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;

	if (!f->strict && !f->filtered) {
		findings_add(ret, "seccomp", VERDICT_OK, 0, "it has no seccomp filter");
		return;
	}
	if (f->strict) {
		finding = findings_add(ret, "seccomp", VERDICT_WARN, 0,
				       "it is in seccomp's strict mode: break instructions "
				       "will be used");
	} else if (has_bit(f->self.cap_effective, CAP_SYS_ADMIN)) {
		findings_add(ret, "seccomp", VERDICT_OK, 0,
			     "%u of its threads have a seccomp filter, which memtrace will "
			     "read",
			     f->filtered);
		return;
	} else {
		finding = findings_add(ret, "seccomp", VERDICT_WARN, 0,
				       "%u of its threads have a seccomp filter that you may "
				       "not read (CAP_SYS_ADMIN): break instructions will be "
				       "used",
				       f->filtered);
	}
	finding_remedy(finding, "do not kill memtrace with SIGKILL: the process could die with "
				"it");
}

/* ---- whether we are allowed to ------------------------------------------ */

static void judge_ptrace_call(const struct doctor_facts *f, struct doctor_findings *ret)
{
	if (f->ptrace_call == DOCTOR_NOT_ASKED)
		return;
	if (f->ptrace_call == 0)
		findings_add(ret, "ptrace", VERDICT_OK, 0, "memtrace may call ptrace()");
	else
		finding_remedy(findings_add(ret, "ptrace", VERDICT_FAIL, f->ptrace_call,
					    "ptrace() is forbidden here (%s), by a seccomp "
					    "filter of a container or service manager",
					    strerror(-f->ptrace_call)),
			       "docker run --cap-add=SYS_PTRACE, or --security-opt "
			       "seccomp=unconfined");
}

static void judge_user(const struct doctor_facts *f, struct doctor_findings *ret)
{
	const struct status *s = &f->status, *us = &f->self;
	struct finding *finding;

	if (!f->pid) {
		findings_add(ret, "user", VERDICT_OK, 0, "you are uid %u", us->uid);
	} else if (s->uid != us->uid) {
		finding = findings_add(
			ret, "user", is_capable(f) ? VERDICT_OK : verdict_unless_allowed(f),
			-EPERM, "pid %d belongs to another user (uid %u, you are %u)", f->pid,
			s->uid, us->uid);
		if (finding->verdict == VERDICT_FAIL && us->euid)
			finding_remedy(finding,
				       "run memtrace as that user, or sudo memtrace -p %d",
				       f->pid);
		else if (finding->verdict == VERDICT_FAIL)
			remedy_root(finding, f);
	} else if (s->euid != us->uid || s->suid != us->uid || s->gid != us->gid ||
		   s->egid != us->gid || s->sgid != us->gid) {
		finding = findings_add(
			ret, "user", is_capable(f) ? VERDICT_OK : verdict_unless_allowed(f),
			-EPERM,
			"pid %d runs with other ids than yours (uids %u %u %u, gids %u %u %u): "
			"a setuid or setgid program, or another group",
			f->pid, s->uid, s->euid, s->suid, s->gid, s->egid, s->sgid);
		if (finding->verdict == VERDICT_FAIL)
			remedy_root(finding, f);
	} else {
		findings_add(ret, "user", VERDICT_OK, 0, "it belongs to you (uid %u)", us->uid);
	}
}

static void judge_namespace(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;

	if (!f->user_namespace || !f->self_namespace)
		return;
	if (f->user_namespace == f->self_namespace) {
		findings_add(ret, "namespace", VERDICT_OK, 0,
			     "it lives in the same user namespace");
		return;
	}
	finding = findings_add(ret, "namespace",
			       is_capable(f) ? VERDICT_OK : verdict_unless_allowed(f), -EPERM,
			       "pid %d lives in another user namespace (%" PRIu64
			       ", you in %" PRIu64 ")",
			       f->pid, f->user_namespace, f->self_namespace);
	if (finding->verdict == VERDICT_FAIL)
		remedy_root(finding, f);
}

static void judge_capabilities(const struct doctor_facts *f, struct doctor_findings *ret)
{
	uint64_t lacking = f->status.cap_permitted & ~f->self.cap_permitted;
	struct finding *finding;

	if (has_bit(f->self.cap_effective, CAP_SYS_PTRACE)) {
		findings_add(ret, "capabilities", VERDICT_OK, 0, "you have CAP_SYS_PTRACE");
	} else if (f->pid && lacking) {
		finding = findings_add(ret, "capabilities", verdict_unless_allowed(f), -EPERM,
				       "pid %d has capabilities that you lack (0x%" PRIx64 ")",
				       f->pid, lacking);
		if (finding->verdict == VERDICT_FAIL)
			remedy_root(finding, f);
	} else if (!f->pid && f->self.euid == 0) {
		finding = findings_add(ret, "capabilities", VERDICT_WARN, 0,
				       "you are root without CAP_SYS_PTRACE: only processes "
				       "with your ids and no more capabilities than yours");
		remedy_root(finding, f);
	} else if (!f->pid) {
		finding = findings_add(ret, "capabilities", VERDICT_OK, 0,
				       "you have no CAP_SYS_PTRACE: only processes of your "
				       "own (uid %u)",
				       f->self.uid);
	} else {
		findings_add(ret, "capabilities", VERDICT_OK, 0,
			     "you have no CAP_SYS_PTRACE, and it has no capabilities that "
			     "you lack");
	}
}

static void judge_dumpable(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;

	if (f->status.euid == 0)
		return; /* its files are root's in either case */
	if (!f->undumpable) {
		findings_add(ret, "dumpable", VERDICT_OK, 0, "it lets itself be inspected");
		return;
	}
	finding = findings_add(
		ret, "dumpable", is_capable(f) ? VERDICT_OK : verdict_unless_allowed(f), -EPERM,
		"pid %d does not let itself be inspected (PR_SET_DUMPABLE 0, or a "
		"program that you may run and not read)",
		f->pid);
	if (finding->verdict == VERDICT_FAIL)
		remedy_root(finding, f);
}

/* Yama's levels: Documentation/admin-guide/LSM/Yama.rst. */
static void judge_ptrace_scope(const struct doctor_facts *f, struct doctor_findings *ret)
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
		findings_add(ret, "ptrace_scope", VERDICT_OK, 0, "%s does not restrict it",
			     setting);
		return;
	}
	if (f->ptrace_scope == 0 || (f->ptrace_scope < 3 && is_capable(f)) ||
	    verdict_unless_allowed(f) == VERDICT_OK) {
		findings_add(ret, "ptrace_scope", VERDICT_OK, 0, "%s = %d, and you may attach",
			     setting, f->ptrace_scope);
		return;
	}
	finding = findings_add(ret, "ptrace_scope", VERDICT_FAIL, -EPERM, "%s (%s = %d)",
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
static void judge_apparmor(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;
	enum verdict verdict = VERDICT_OK;

	if (!f->apparmor || !f->label[0])
		return;
	if (is_confined(f->label) && !is_allowed(f) && f->memory != DOCTOR_NOT_ASKED &&
	    !findings_failed(ret))
		verdict = VERDICT_FAIL;
	finding = findings_add(ret, "apparmor", verdict, -EACCES, "pid %d has the profile %s",
			       f->pid, f->label);
	if (verdict == VERDICT_FAIL)
		finding_remedy(finding,
			       "sudo aa-complain %.*s; sudo dmesg | grep DENIED says "
			       "what was denied",
			       (int)strcspn(f->label, " "), f->label);
}

static void judge_selinux(const struct doctor_facts *f, struct doctor_findings *ret)
{
	enum verdict verdict = f->deny_ptrace == 1 ? verdict_unless_allowed(f) : VERDICT_OK;
	struct finding *finding;

	if (f->deny_ptrace < 0)
		return;
	finding = findings_add(ret, "selinux", verdict, -EACCES, "deny_ptrace is %s",
			       f->deny_ptrace ? "on" : "off");
	if (verdict == VERDICT_FAIL)
		finding_remedy(finding, "sudo setsebool deny_ptrace=off");
}

static void judge_kernel(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;

	if (f->memory == DOCTOR_NOT_ASKED)
		return;
	if (is_allowed(f)) {
		findings_add(ret, "kernel", VERDICT_OK, 0, "the kernel lets you trace it");
		return;
	}
	if (findings_failed(ret)) {
		findings_add(ret, "kernel", VERDICT_FAIL, f->memory,
			     "the kernel does not let you trace it (%s): see above",
			     strerror(-f->memory));
		return;
	}
	finding = findings_add(ret, "kernel", VERDICT_FAIL, f->memory,
			       "the kernel refuses to trace pid %d (%s)", f->pid,
			       strerror(-f->memory));
	finding_remedy(finding,
		       "in a container, start it with --cap-add=SYS_PTRACE; else look "
		       "at the security module's log (sudo dmesg; sudo ausearch -m avc)");
}

/* ---- all rules, in order ------------------------------------------------ */

static const struct rule {
	void (*judge)(const struct doctor_facts *facts, struct doctor_findings *ret);
	bool process;	 /* about a process, where there is one */
	bool permission; /* about what we are allowed to */
} rules[] = {
	{judge_tracer, true, false},	  {judge_word_size, true, false},
	{judge_ptrace_call, false, true}, {judge_user, false, true},
	{judge_namespace, true, true},	  {judge_capabilities, false, true},
	{judge_dumpable, true, true},	  {judge_ptrace_scope, false, true},
	{judge_selinux, false, true},	  {judge_apparmor, true, true},
	{judge_kernel, true, true},	  {judge_seccomp, true, false},
};

void doctor_judge(const struct doctor_facts *facts, enum doctor_scope scope,
		  struct doctor_findings *ret)
{
	if (scope == DOCTOR_MACHINE) {
		judge_word_size(facts, ret);
		return;
	}
	judge_proc(facts, ret);
	if (facts->proc)
		return;
	if (facts->pid)
		judge_process(facts, ret);
	if (facts->pid && !is_process(facts))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if ((rules[i].process && !facts->pid) ||
		    (rules[i].permission && scope == DOCTOR_PROCESS))
			continue;
		rules[i].judge(facts, ret);
	}
}
