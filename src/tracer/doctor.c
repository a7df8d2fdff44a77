/*
 * What facts mean for an attach: a table of rules, each a function in doctor_process.c or
 * doctor_permission.c.  Their order is the order of the lines, and of two that fail the first
 * is the reason that an attach gives.
 */
#include "tracer/doctor_rules.h"

#include <errno.h>

/* Whether /proc can be believed. */
static void judge_proc(const struct doctor_facts *f, struct doctor_findings *ret)
{
	if (f->proc == -ENOENT)
		finding_remedy(findings_add(ret, "proc", FINDING_FAIL, -ENOENT,
					    "/proc is not mounted"),
			       "mount -t proc proc /proc");
	else if (f->proc)
		finding_remedy(findings_add(ret, "proc", FINDING_FAIL, -EXDEV,
					    "/proc is of another pid namespace than memtrace, "
					    "and means other processes by its numbers"),
			       "mount this namespace's (unshare --mount-proc, or mount -t "
			       "proc proc /proc), or run memtrace outside of it");
}

/* Of what follows nothing can be said of a process that is no such. */
static bool is_process(const struct doctor_facts *f)
{
	return f->pid && !f->found && !f->is_us && !f->traces_us && f->status.tgid == f->pid &&
	       f->threads && f->has_memory;
}

static const struct rule {
	doctor_rule *judge;
	bool process;	 /* about a process, where there is one */
	bool permission; /* about what we are allowed to */
} rules[] = {
	{doctor_judge_tracer, true, false},	 {doctor_judge_word_size, true, false},
	{doctor_judge_ptrace_call, false, true}, {doctor_judge_user, false, true},
	{doctor_judge_namespace, true, true},	 {doctor_judge_capabilities, false, true},
	{doctor_judge_dumpable, true, true},	 {doctor_judge_ptrace_scope, false, true},
	{doctor_judge_selinux, false, true},	 {doctor_judge_apparmor, true, true},
	{doctor_judge_kernel, true, true},	 {doctor_judge_seccomp, true, false},
	{doctor_judge_config, false, true},
};

void doctor_judge(const struct doctor_facts *facts, enum doctor_scope scope,
		  struct doctor_findings *ret)
{
	if (scope == DOCTOR_MACHINE) {
		doctor_judge_word_size(facts, ret);
		return;
	}
	judge_proc(facts, ret);
	if (facts->proc)
		return;
	if (facts->pid)
		doctor_judge_process(facts, ret);
	if (facts->pid && !is_process(facts))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if ((rules[i].process && !facts->pid) ||
		    (rules[i].permission && scope == DOCTOR_PROCESS))
			continue;
		rules[i].judge(facts, ret);
	}
}
