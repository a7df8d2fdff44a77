/*
 * Reading /proc/PID/status and its neighbours.
 *
 * The files are the kernel's, but their owner may die while we read: a file that
 * is gone is -ENOENT, never a surprise.  Fields that an old kernel lacks read as 0.
 */
#include "tracer/status.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>

#include "base/scope.h"

/* NGROUPS_MAX groups of 11 digits, and all the rest. */
enum { STATUS_USUAL = 8192, STATUS_LONGEST = 65536 * 11 + STATUS_USUAL };

/* Reads a /proc file whole, NUL-terminated.  Length, or -errno. */
static ssize_t file_read(const char *path, char *buf, size_t size)
{
	scope_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);
		if (n < 0)
			return errno == ESRCH ? -ENOENT : -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = 0;
	return (ssize_t)len;
}

/* The text behind `name`, or NULL.  A name of a process cannot pose as a field: the
 * kernel writes a newline in it as a backslash and an n. */
static const char *field(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	if (!at)
		return NULL;
	at += strlen(name);
	while (*at == '\t' || *at == ' ')
		at++;
	return at;
}

static uint64_t field_number(const char *text, const char *name, int base)
{
	const char *at = field(text, name);
	return at ? strtoull(at, NULL, base) : 0;
}

/* Signals, the first one lowest: of MIPS' 128 the first 64. */
static uint64_t field_signals(const char *text, const char *name)
{
	const char *at = field(text, name);
	size_t len = at ? strspn(at, "0123456789abcdef") : 0;

	return len > 16 ? strtoull(at + len - 16, NULL, 16) : field_number(text, name, 16);
}

/* As many decimal numbers as there are, at most max.  Returns how many. */
static size_t numbers(const char *at, unsigned *const *ret, size_t max)
{
	size_t count = 0;
	char *end;

	for (; count < max; at = end, count++) {
		unsigned long value = strtoul(at, &end, 10);

		if (end == at)
			break;
		*ret[count] = (unsigned)value;
	}
	return count;
}

/* "Uid:" and "Gid:" are four numbers: real, effective, saved, file system. */
static void field_ids(const char *text, const char *name, unsigned *real, unsigned *effective,
		      unsigned *saved)
{
	const char *at = field(text, name);

	if (at)
		numbers(at, (unsigned *[]){real, effective, saved}, 3);
}

/* "NSpid:" and "NStgid:" are the id in each namespace, from that of /proc down to its own.
 * other: where they are not there, before Linux 4.1. */
static pid_t own_id(const char *text, const char *name, pid_t other)
{
	const char *at = field(text, name);
	char *end;

	for (; at && *at != '\n'; at = end) {
		long id = strtol(at, &end, 10);

		if (end == at || memchr(at, '\n', (size_t)(end - at)))
			break;
		other = (pid_t)id;
	}
	return other;
}

static bool is_init(const char *text)
{
	const char *at = field(text, "\nNSpid:");
	const char *end = at ? strchr(at, '\n') : NULL;

	return end && end - at >= 1 && end[-1] == '1' &&
	       (end - at == 1 || isspace((unsigned char)end[-2]));
}

void status_parse(const char *text, struct status *ret)
{
	const char *at = strncmp(text, "Name:\t", 6) ? NULL : text + 6;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; at && i < sizeof(ret->name) - 1 && at[i] && at[i] != '\n'; i++)
		ret->name[i] = at[i];
	at = field(text, "\nState:");
	ret->state = at && *at ? *at : '?';
	ret->tgid = (pid_t)field_number(text, "\nTgid:", 10);
	ret->own_tgid = own_id(text, "\nNStgid:", ret->tgid);
	ret->own_pid = own_id(text, "\nNSpid:", (pid_t)field_number(text, "\nPid:", 10));
	ret->tracer = (pid_t)field_number(text, "\nTracerPid:", 10);
	field_ids(text, "\nUid:", &ret->uid, &ret->euid, &ret->suid);
	field_ids(text, "\nGid:", &ret->gid, &ret->egid, &ret->sgid);
	ret->parent = (pid_t)field_number(text, "\nPPid:", 10);
	ret->threads = (unsigned)field_number(text, "\nThreads:", 10);
	ret->cap_permitted = field_number(text, "\nCapPrm:", 16);
	ret->cap_effective = field_number(text, "\nCapEff:", 16);
	ret->pending = field_signals(text, "\nSigPnd:");
	ret->shared_pending = field_signals(text, "\nShdPnd:");
	ret->blocked = field_signals(text, "\nSigBlk:");
	ret->ignored = field_signals(text, "\nSigIgn:");
	ret->caught = field_signals(text, "\nSigCgt:");
	ret->init = is_init(text);
	ret->seccomp = (int)field_number(text, "\nSeccomp:", 10);
	ret->has_memory = field(text, "\nVmSize:") != NULL;
	ret->resident_kb = field_number(text, "\nVmRSS:", 10);
	ret->shared_kb = field_number(text, "\nRssShmem:", 10);
	ret->data_kb = field_number(text, "\nVmData:", 10);
	ret->switches = field_number(text, "\nvoluntary_ctxt_switches:", 10) +
			field_number(text, "\nnonvoluntary_ctxt_switches:", 10);
}

/* With tens of thousands of supplementary groups the file is that long. */
static int long_file_parse(const char *path, struct status *ret)
{
	scope_free char *text = malloc(STATUS_LONGEST);
	ssize_t len = text ? file_read(path, text, STATUS_LONGEST) : -ENOMEM;

	if (len < 0)
		return (int)len;
	status_parse(text, ret);
	return 0;
}

int status_read_file(const char *path, struct status *ret)
{
	char text[STATUS_USUAL];
	ssize_t len = file_read(path, text, sizeof(text));

	if (len < 0)
		return (int)len;
	if (len == sizeof(text) - 1)
		return long_file_parse(path, ret);
	status_parse(text, ret);
	return 0;
}

int status_read(pid_t pid, pid_t tid, struct status *ret)
{
	char path[64];

	if (tid)
		snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	else
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return status_read_file(path, ret);
}

bool status_ignores(const struct status *status, int signo)
{
	if (status->caught & signal_bit(signo))
		return false;
	return (status->ignored & signal_bit(signo)) || signo == SIGCHLD || signo == SIGURG ||
	       signo == SIGWINCH || signo == SIGCONT;
}

int status_syscall(pid_t pid, pid_t tid, taddr_t *sp, taddr_t *pc)
{
	char path[64], text[256], *last, *before;
	ssize_t len;

	/* "NUMBER ARG*6 SP PC", "-1 SP PC", or "running" */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	len = file_read(path, text, sizeof(text));
	if (len < 0)
		return (int)len;
	last = strrchr(text, ' ');
	if (!last)
		return -EBUSY;
	*last = 0;
	before = strrchr(text, ' ');
	if (!before)
		return -EBUSY;
	*sp = strtoull(before + 1, NULL, 16);
	*pc = strtoull(last + 1, NULL, 16);
	return 0;
}

/* A number of /proc/PID/stat, proc(5); 0: it is not to be had. */
static uint64_t stat_field(pid_t pid, int wanted)
{
	char path[64], text[1024];
	const char *at;
	int field = 2;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read(path, text, sizeof(text)) < 0)
		return 0;
	/* (2) is the name in parentheses, and may hold any character. */
	for (at = strrchr(text, ')'); at && field < wanted; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at, NULL, 10) : 0;
}

taddr_t status_first_sp(pid_t pid)
{
	return stat_field(pid, 28);
}

uint64_t status_start(pid_t pid)
{
	return stat_field(pid, 22);
}

uint64_t status_cpu_ms(pid_t pid)
{
	long ticks = sysconf(_SC_CLK_TCK);

	return ticks > 0 ? (stat_field(pid, 14) + stat_field(pid, 15)) * 1000 / (uint64_t)ticks : 0;
}

bool status_is_ending(pid_t tid)
{
	enum { EXITING = 0x4 };

	return !status_start(tid) || (stat_field(tid, 9) & EXITING);
}

/* By "NSpid:", Linux 4.1, which is one number where the namespace is ours. */
int status_proc(void)
{
	char text[STATUS_USUAL], link[24];
	ssize_t len = readlink("/proc/self", link, sizeof(link) - 1);
	unsigned first, second;
	struct statfs fs;
	const char *at;

	if (len < 0)
		return statfs("/proc", &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC ? -EXDEV
										  : -ENOENT;
	link[len] = 0;
	if (atoi(link) != getpid())
		return -EXDEV;
	if (file_read("/proc/self/status", text, sizeof(text)) < 0)
		return 0; /* descriptors or memory are short: others will say it */
	at = field(text, "\nNSpid:");
	return at && numbers(at, (unsigned *[]){&first, &second}, 2) != 1 ? -EXDEV : 0;
}

int status_threads(pid_t pid, struct tid_list *ret)
{
	char path[64];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	vec_clear(ret);
	while ((entry = readdir(dir))) {
		pid_t tid = isdigit((unsigned char)entry->d_name[0]) ? atoi(entry->d_name) : 0;
		if (tid > 0 && !vec_push(ret, tid)) {
			closedir(dir);
			return -ENOMEM;
		}
	}
	closedir(dir);
	return ret->len ? 0 : -ENOENT;
}

static bool is_alive(pid_t pid, pid_t tid)
{
	struct status status;

	return status_read(pid, tid, &status) == 0 && status.state != 'Z' &&
	       status.state != 'X';
}

pid_t status_alive(pid_t pid)
{
	struct tid_list tids = {0};
	pid_t alive = 0;

	if (is_alive(pid, pid))
		return pid;
	if (status_threads(pid, &tids) == 0)
		for (size_t i = 0; i < tids.len && !alive; i++)
			alive = is_alive(pid, tids.at[i]) ? tids.at[i] : 0;
	vec_deinit(&tids);
	return alive;
}

/* One block: the pointers, then the strings.  Without the empty ones at the end, in which a
 * title that a program gives itself has left its old arguments' room. */
static char **argv_of(const char *text, size_t len)
{
	size_t count = 0, n = 0;
	char **argv, *strings;

	for (size_t i = 0; i < len; i++)
		count += text[i] == 0;
	argv = malloc((count + 1) * sizeof(*argv) + len);
	if (!argv)
		return NULL;
	strings = (char *)(argv + count + 1);
	memcpy(strings, text, len);
	for (size_t i = 0; i < len; i += strlen(strings + i) + 1)
		argv[n++] = strings + i;
	while (n > 1 && !*argv[n - 1])
		n--;
	argv[n] = NULL;
	return argv;
}

char **status_command(pid_t pid)
{
	char path[64], text[4096];
	struct status status;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	len = file_read(path, text, sizeof(text));
	if (len > 0)
		return argv_of(text, (size_t)len + (text[len - 1] ? 1 : 0));
	if (status_read(pid, 0, &status))
		status.name[0] = 0;
	len = snprintf(text, sizeof(text), "[%s]", status.name);
	return argv_of(text, (size_t)len + 1);
}
