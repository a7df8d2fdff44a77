/*
 * What --doctor and refused attaches say: rules by facts, facts by a /proc of our own
 * making, and both by what the kernel really does.
 */
#include <elf.h>
#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/cpu.h"
#include "tracer/attach.h"
#include "tracer/doctor.h"

enum { PID = 4711, ME = 1000, FIRST = 4026531837u };
#define CAP(n) (1ull << (n))

/* An unprivileged user's own sleeping process, which nothing speaks against. */
static struct doctor_facts usual(void)
{
	struct doctor_facts f = {
		.self = {.tgid = 1,
			 .uid = ME,
			 .euid = ME,
			 .suid = ME,
			 .gid = ME,
			 .egid = ME,
			 .sgid = ME},
		.self_namespace = FIRST,
		.ptrace_scope = -1,
		.deny_ptrace = -1,
		.pid = PID,
		.memory = DOCTOR_NOT_ASKED,
		.status = {.name = "prog",
			   .state = 'S',
			   .tgid = PID,
			   .uid = ME,
			   .euid = ME,
			   .suid = ME,
			   .gid = ME,
			   .egid = ME,
			   .sgid = ME},
		.threads = 3,
		.has_memory = true,
		.user_namespace = FIRST,
		.machine = arch_native()->elf_machine,
		.elf_class = arch_native()->elf_class,
	};
	return f;
}

static struct doctor_findings judged(const struct doctor_facts *facts)
{
	struct doctor_findings findings = {.count = 0};

	doctor_judge(facts, DOCTOR_ALL, &findings);
	return findings;
}

static const struct finding *find(const struct doctor_findings *findings, const char *id)
{
	for (size_t i = 0; i < findings->count; i++)
		if (!strcmp(findings->at[i].id, id))
			return &findings->at[i];
	fail_msg("no finding %s", id);
	return NULL;
}

/* The first that failed is this one. */
static void assert_fails(const struct doctor_facts *facts, const char *id, int code,
			 const char *text, const char *remedy)
{
	struct doctor_findings findings = judged(facts);
	const struct finding *failed = findings_failed(&findings);

	assert_non_null(failed);
	assert_string_equal(failed->id, id);
	assert_int_equal(failed->code, code);
	assert_string_equal(failed->text, text);
	assert_string_equal(failed->remedy, remedy);
}

static void assert_fine(const struct doctor_facts *facts)
{
	struct doctor_findings findings = judged(facts);
	const struct finding *failed = findings_failed(&findings);

	if (failed)
		fail_msg("%s: %s", failed->id, failed->text);
}

static void assert_text(const struct doctor_facts *facts, const char *id, const char *text)
{
	struct doctor_findings findings = judged(facts);

	assert_string_equal(find(&findings, id)->text, text);
}

/* ---- rules --------------------------------------------------------------- */

static void nothing_speaks_against_ones_own(void **state)
{
	struct doctor_facts f = usual();
	char text[64];

	(void)state;
	assert_fine(&f);
	assert_text(&f, "process", "pid 4711 (prog) is sleeping, 3 threads");
	snprintf(text, sizeof(text), "%u bits, %s", 8u * arch_native()->word_size,
		 arch_native()->name);
	assert_text(&f, "word_size", text);
	f.memory = 0;
	assert_text(&f, "kernel", "the kernel lets you trace it");
}

static void what_is_no_process_of_ours(void **state)
{
	struct doctor_facts f = usual();
	struct doctor_findings findings;

	(void)state;
	f.found = -ENOENT;
	assert_fails(&f, "process", -ESRCH, "no process with pid 4711", "see ps -e");
	f = usual();
	f.is_us = true;
	assert_fails(&f, "process", -EPERM, "pid 4711 is memtrace itself", "");
	f = usual();
	f.status.tgid = 4700;
	assert_fails(&f, "process", -EINVAL, "4711 is a thread of process 4700", "use -p 4700");
	f = usual();
	f.threads = 0;
	f.status.state = 'Z';
	assert_fails(&f, "process", -EPERM, "pid 4711 (prog) is a zombie",
		     "it has ended, only its parent has not noticed");
	f = usual();
	f.has_memory = false;
	assert_fails(&f, "process", -ESRCH, "pid 4711 (prog) is ending", "");
	f.status.parent = 2; /* kthreadd */
	assert_fails(&f, "process", -EPERM,
		     "pid 4711 (prog) is a kernel thread: it has no heap of its own", "");
	findings = judged(&f);
	assert_int_equal(findings.count, 1); /* nothing more to be said of it */
}

static void a_leader_may_end_before_its_threads(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.status.state = 'Z';
	f.status.has_memory = false;
	f.threads = 1;
	assert_fine(&f);
	assert_text(&f, "process",
		    "pid 4711 (prog) is going on without its main thread, 1 thread");
}

static void one_tracer_at_a_time(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.tracer = 77;
	strcpy(f.tracer_name, "gdb");
	assert_fails(&f, "tracer", -EPERM, "pid 4711 is being traced by pid 77 (gdb)",
		     "end that first (kill 77)");
}

static void the_word_size_must_be_ours(void **state)
{
	const struct arch *native = arch_native();
	struct doctor_facts f = usual();
	char text[128];

	(void)state;
	f.machine = EM_386;
	f.elf_class = ELFCLASS32;
	snprintf(text, sizeof(text),
		 native->word_size == 8
			 ? "pid 4711 is a 32-bit process; this memtrace traces 64-bit ones (%s)"
			 : "pid 4711 runs code of another machine (ELF machine 3) than this "
			   "memtrace (%s)",
		 native->name);
	assert_fails(&f, "word_size", -ENOTSUP, text, "use a memtrace built for it");
	f.machine = EM_IA_64; /* that no memtrace is for */
	f.elf_class = native->elf_class;
	snprintf(text, sizeof(text),
		 "pid 4711 runs code of another machine (ELF machine 50) than this "
		 "memtrace (%s)",
		 native->name);
	assert_fails(&f, "word_size", -ENOTSUP, text, "use a memtrace built for it");
	if (native->word_size == 8) {
		f.machine = EM_ARM;
		f.elf_class = ELFCLASS32;
		snprintf(text, sizeof(text),
			 "pid 4711 is a 32-bit process; this memtrace traces 64-bit ones (%s)",
			 native->name);
		assert_fails(&f, "word_size", -ENOTSUP, text,
			     "use a memtrace built for it: armhf or armel");
	}
	f.machine = 0; /* not readable */
	assert_fine(&f);
}

static void another_user(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.status.uid = f.status.euid = f.status.suid = 33;
	assert_fails(&f, "user", -EPERM,
		     "pid 4711 belongs to another user (uid 33, you are 1000)",
		     "run memtrace as that user, or sudo memtrace -p 4711");
	f.memory = 0; /* the kernel knows better: we own its user namespace, say */
	assert_fine(&f);
	f.memory = -EACCES;
	f.self.cap_effective = CAP(CAP_SYS_PTRACE);
	assert_fails(&f, "kernel", -EACCES,
		     "the kernel refuses to trace pid 4711 (Permission denied)",
		     "in a container, start it with --cap-add=SYS_PTRACE; else look at the "
		     "security module's log (sudo dmesg; sudo ausearch -m avc)");
	f.memory = 0;
	assert_fine(&f);
}

static void setuid_and_setgid(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.status.suid = 0;
	assert_fails(
		&f, "user", -EPERM,
		"pid 4711 runs with other ids than yours (uids 1000 1000 0, gids 1000 1000 "
		"1000): a setuid or setgid program, or another group",
		"sudo memtrace -p 4711");
	f.status.suid = ME;
	f.status.egid = 5;
	assert_fails(
		&f, "user", -EPERM,
		"pid 4711 runs with other ids than yours (uids 1000 1000 1000, gids 1000 5 "
		"1000): a setuid or setgid program, or another group",
		"sudo memtrace -p 4711");
}

static void capabilities_that_we_lack(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.status.cap_permitted = CAP(CAP_NET_RAW) | CAP(CAP_CHOWN);
	f.self.cap_permitted = CAP(CAP_CHOWN);
	assert_fails(&f, "capabilities", -EPERM,
		     "pid 4711 has capabilities that you lack (0x2000)",
		     "sudo memtrace -p 4711");
	f.self.cap_permitted |= CAP(CAP_NET_RAW);
	assert_fine(&f);
}

static void root_in_a_container(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.self.uid = f.self.euid = 0;
	assert_fails(&f, "user", -EPERM,
		     "pid 4711 belongs to another user (uid 1000, you are 0)",
		     "in a container, start it with --cap-add=SYS_PTRACE; else run memtrace "
		     "outside of it");
	f.pid = 0;
	assert_fine(&f);
	assert_text(&f, "capabilities",
		    "you are root without CAP_SYS_PTRACE: only processes with your ids and no "
		    "more capabilities than yours");
}

static void user_namespaces(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.user_namespace = 4026532000u;
	assert_fails(&f, "namespace", -EPERM,
		     "pid 4711 lives in another user namespace (4026532000, you in 4026531837)",
		     "sudo memtrace -p 4711");
	/* A capability reaches down from the first namespace, not up from another. */
	f.self.cap_effective = CAP(CAP_SYS_PTRACE);
	assert_fine(&f);
	f.self_namespace = 4026532001u;
	assert_fails(&f, "namespace", -EPERM,
		     "pid 4711 lives in another user namespace (4026532000, you in 4026532001)",
		     "sudo memtrace -p 4711");
	f.memory = 0;
	assert_fine(&f);
}

static void undumpable(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.undumpable = true;
	assert_fails(&f, "dumpable", -EPERM,
		     "pid 4711 does not let itself be inspected (PR_SET_DUMPABLE 0, or a "
		     "program that you may run and not read)",
		     "sudo memtrace -p 4711");
	f.self.cap_effective = CAP(CAP_SYS_PTRACE);
	assert_fine(&f);
}

static void scopes_of_yama(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.ptrace_scope = 0;
	assert_fine(&f);
	f.ptrace_scope = 1;
	assert_fails(&f, "ptrace_scope", -EPERM,
		     "only a parent may attach (kernel.yama.ptrace_scope = 1)",
		     "sudo memtrace -p 4711, or sudo sysctl kernel.yama.ptrace_scope=0");
	f.memory = 0; /* PR_SET_PTRACER, or a child of ours */
	assert_fine(&f);
	assert_text(&f, "ptrace_scope", "kernel.yama.ptrace_scope = 1, and you may attach");
	f.memory = -EPERM;
	f.ptrace_scope = 2;
	assert_fails(&f, "ptrace_scope", -EPERM,
		     "only root may attach (kernel.yama.ptrace_scope = 2)",
		     "sudo memtrace -p 4711, or sudo sysctl kernel.yama.ptrace_scope=0");
	f.self.cap_effective = CAP(CAP_SYS_PTRACE);
	f.memory = DOCTOR_NOT_ASKED;
	assert_fine(&f);
	f.ptrace_scope = 3; /* root too */
	assert_fails(&f, "ptrace_scope", -EPERM,
		     "attaching is switched off until the next boot (kernel.yama.ptrace_scope "
		     "= 3)",
		     "set kernel.yama.ptrace_scope = 1 in /etc/sysctl.d, and boot anew");
}

static void in_general(void **state)
{
	struct doctor_facts f = usual();

	(void)state;
	f.pid = 0;
	assert_fine(&f);
	assert_text(&f, "user", "you are uid 1000");
	assert_text(&f, "capabilities",
		    "you have no CAP_SYS_PTRACE: only processes of your own (uid 1000)");
	f.ptrace_scope = 1;
	assert_fails(&f, "ptrace_scope", -EPERM,
		     "only a parent may attach (kernel.yama.ptrace_scope = 1)",
		     "sudo memtrace -p PID, or sudo sysctl kernel.yama.ptrace_scope=0");
	f.ptrace_scope = -1;
	f.deny_ptrace = 1;
	assert_fails(&f, "selinux", -EACCES, "deny_ptrace is on",
		     "sudo setsebool deny_ptrace=off");
	f.deny_ptrace = 0;
	f.ptrace_call = -EPERM;
	assert_fails(
		&f, "ptrace", -EPERM,
		"ptrace() is forbidden here (Operation not permitted), by a seccomp filter "
		"of a container or service manager",
		"docker run --cap-add=SYS_PTRACE, or --security-opt seccomp=unconfined");
}

static void profiles_of_apparmor(void **state)
{
	struct doctor_facts f = usual();
	struct doctor_findings findings;

	(void)state;
	f.apparmor = true;
	strcpy(f.label, "/usr/sbin/mysqld (enforce)");
	assert_fine(&f); /* nobody has refused */
	f.memory = -EACCES;
	assert_fails(
		&f, "apparmor", -EACCES, "pid 4711 has the profile /usr/sbin/mysqld (enforce)",
		"sudo aa-complain /usr/sbin/mysqld; sudo dmesg | grep DENIED says what was "
		"denied");
	findings = judged(&f);
	assert_string_equal(find(&findings, "kernel")->text,
			    "the kernel does not let you trace it (Permission denied): see "
			    "above");
	/* Another reason is there: the profile is not blamed. */
	f.deny_ptrace = 1;
	findings = judged(&f);
	assert_int_equal(find(&findings, "apparmor")->verdict, FINDING_OK);
	f.deny_ptrace = 0;
	strcpy(f.label, "unconfined");
	findings = judged(&f);
	assert_string_equal(findings_failed(&findings)->id, "kernel");
	strcpy(f.label, "prog (complain)");
	findings = judged(&f);
	assert_string_equal(findings_failed(&findings)->id, "kernel");
}

static void seccomp_is_a_warning(void **state)
{
	struct doctor_facts f = usual();
	struct doctor_findings findings;

	(void)state;
	f.filtered = 2;
	assert_fine(&f);
	findings = judged(&f);
	assert_int_equal(find(&findings, "seccomp")->verdict, FINDING_WARN);
	assert_string_equal(find(&findings, "seccomp")->text,
			    "2 of its threads have a seccomp filter that you may not read "
			    "(CAP_SYS_ADMIN): break instructions will be used");
	assert_string_equal(find(&findings, "seccomp")->remedy,
			    "do not kill memtrace with SIGKILL: the process could die with it");
	f.self.cap_effective = CAP(CAP_SYS_ADMIN);
	findings = judged(&f);
	assert_int_equal(find(&findings, "seccomp")->verdict, FINDING_OK);
	f.strict = true;
	findings = judged(&f);
	assert_int_equal(find(&findings, "seccomp")->verdict, FINDING_WARN);
}

/* An attach is checked for what the process is alone: the kernel decides on the rest. */
static void the_scope_of_a_check(void **state)
{
	struct doctor_facts f = usual();
	struct doctor_findings findings = {.count = 0};

	(void)state;
	f.ptrace_scope = 3;
	f.status.uid = 33;
	f.memory = -EPERM;
	doctor_judge(&f, DOCTOR_PROCESS, &findings);
	assert_null(findings_failed(&findings));
	f.tracer = 5;
	doctor_judge(&f, DOCTOR_PROCESS, &findings);
	assert_string_equal(findings_failed(&findings)->id, "tracer");
}

static void findings_have_an_end(void **state)
{
	struct doctor_findings findings = {.count = 0};
	struct err err = {0};

	(void)state;
	for (int i = 0; i < FINDINGS_MAX + 3; i++)
		findings_add(&findings, "x", FINDING_OK, -1, "%d", i);
	assert_int_equal(findings.count, FINDINGS_MAX);
	assert_string_equal(findings.at[FINDINGS_MAX - 2].text, "30");
	assert_int_equal(findings.at[0].code, 0); /* it did not fail */
	findings_add(&findings, "y", FINDING_FAIL, -EPERM, "words");
	assert_int_equal(finding_err(findings_failed(&findings), &err), -EPERM);
	assert_string_equal(err.text, "words");
	finding_remedy(&findings.at[FINDINGS_MAX - 1], "do %s", "this");
	finding_err(findings_failed(&findings), &err);
	assert_string_equal(err.text, "words: do this");
}

/* ---- facts, by a /proc of our making ---------------------------------------- */

static char root[] = "/tmp/test_doctor.XXXXXX";

static void put(const char *path, const char *text)
{
	char name[256];
	FILE *file;

	snprintf(name, sizeof(name), "%s%s", root, path);
	for (char *at = name + strlen(root) + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = 0;
		if (mkdir(name, 0755) && errno != EEXIST)
			fail_msg("mkdir %s", name);
	}
	file = fopen(name, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void put_link(const char *path, const char *to)
{
	char name[256];

	put(path, "");
	snprintf(name, sizeof(name), "%s%s", root, path);
	unlink(name);
	assert_int_equal(symlink(to, name), 0);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void facts_are_read(void **state)
{
	static const char elf[EI_NIDENT + 4] = {0x7f,
						'E',
						'L',
						'F',
						ELFCLASS32,
						1,
						1,
						[EI_NIDENT] = 2,
						[EI_NIDENT + 2] = EM_386};
	struct doctor_facts f;
	char name[128], text[256];
	FILE *file;

	(void)state;
	put("/proc/self/status",
	    "Name:\tmemtrace\nTgid:\t9\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"
	    "CapPrm:\t0000000000000003\nCapEff:\t0000000000080001\n");
	put_link("/proc/self/ns/user", "user:[4026531837]");
	put("/proc/sys/kernel/yama/ptrace_scope", "2\n");
	put("/sys/fs/selinux/booleans/deny_ptrace", "1 1");
	put("/sys/module/apparmor/parameters/enabled", "Y\n");
	snprintf(text, sizeof(text),
		 "Name:\tprog\nState:\tZ (zombie)\nTgid:\t50\nUid:\t%u\t%u\t%u\t%u\n",
		 getuid() + 1, getuid() + 1, 0u, 0u);
	put("/proc/50/status", text);
	put("/proc/50/task/50/status", text);
	put("/proc/50/task/51/status",
	    "Name:\tprog\nState:\tS (sleeping)\nVmSize:\t1 kB\nSeccomp:\t2\nTracerPid:\t71\n");
	put("/proc/50/task/52/status", "Name:\tprog\nState:\tR\nVmSize:\t1 kB\nSeccomp:\t1\n");
	put("/proc/71/status", "Name:\tstrace\nTgid:\t70\n");
	put_link("/proc/50/task/51/ns/user", "user:[4026532222]");
	put("/proc/50/task/51/attr/current", "/bin/prog (enforce)\n");
	put("/proc/50/task/51/stat", "");
	put("/proc/50/task/51/exe", "");
	put_link("/proc/50/task/52/ns/user", "user:[4026532222]");
	put("/proc/50/task/52/attr/current", "/bin/prog (enforce)\n");
	put("/proc/50/task/52/stat", "");
	for (int i = 1; i <= 2; i++) {
		snprintf(name, sizeof(name), "%s/proc/50/task/5%d/exe", root, i);
		file = fopen(name, "w");
		fwrite(elf, sizeof(elf), 1, file);
		fclose(file);
	}
	doctor_look(root, 50, &f);
	assert_int_equal(f.self.uid, 1);
	assert_int_equal(f.self.euid, 2);
	assert_int_equal(f.self.suid, 3);
	assert_int_equal(f.self.sgid, 7);
	assert_int_equal(f.self.cap_permitted, 3);
	assert_int_equal(f.self.cap_effective, 0x80001);
	assert_int_equal(f.self_namespace, 4026531837u);
	assert_int_equal(f.ptrace_call, DOCTOR_NOT_ASKED);
	assert_int_equal(f.ptrace_scope, 2);
	assert_int_equal(f.deny_ptrace, 1);
	assert_true(f.apparmor);
	assert_int_equal(f.found, 0);
	assert_false(f.is_us);
	assert_int_equal(f.memory, DOCTOR_NOT_ASKED);
	assert_int_equal(f.status.state, 'Z');
	assert_int_equal(f.threads, 2);
	assert_true(f.has_memory);
	assert_int_equal(f.filtered, 1);
	assert_true(f.strict);
	assert_int_equal(f.tracer, 70);
	assert_string_equal(f.tracer_name, "strace");
	assert_int_equal(f.user_namespace, 4026532222u);
	assert_int_equal(f.machine, EM_386);
	assert_int_equal(f.elf_class, ELFCLASS32);
	assert_true(f.undumpable);
	assert_string_equal(f.label, "/bin/prog (enforce)");
}

static void facts_that_are_missing(void **state)
{
	struct doctor_facts f;

	(void)state;
	doctor_look("/nonexistent/proc", 50, &f);
	assert_int_equal(f.found, -ENOENT);
	assert_int_equal(f.ptrace_scope, -1);
	assert_int_equal(f.deny_ptrace, -1);
	assert_false(f.apparmor);
	assert_int_equal(f.self_namespace, 0);
	assert_int_equal(f.machine, 0);
	assert_false(f.is_us);
	doctor_look("/nonexistent/proc", 0, &f);
	assert_int_equal(f.pid, 0);
	assert_int_equal(f.memory, DOCTOR_NOT_ASKED);
}

/* ---- and by the kernel -------------------------------------------------------- */

/* A child that waits, undumpable or under another uid where asked to. */
static pid_t waiting_child(bool dumpable, uid_t uid)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (uid && setresuid(uid, uid, uid))
			_exit(1);
		prctl(PR_SET_DUMPABLE, dumpable);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_child_of_ours(void **state)
{
	pid_t pid = waiting_child(true, 0);
	struct doctor_facts f;
	struct err err = {0};

	(void)state;
	doctor_look("", pid, &f);
	assert_int_equal(f.found, 0);
	assert_int_equal(f.ptrace_call, 0);
	assert_int_equal(f.memory, 0);
	assert_int_equal(f.threads, 1);
	assert_int_equal(f.status.tgid, pid);
	assert_int_equal(f.status.uid, getuid());
	assert_int_equal(f.status.gid, getgid());
	assert_int_equal(f.user_namespace, f.self_namespace);
	assert_true(f.user_namespace != 0);
	assert_int_equal(f.machine, arch_native()->elf_machine);
	assert_int_equal(f.self.tgid, getpid());
	assert_int_equal(attach_check(pid, &err), 0);
	end_child(pid);
	assert_int_equal(attach_check(pid, &err), -ESRCH);
	assert_int_equal(attach_check(getpid(), &err), -EPERM);
	assert_int_equal(attach_check(0, &err), -ESRCH);
	assert_int_equal(attach_check(-5, &err), -ESRCH);
}

static void a_zombie(void **state)
{
	struct err err = {0};
	siginfo_t info;
	pid_t pid = fork();
	char expected[200];

	(void)state;
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(attach_check(pid, &err), -EPERM);
	snprintf(expected, sizeof(expected),
		 "pid %d (test_doctor) is a zombie: it has ended, only its parent has not "
		 "noticed",
		 pid);
	assert_string_equal(err.text, expected);
	waitpid(pid, NULL, 0);
}

static void a_traced_one(void **state)
{
	pid_t pid = waiting_child(true, 0);
	struct err err = {0};
	char expected[200];

	(void)state;
	assert_int_equal(ptrace(PTRACE_SEIZE, pid, 0, 0), 0);
	assert_int_equal(attach_check(pid, &err), -EPERM);
	snprintf(expected, sizeof(expected),
		 "pid %d is being traced by pid %d (test_doctor): end that first (kill %d)",
		 pid, getpid(), getpid());
	assert_string_equal(err.text, expected);
	end_child(pid);
}

/* In a child of its own that is another user, what the kernel refuses is explained. */
static void refused_by_the_kernel(void **state)
{
	pid_t stranger, own, judge;
	int status;

	(void)state;
	if (geteuid())
		skip();
	stranger = waiting_child(true, 0); /* root's */
	own = waiting_child(false, 4321);
	judge = fork();
	if (judge == 0) {
		struct err err = {0};
		char expected[200];
		long rc;

		if (setresgid(getgid(), getgid(), getgid()) || setresuid(4321, 4321, 4321))
			_exit(10);
		rc = ptrace(PTRACE_SEIZE, stranger, 0, 0);
		if (rc == 0 || errno != EPERM)
			_exit(11);
		if (attach_refused(stranger, -EPERM, &err) != -EPERM)
			_exit(12);
		snprintf(
			expected, sizeof(expected),
			"pid %d belongs to another user (uid 0, you are 4321): run memtrace as "
			"that user, or sudo memtrace -p %d",
			stranger, stranger);
		if (strcmp(err.text, expected))
			_exit(13);
		rc = ptrace(PTRACE_SEIZE, own, 0, 0);
		if (rc == 0 || errno != EPERM)
			_exit(14);
		if (attach_refused(own, -EPERM, &err) != -EPERM)
			_exit(15);
		_exit(strstr(err.text, "does not let itself be inspected") ? 0 : 16);
	}
	assert_int_equal(waitpid(judge, &status, 0), judge);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(WIFEXITED(status));
	end_child(stranger);
	end_child(own);
}

static void refused_otherwise(void **state)
{
	pid_t pid = waiting_child(true, 0);
	struct err err = {0};
	char expected[200];

	(void)state;
	assert_int_equal(attach_refused(pid, -ENOMEM, &err), -ENOMEM);
	snprintf(expected, sizeof(expected), "cannot attach to pid %d: Cannot allocate memory",
		 pid);
	assert_string_equal(err.text, expected);
	/* PTRACE_SEIZE with flags that the kernel does not know. */
	assert_int_equal(attach_refused(pid, -EIO, &err), -ENOSYS);
	assert_non_null(strstr(err.text, "memtrace needs Linux 3.4"));
	/* Nothing explains it: said so, with the kernel's word. */
	assert_int_equal(attach_refused(pid, -EPERM, &err), -EPERM);
	snprintf(expected, sizeof(expected), "the kernel refuses to trace pid %d", pid);
	assert_memory_equal(err.text, expected, strlen(expected));
	assert_int_equal(attach_refused(pid, -ESRCH, &err), -ESRCH);
	end_child(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_speaks_against_ones_own),
		cmocka_unit_test(what_is_no_process_of_ours),
		cmocka_unit_test(a_leader_may_end_before_its_threads),
		cmocka_unit_test(one_tracer_at_a_time),
		cmocka_unit_test(the_word_size_must_be_ours),
		cmocka_unit_test(another_user),
		cmocka_unit_test(setuid_and_setgid),
		cmocka_unit_test(capabilities_that_we_lack),
		cmocka_unit_test(root_in_a_container),
		cmocka_unit_test(user_namespaces),
		cmocka_unit_test(undumpable),
		cmocka_unit_test(scopes_of_yama),
		cmocka_unit_test(in_general),
		cmocka_unit_test(profiles_of_apparmor),
		cmocka_unit_test(seccomp_is_a_warning),
		cmocka_unit_test(the_scope_of_a_check),
		cmocka_unit_test(findings_have_an_end),
		cmocka_unit_test(facts_are_read),
		cmocka_unit_test(facts_that_are_missing),
		cmocka_unit_test(a_child_of_ours),
		cmocka_unit_test(a_zombie),
		cmocka_unit_test(a_traced_one),
		cmocka_unit_test(refused_by_the_kernel),
		cmocka_unit_test(refused_otherwise),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}
