/*
 * The files: which they are, and what of them is new.
 *
 *     +--------------------------+---------+
 *     | read before         last | new     |     it has grown, and `last` is as it was
 *     +--------------------------+---------+
 *                                ^ at
 *
 * Else (it is another file, is shorter, or was written anew: java's jcmd Compiler.perfmap does so)
 * it is read from its beginning.  Its owner has to be the process' user, or root: in /tmp anybody
 * may have put one there.  A link is not followed: it would be resolved in our root, by our rights,
 * and to open a device (a watchdog, a tape) does something.  It is opened as the process' modules
 * are, so that no file system that has died is waited for.
 */
#include "elf/jit_names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"

/* More of a file is not read. */
#define JIT_LARGEST (256ull << 20)

void jit_names_init(struct jit_names *names, struct files *files)
{
	*names = (struct jit_names){.open_by = files};
}

void jit_names_clear(struct jit_names *names)
{
	for (size_t i = 0; i < names->names.len; i++)
		free(names->names.at[i].text);
	for (size_t i = 0; i < names->files.len; i++)
		free(names->files.at[i].path);
	vec_clear(&names->names);
	vec_clear(&names->files);
	jit_functions_deinit(&names->functions);
}

void jit_names_deinit(struct jit_names *names)
{
	jit_names_clear(names);
	vec_deinit(&names->names);
	vec_deinit(&names->files);
}

/* ---- which files ------------------------------------------------------------------------ */

/* Of /proc/PID/status: its number where it lives itself ("NStgid:", Linux 4.1, the last one), and
 * its effective user.  False: that is not known (the thread has ended just now). */
static bool who_is(int pid, unsigned *number, unsigned *user)
{
	char path[64], line[256], *end;
	bool known = false;
	FILE *file;

	*number = (unsigned)pid;
	*user = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *last = strrchr(line, '\t');

		if (!strncmp(line, "NStgid:", 7) && last)
			*number = (unsigned)strtoul(last, NULL, 10);
		else if (!strncmp(line, "Uid:", 4)) {
			strtoul(line + 4, &end, 10); /* the real one */
			*user = (unsigned)strtoul(end, NULL, 10);
			known = true;
		}
	}
	if (file)
		fclose(file);
	return known;
}

static bool add_file(struct jit_names *names, const char *path, bool dump)
{
	struct jit_file file = {.dump = dump};

	for (size_t i = 0; i < names->files.len; i++)
		if (!strcmp(names->files.at[i].path, path))
			return true;
	file.path = strdup(path);
	if (file.path && vec_push(&names->files, file))
		return true;
	free(file.path);
	return false;
}

/* jit-PID.dump, mapped executable so that it is found. */
static bool is_dump(const struct mapping *m)
{
	const char *name = strrchr(m->path, '/');
	size_t len = name ? strlen(name) : 0;

	return m->exec && m->inode && !m->deleted && name && !strncmp(name, "/jit-", 5) &&
	       len > 10 && !strcmp(name + len - 5, ".dump");
}

static int find_files(struct jit_names *names, const struct maps *maps, unsigned number)
{
	enum { MOST = 16 };
	char path[64];
	bool ok;

	snprintf(path, sizeof(path), "/tmp/perf-%u.map", number);
	ok = add_file(names, path, false);
	for (size_t i = 0; ok && i < maps->list.len && names->files.len < MOST; i++)
		if (is_dump(&maps->list.at[i]))
			ok = add_file(names, maps->list.at[i].path, true);
	return ok ? 0 : -ENOMEM;
}

/* ---- what is new in them ---------------------------------------------------------------- */

/* What lies before `at`: FNV-1a. */
static uint32_t hash_before(struct memory *memory, uint64_t at)
{
	uint8_t bytes[256];
	size_t len = at < sizeof(bytes) ? (size_t)at : sizeof(bytes);
	uint32_t hash = 2166136261u;

	if (memory_read(memory, at - len, bytes, len))
		return 0;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

static int open_file(struct jit_names *names, const struct mounts *mounts,
		     const struct jit_file *from, struct file **ret)
{
	scope_free char *path = NULL;

	if (asprintf(&path, "/proc/%d/root%s", names->pid, from->path) < 0)
		return -ENOMEM;
	const struct file_name name = {names->pid, 0, path, from->path, .no_link = true};

	return file_open(names->open_by, mounts, &name, ret);
}

/* Nothing that it said before holds. */
static void forget_file(struct jit_names *names, uint32_t number)
{
	struct jit_functions *functions = &names->functions;
	size_t kept = 0;

	for (size_t i = 0; i < functions->list.len; i++)
		if (functions->list.at[i].file != number)
			functions->list.at[kept++] = functions->list.at[i];
	functions->list.len = kept;
	names->files.at[number].at = 0;
}

static bool is_grown(const struct jit_file *known, struct file *file)
{
	return known->inode == file->stat.st_ino && known->dev == file->stat.st_dev &&
	       (uint64_t)file->stat.st_size >= known->at &&
	       hash_before(&file->memory, known->at) == known->last;
}

static int read_news(struct jit_names *names, uint32_t number, struct file *file, bool *changed)
{
	struct jit_file *known = &names->files.at[number];
	uint64_t end = (uint64_t)file->stat.st_size, before;
	int rc;

	if (known->inode && !is_grown(known, file)) {
		forget_file(names, number);
		*changed = true;
	}
	known->inode = file->stat.st_ino;
	known->dev = file->stat.st_dev;
	known->size = end;
	before = known->at;
	if (end > JIT_LARGEST)
		end = JIT_LARGEST;
	rc = (known->dump ? jit_read_dump : jit_read_perf_map)(&file->memory, number, &known->at,
							       end, &names->functions);
	known->bad = rc == -EINVAL;
	known->last = hash_before(&file->memory, known->at);
	*changed |= known->at != before;
	return rc == -ENOMEM ? rc : 0;
}

static int update_file(struct jit_names *names, uint32_t number, const struct mounts *mounts,
		       unsigned user, bool *changed)
{
	struct jit_file *known = &names->files.at[number];
	struct file *file;
	int rc;

	if (known->bad || open_file(names, mounts, known, &file))
		return 0;
	if (file->stat.st_uid != user && file->stat.st_uid != 0) {
		known->bad = true;
		rc = 0;
	} else {
		rc = read_news(names, number, file, changed);
	}
	file_destroy(file);
	return rc;
}

int jit_names_update(struct jit_names *names, int pid, const struct maps *maps, bool *changed)
{
	unsigned number, user;
	struct mounts mounts;
	int rc;

	*changed = false;
	names->pid = pid;
	if (!who_is(pid, &number, &user))
		return 0;
	rc = find_files(names, maps, number);
	if (rc)
		return rc;
	mounts_read(pid, &mounts);
	for (uint32_t i = 0; i < names->files.len && !rc; i++)
		rc = update_file(names, i, &mounts, user, changed);
	mounts_deinit(&mounts);
	return *changed && !jit_functions_merge(&names->functions) ? -ENOMEM : rc;
}

/* ---- names ------------------------------------------------------------------------------- */

static bool read_name(struct jit_names *names, const struct jit_function *function)
{
	const struct jit_file *from = &names->files.at[function->file];
	struct mounts mounts;
	struct file *file;
	bool found;
	int rc;

	mounts_read(names->pid, &mounts);
	rc = open_file(names, &mounts, from, &file);
	mounts_deinit(&mounts);
	if (rc)
		return false;
	found = file->stat.st_ino == from->inode && file->stat.st_dev == from->dev &&
		(from->dump ? jit_dump_name : jit_perf_map_name)(&file->memory, from->at,
								 function, names->scratch);
	file_destroy(file);
	return found;
}

/* The first name whose key is not below. */
static size_t name_place(const struct jit_names *names, taddr_t key)
{
	size_t low = 0, high = names->names.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (names->names.at[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const char *name_of_key(const struct jit_names *names, taddr_t key)
{
	size_t i = name_place(names, key);

	return i < names->names.len && names->names.at[i].key == key ? names->names.at[i].text
								     : NULL;
}

static bool note_name(struct jit_names *names, taddr_t key, const char *text)
{
	size_t i = name_place(names, key);
	struct jit_name new = {key, strdup(text)};

	if (!new.text || !vec_push(&names->names, new)) {
		free(new.text);
		return false;
	}
	memmove(&names->names.at[i + 1], &names->names.at[i],
		(names->names.len - 1 - i) * sizeof(new));
	names->names.at[i] = new;
	return true;
}

/* Its begin, or, where a function of another name began there once, an address behind it. */
static taddr_t key_of(struct jit_names *names, const struct jit_function *function)
{
	for (taddr_t key = function->begin; key < function->end; key++) {
		const char *taken = name_of_key(names, key);

		if (taken && strcmp(taken, names->scratch))
			continue;
		return taken || note_name(names, key, names->scratch) ? key : 0;
	}
	return 0;
}

taddr_t jit_names_key(struct jit_names *names, taddr_t pc)
{
	struct jit_function *function = jit_functions_find(&names->functions, pc);

	if (!function)
		return pc;
	if (!function->key && read_name(names, function))
		function->key = key_of(names, function);
	return function->key ? function->key : pc;
}

taddr_t jit_names_key_of(struct jit_names *names, taddr_t begin, taddr_t end, const char *name)
{
	const struct jit_function function = {.begin = begin, .end = end};
	taddr_t key;

	snprintf(names->scratch, sizeof(names->scratch), "%s", name);
	key = key_of(names, &function);
	return key ? key : begin;
}

const char *jit_names_find(struct jit_names *names, taddr_t address)
{
	const char *name = name_of_key(names, address);

	return name ? name : name_of_key(names, jit_names_key(names, address));
}
