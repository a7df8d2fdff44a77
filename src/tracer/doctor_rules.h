/* Inside the doctor: its rules.  Each adds at most a finding or two to *ret, or none where the
 * facts say nothing of its subject. */
#ifndef MEMTRACE_DOCTOR_RULES_H
#define MEMTRACE_DOCTOR_RULES_H

#include "tracer/doctor.h"

typedef void doctor_rule(const struct doctor_facts *facts, struct doctor_findings *ret);

/* What the process is. */
doctor_rule doctor_judge_process, doctor_judge_tracer, doctor_judge_word_size,
	doctor_judge_seccomp;

/* Whether we are allowed to; doctor_judge_kernel() is to be the last. */
doctor_rule doctor_judge_ptrace_call, doctor_judge_user, doctor_judge_namespace,
	doctor_judge_capabilities, doctor_judge_dumpable, doctor_judge_ptrace_scope,
	doctor_judge_apparmor, doctor_judge_selinux, doctor_judge_kernel;

/* What the kernel was built without, by trying (doctor_config.c); the former gives a bit for each
 * thing that is missing, the latter says them. */
unsigned doctor_config_look(void);
doctor_rule doctor_judge_config;

#endif
