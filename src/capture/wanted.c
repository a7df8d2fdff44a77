/* Is a program that begins one that is wanted?  See wanted.h. */
#include "capture/wanted.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/parts.h"
#include "tracer/attach.h"
#include "tracer/runners.h"

enum { COMM = 15 }; /* so many bytes of a name the kernel keeps: TASK_COMM_LEN, linux/sched.h */

static bool are_wanted(const struct engine *engine)
{
	return parts_have(PART_several) && engine->heirs.programs && !engine->tracee.leaves_runners;
}

/* By the name of its file, which is what was asked for; a script's is its own. */
static bool is_called(pid_t pid, const char *name, size_t len)
{
	size_t most = len < COMM ? len : COMM, at;
	char path[64], exe[4096];
	struct status status;
	const char *last;
	ssize_t n;

	if (!status_read(pid, 0, &status) && !strncmp(status.name, name, most) && !status.name[most])
		return true;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	n = readlink(path, exe, sizeof(exe) - 1);
	exe[n > 0 ? n : 0] = '\0';
	last = strrchr(exe, '/');
	at = last ? (size_t)(last - exe) + 1 : 0;
	return last && strlen(exe + at) == len && !memcmp(exe + at, name, len);
}

/* The words of --follow, one after the other; NULL: there are no more. */
static const char *next_word(const char **at, size_t *len)
{
	const char *word = *at;

	if (!word || !*word)
		return NULL;
	*len = strcspn(word, ",");
	*at = word + *len + (word[*len] == ',');
	return word;
}

static bool is_word(const char *word, size_t len, const char *is)
{
	return strlen(is) == len && !memcmp(word, is, len);
}

static bool means_any(const char *word, size_t len)
{
	return is_word(word, len, "exec") || is_word(word, len, "all");
}

static bool has_word(const char *words, bool (*is)(const char *word, size_t len))
{
	size_t len = 0;

	for (const char *word; (word = next_word(&words, &len));)
		if (is(word, len))
			return true;
	return false;
}

static bool is_wanted(const struct engine *engine, pid_t pid)
{
	const char *words = engine->heirs.programs;
	size_t len = 0;

	for (const char *word; (word = next_word(&words, &len));)
		if (means_any(word, len) || (!is_word(word, len, "fork") && is_called(pid, word, len)))
			return true;
	return false;
}

bool wanted_lasts(struct engine *engine)
{
	enum capture_end end = engine->ending.end;

	if (!engine->ending.ended || (end != CAPTURE_EXITED && end != CAPTURE_KILLED))
		return false;
	if (are_wanted(engine) && !engine->tracee.runners.len) /* (its last child may still be on its way) */
		tracee_hand_out_children(&engine->tracee);
	return are_wanted(engine) && engine->tracee.runners.len;
}

static bool take(struct engine *engine, struct thread *thread)
{
	if (runners_take(&engine->tracee, thread))
		return true;
	if (!engine->heirs.full)
		notify_warning(&engine->notifier,
			       "%zu descendants are kept an eye on for --follow=%s: those beyond, and what they begin, "
			       "run on unwatched", engine->tracee.runners.len, engine->heirs.programs);
	engine->heirs.full = true;
	return false;
}

/* (Where fork children are followed, one is let go for want of room alone.) */
bool wanted_child(struct engine *engine, struct thread *child)
{
	pid_t tid = child->tid;

	if (!are_wanted(engine) || engine->heirs.forks || !take(engine, child))
		return false;
	runners_continue(&engine->tracee, tid);
	return true;
}

/* It has been begun, without: a tracer must be able to follow it with them (begin_new_exec() and
 * cap_bprm_creds_from_file() in the kernel). */
static void tell_of_rights(struct engine *engine, pid_t pid)
{
	struct status status;
	struct stat file;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (!stat(path, &file) && file.st_mode & S_ISUID && !status_read(pid, 0, &status) && status.euid != file.st_uid)
		notify_warning(&engine->notifier,
			       "%s (pid %d) is without the rights of its file's owner while it is traced; --follow=none "
			       "leaves it alone",
			       status.name, (int)pid);
}

/* A program of another machine can't be followed, and goes on, as does one that begins when there is no
 * room. */
static bool is_to_be_given(struct engine *engine, pid_t pid)
{
	struct err err;

	tell_of_rights(engine, pid);
	return is_wanted(engine, pid) && !attach_check_machine(pid, &err);
}

bool wanted_sharer(struct engine *engine, struct thread *sharer)
{
	pid_t tid = sharer->tid;

	if (!are_wanted(engine))
		return false;
	if (is_to_be_given(engine, tid) && heirs_program(engine, sharer))
		return true;
	if (!take(engine, sharer))
		return false;
	runners_continue(&engine->tracee, tid);
	return true;
}

void wanted_exec(struct engine *engine, pid_t runner)
{
	if (!are_wanted(engine) || !is_to_be_given(engine, runner) || !heirs_runner(engine, runner))
		runners_continue(&engine->tracee, runner);
}

void wanted_own(struct engine *engine)
{
	if (!are_wanted(engine) || !is_wanted(engine, engine->tracee.pid))
		return;
	engine->heirs.own = true;
	if (engine->heirs.once)
		runners_leave(&engine->tracee);
}

bool wanted_missed(const struct engine *engine)
{
	const struct heirs *heirs = &engine->heirs;

	return parts_have(PART_several) && heirs->programs && !has_word(heirs->programs, means_any) && !heirs->own &&
	       !heirs->given;
}

bool wanted_others(const struct engine *engine)
{
	return parts_have(PART_several) && engine->heirs.programs && !engine->heirs.forks && !engine->heirs.own &&
	       engine->heirs.given;
}
