/* What the process is, whoever looks: rules for which no permission helps. */
#include "tracer/doctor_rules.h"

#include <elf.h>
#include <errno.h>
#include <linux/capability.h>

#include "arch/cpu.h"

enum { KTHREADD = 2 }; /* the parent of all kernel threads */

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
void doctor_judge_process(const struct doctor_facts *f, struct doctor_findings *ret)
{
	const struct status *s = &f->status;

	if (f->found) {
		finding_remedy(findings_add(ret, "process", FINDING_FAIL, -ESRCH,
					    "no process with pid %d", f->pid),
			       "see ps -e");
	} else if (f->is_us) {
		findings_add(ret, "process", FINDING_FAIL, -EPERM, "pid %d is memtrace itself",
			     f->pid);
	} else if (f->traces_us) {
		findings_add(ret, "process", FINDING_FAIL, -EPERM,
			     "pid %d (%s) traces this memtrace: each would wait for the other",
			     f->pid, s->name);
	} else if (s->tgid != f->pid) {
		finding_remedy(findings_add(ret, "process", FINDING_FAIL, -EINVAL,
					    "%d is a thread of process %d", f->pid, s->tgid),
			       "use -p %d", s->tgid);
	} else if (!f->threads) {
		finding_remedy(findings_add(ret, "process", FINDING_FAIL, -EPERM,
					    "pid %d (%s) is a zombie", f->pid, s->name),
			       "it has ended, only its parent has not noticed");
	} else if (!f->has_memory && s->parent != KTHREADD && f->pid != KTHREADD) {
		findings_add(ret, "process", FINDING_FAIL, -ESRCH, "pid %d (%s) is ending",
			     f->pid, s->name);
	} else if (!f->has_memory) {
		findings_add(ret, "process", FINDING_FAIL, -EPERM,
			     "pid %d (%s) is a kernel thread: it has no heap of its own",
			     f->pid, s->name);
	} else if (f->is_frozen) {
		finding_remedy(findings_add(ret, "process", FINDING_WARN, 0,
					    "pid %d (%s) is frozen with its cgroup: it does "
					    "nothing until that is thawed",
					    f->pid, s->name),
			       "echo %s > %s", f->frozen.thaw, f->frozen.file);
	} else {
		findings_add(ret, "process", FINDING_OK, 0, "pid %d (%s) is %s, %u thread%s",
			     f->pid, s->name, state_in_words(s->state), f->threads,
			     f->threads == 1 ? "" : "s");
	}
}

void doctor_judge_tracer(const struct doctor_facts *f, struct doctor_findings *ret)
{
	if (!f->tracer) {
		findings_add(ret, "tracer", FINDING_OK, 0, "nobody traces it");
		return;
	}
	finding_remedy(findings_add(ret, "tracer", FINDING_FAIL, -EPERM,
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

void doctor_judge_word_size(const struct doctor_facts *f, struct doctor_findings *ret)
{
	const struct arch *native = arch_native();

	if (!f->machine)
		return; /* not readable: the kernel will say more when we attach */
	if (arch_find(f->machine, f->elf_class, ARCH_HOST_BIG) == native)
		findings_add(ret, "word_size", FINDING_OK, 0, "%u bits, %s",
			     8u * native->word_size, native->name);
	else if (f->elf_class == ELFCLASS32 && native->elf_class == ELFCLASS64)
		need_another(f, findings_add(ret, "word_size", FINDING_FAIL, -ENOTSUP,
					     "pid %d is a 32-bit process; this memtrace traces "
					     "64-bit ones (%s)",
					     f->pid, native->name));
	else
		need_another(f, findings_add(ret, "word_size", FINDING_FAIL, -ENOTSUP,
					     "pid %d runs code of another machine (ELF machine "
					     "%u) than this memtrace (%s)",
					     f->pid, f->machine, native->name));
}

/* A warning only: where a filter forbids the soft trap, capture/ takes the hard one. */
void doctor_judge_seccomp(const struct doctor_facts *f, struct doctor_findings *ret)
{
	struct finding *finding;

	if (!f->strict && !f->filtered) {
		findings_add(ret, "seccomp", FINDING_OK, 0, "it has no seccomp filter");
		return;
	}
	if (f->strict) {
		finding = findings_add(ret, "seccomp", FINDING_WARN, 0,
				       "it is in seccomp's strict mode: break instructions "
				       "will be used");
	} else if (status_can(&f->self, CAP_SYS_ADMIN)) {
		findings_add(ret, "seccomp", FINDING_OK, 0,
			     "%u of its threads have a seccomp filter, which memtrace will "
			     "read",
			     f->filtered);
		return;
	} else {
		finding = findings_add(ret, "seccomp", FINDING_WARN, 0,
				       "%u of its threads have a seccomp filter that you may "
				       "not read (CAP_SYS_ADMIN): break instructions will be "
				       "used",
				       f->filtered);
	}
	finding_remedy(finding, "do not kill memtrace with SIGKILL: the process could die with "
				"it");
}
