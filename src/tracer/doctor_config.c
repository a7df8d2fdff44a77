/*
 * What of the kernel's configuration we lack, by behaviour: each thing is tried, once and without
 * a trace, where the kernel says ENOSYS (or has no such file) if it was built without.  A filter of
 * system calls that answers otherwise is not the kernel's configuration, and said elsewhere.
 *
 * ptrace() itself can't be left out of a kernel; /proc can, see judge_proc().
 */
#include <errno.h>
#include <linux/kcmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "tracer/doctor_rules.h"

/* -errno of a descriptor that was asked for; it is closed. */
static int outcome(int fd)
{
	int rc = fd < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return rc;
}

static int try_signalfd(void)
{
	sigset_t none;

	sigemptyset(&none);
	return outcome(signalfd(-1, &none, SFD_CLOEXEC));
}

static int try_eventfd(void)
{
	return outcome(eventfd(0, EFD_CLOEXEC));
}

static int try_timerfd(void)
{
	return outcome(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
}

static int try_timer(void)
{
	struct sigevent nothing = {.sigev_notify = SIGEV_NONE};
	timer_t timer;

	if (timer_create(CLOCK_MONOTONIC, &nothing, &timer))
		return -errno;
	timer_delete(timer);
	return 0;
}

static int try_kcmp(void)
{
	return syscall(SYS_kcmp, getpid(), getpid(), KCMP_VM, 0, 0) < 0 ? -errno : 0;
}

static int try_smaps(void)
{
	return access("/proc/self/smaps", F_OK) ? -errno : 0;
}

static int try_children(void)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/task/%d/children", (int)getpid());
	return access(name, F_OK) ? -errno : 0;
}

static int try_unix(void)
{
	return outcome(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int try_inet(void)
{
	return outcome(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static const struct config {
	const char *name;
	int (*ask)(void);
	enum finding_level verdict;
	const char *without; /* what comes of it */
} configs[] = {
	{"CONFIG_SIGNALFD", try_signalfd, FINDING_FAIL, "memtrace can't take its own signals"},
	{"CONFIG_EVENTFD", try_eventfd, FINDING_FAIL, "memtrace's threads can't wake each other"},
	{"CONFIG_TIMERFD", try_timerfd, FINDING_WARN,
	 "--duration waits while a report is written or names are slow to come"},
	{"CONFIG_POSIX_TIMERS", try_timer, FINDING_WARN,
	 "an exec of the process while memtrace attaches may hold both"},
	{"CONFIG_KCMP", try_kcmp, FINDING_WARN,
	 "children that share the process' memory are told by a word of their stacks"},
	{"CONFIG_PROC_PAGE_MONITOR", try_smaps, FINDING_WARN,
	 "no look for leaks, and what is resident is not known by mapping"},
	{"CONFIG_PROC_CHILDREN", try_children, FINDING_WARN,
	 "of the process' children only the last is named"},
	{"CONFIG_UNIX", try_unix, FINDING_WARN, "no memtrace-fs beside memtrace"},
	{"CONFIG_INET", try_inet, FINDING_WARN,
	 "no memtrace-fs on another machine: save a snapshot, memtrace-fs --report it there"},
};

static bool is_missing(int rc)
{
	return rc == -ENOSYS || rc == -ENOENT || rc == -EAFNOSUPPORT;
}

unsigned doctor_config_look(void)
{
	unsigned missing = 0;

	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		if (is_missing(configs[i].ask()))
			missing |= 1u << i;
	return missing;
}

void doctor_judge_config(const struct doctor_facts *f, struct doctor_findings *ret)
{
	if (!f->config_missing)
		findings_add(ret, "config", FINDING_OK, 0,
			     "the kernel has all of its configuration that memtrace uses");
	for (size_t i = 0; i < ARRAY_SIZE(configs); i++)
		if (f->config_missing & 1u << i)
			findings_add(ret, "config", configs[i].verdict, -ENOSYS,
				     "the kernel is without %s: %s", configs[i].name,
				     configs[i].without);
}
