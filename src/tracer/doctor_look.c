/*
 * What can be seen of a process and of ourselves without touching either: /proc, /sys,
 * and two questions to the kernel, which change nothing.
 *
 *    ptrace() of ourselves, who are not traced   ESRCH: we may call it; EPERM: a seccomp
 *                                                filter of ours forbids even that
 *    open(/proc/PID/mem)                         allowed to whom attaching is: the same
 *                                                check (mm_access() in kernel/fork.c,
 *                                                PTRACE_MODE_ATTACH), security modules
 *                                                included
 *
 * A file that is not there, or may not be read, is a fact unknown, never an error.
 */
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/scope.h"
#include "elf/file.h"
#include "tracer/doctor_rules.h"

enum { PATH_LEN = 512 };

/* The first line of a file, without its end.  False: not readable. */
static bool line_read(const char *root, const char *path, char *buf, size_t size)
{
	char name[PATH_LEN];
	ssize_t len;

	snprintf(name, sizeof(name), "%s%s", root, path);
	scope_close int fd = open(name, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, buf, size - 1);
	if (len < 0)
		return false;
	buf[len] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return true;
}

static int number_read(const char *root, const char *path, int unknown)
{
	char line[16];

	return line_read(root, path, line, sizeof(line)) && line[0] >= '0' && line[0] <= '9'
		       ? atoi(line)
		       : unknown;
}

/* /proc/WHO/ns/user is a link to "user:[4026531837]". */
static uint64_t user_namespace(const char *root, const char *who)
{
	char name[PATH_LEN], link[64];
	ssize_t len;

	snprintf(name, sizeof(name), "%s/proc/%s/ns/user", root, who);
	len = readlink(name, link, sizeof(link) - 1);
	if (len < 0)
		return 0;
	link[len] = 0;
	return strncmp(link, "user:[", 6) ? 0 : strtoull(link + 6, NULL, 10);
}

static int may_call_ptrace(void)
{
	errno = 0;
	ptrace(PTRACE_CONT, getpid(), 0, 0);
	return errno == ESRCH ? 0 : -errno;
}

static void look_at_us(const char *root, struct doctor_facts *f)
{
	char name[PATH_LEN], line[16];

	snprintf(name, sizeof(name), "%s/proc/self/status", root);
	status_read_file(name, &f->self);
	f->proc = root[0] ? 0 : status_proc();
	f->self_namespace = user_namespace(root, "self");
	f->ptrace_call = root[0] ? DOCTOR_NOT_ASKED : may_call_ptrace();
	f->config_missing = root[0] ? 0 : doctor_config_look();
	f->ptrace_scope = number_read(root, "/proc/sys/kernel/yama/ptrace_scope", -1);
	f->deny_ptrace = number_read(root, "/sys/fs/selinux/booleans/deny_ptrace", -1);
	f->apparmor = line_read(root, "/sys/module/apparmor/parameters/enabled", line,
				sizeof(line)) &&
		      line[0] == 'Y';
}

/* TracerPid is a thread's id; people know processes. */
static void look_at_tracer(const char *root, pid_t tid, struct doctor_facts *f)
{
	struct status tracer = {.name = "?", .tgid = tid};
	char name[PATH_LEN];

	snprintf(name, sizeof(name), "%s/proc/%d/status", root, tid);
	status_read_file(name, &tracer);
	f->tracer = tracer.tgid;
	snprintf(f->tracer_name, sizeof(f->tracer_name), "%s", tracer.name);
}

/* Of a thread; 0: there is none. */
static pid_t process_of(const char *root, pid_t tid)
{
	struct status status;
	char name[PATH_LEN];

	snprintf(name, sizeof(name), "%s/proc/%d/status", root, tid);
	return tid && !status_read_file(name, &status) ? status.tgid : 0;
}

static void look_at_thread(const char *root, const char *tid, struct doctor_facts *f,
			   pid_t *alive)
{
	struct status status;
	char name[PATH_LEN];

	snprintf(name, sizeof(name), "%s/proc/%d/task/%s/status", root, f->pid, tid);
	if (status_read_file(name, &status) || status.state == 'Z' || status.state == 'X')
		return;
	if (!*alive || atoi(tid) == f->pid)
		*alive = atoi(tid);
	f->threads++;
	f->has_memory |= status.has_memory;
	f->filtered += status.seccomp == 2;
	f->strict |= status.seccomp == 1;
	if (status.tracer && !f->tracer)
		look_at_tracer(root, status.tracer, f);
}

/* Returns a thread that has not ended, the first where it lives; 0: none. */
static pid_t look_at_threads(const char *root, struct doctor_facts *f)
{
	char name[PATH_LEN];
	struct dirent *entry;
	pid_t alive = 0;
	DIR *dir;

	snprintf(name, sizeof(name), "%s/proc/%d/task", root, f->pid);
	dir = opendir(name);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			look_at_thread(root, entry->d_name, f, &alive);
	if (dir)
		closedir(dir);
	return alive;
}

/* of: "PID/task/TID", a living thread, whose files speak for the process. */
static void look_at_program(const char *root, const char *of, struct doctor_facts *f)
{
	char name[PATH_LEN], path[4096];
	uint8_t ident[EI_NIDENT + 4];
	struct files files = {0};
	struct mounts mounts = {0};
	const struct file_name exe = {f->pid, 0, name, path, false};
	struct file *file;
	ssize_t len;

	snprintf(name, sizeof(name), "%s/proc/%s/exe", root, of);
	len = readlink(name, path, sizeof(path) - 1);
	path[len > 0 ? len : 0] = 0;
	mounts_read(f->pid, &mounts);
	if (!file_open(&files, &mounts, &exe, &file)) {
		if (!memory_read(&file->memory, 0, ident, sizeof(ident))) {
			f->elf_class = ident[EI_CLASS];
			memcpy(&f->machine, ident + EI_NIDENT + 2, sizeof(f->machine));
		}
		file_destroy(file);
	}
	mounts_deinit(&mounts);
	files_deinit(&files);
}

static void look_at_permission(const char *root, const char *of, struct doctor_facts *f)
{
	char name[PATH_LEN], label[PATH_LEN];
	struct stat st;

	f->user_namespace = user_namespace(root, of);
	snprintf(name, sizeof(name), "/proc/%s/attr/apparmor/current", of);
	snprintf(label, sizeof(label), "/proc/%s/attr/current", of);
	if (!line_read(root, name, f->label, sizeof(f->label)))
		line_read(root, label, f->label, sizeof(f->label));
	snprintf(name, sizeof(name), "%s/proc/%s/stat", root, of);
	f->undumpable = !stat(name, &st) && st.st_uid != f->status.euid;
	if (root[0])
		return;
	snprintf(name, sizeof(name), "/proc/%s/mem", of);
	scope_close int fd = open(name, O_RDONLY | O_CLOEXEC);
	f->memory = fd < 0 ? -errno : 0;
}

void doctor_look(const char *root, pid_t pid, struct doctor_facts *ret)
{
	char name[PATH_LEN], of[48];
	pid_t alive;

	memset(ret, 0, sizeof(*ret));
	look_at_us(root, ret);
	ret->pid = pid;
	ret->memory = DOCTOR_NOT_ASKED;
	if (!pid)
		return;
	snprintf(name, sizeof(name), "%s/proc/%d/status", root, pid);
	ret->found = status_read_file(name, &ret->status);
	ret->is_us = ret->status.tgid && ret->status.tgid == ret->self.tgid;
	ret->traces_us = ret->status.tgid && ret->status.tgid == process_of(root, ret->self.tracer);
	alive = ret->found ? 0 : look_at_threads(root, ret);
	if (!alive)
		return;
	snprintf(of, sizeof(of), "%d/task/%d", pid, alive);
	look_at_program(root, of, ret);
	ret->is_frozen = frozen_find(root, pid, &ret->frozen);
	look_at_permission(root, of, ret);
}
