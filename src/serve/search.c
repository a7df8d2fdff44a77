/*
 * The places where distributions and build systems put debug files, tried in the order
 * of how sure they are:
 *
 *    by build-id    D/.build-id/ab/cdef.debug                    (Debian, Fedora)
 *    by debuglink   DIR/NAME  DIR/.debug/NAME  D/DIR/NAME D/NAME (Yocto, Alpine)
 *    by path        D/PATH  D/PATH.debug  D/BASENAME  D/BASENAME.debug
 *
 * D: each --debug-dir, then /usr/lib/debug of the target's root and of ours.  Whatever is
 * found is used only if it is the same build; the first one that is not is remembered, so
 * that the user is told.
 */
#include "serve/search.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/store.h"

#define SYSTEM_DEBUG_DIR "/usr/lib/debug"

/* One search under way: every path is tried with try(). */
struct attempt {
	const struct search_dirs *dirs;
	const struct search_for *who; /* NULL for an alt file */
	const struct elffile *file;   /* what must match; or NULL: */
	const uint8_t *build_id;      /* the id that must match */
	size_t build_id_len;
	uint32_t crc;
	bool by_crc; /* files without build-id match by crc */
	struct elffile *found;
	struct err *refused; /* .code 0 until something was refused */
};

static bool attempt_matches(struct attempt *a, const struct elffile *file, struct err *why)
{
	uint32_t crc;

	if (a->build_id_len && file->build_id_len)
		return elffile_has_build_id(file, a->build_id, a->build_id_len, why);
	if (a->by_crc) {
		if (elffile_crc(file, &crc) == 0 && crc == a->crc)
			return true;
		err_set(why, -ESTALE, "%s: does not match: its CRC is not the debuglink's",
			file->path);
		return false;
	}
	if (a->file)
		return elffile_matches(a->file, file, why);
	err_set(why, -ESTALE, "%s: cannot be compared: it has no build-id", file->path);
	return false;
}

/* True when the search is over. */
__attribute__((format(printf, 2, 3))) static bool try(struct attempt *a, const char *format,
						      ...)
{
	char path[2 * PATH_MAX];
	struct elffile *file;
	struct err why;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(path) || elffile_open(path, NULL, &file, NULL))
		return false;
	if (attempt_matches(a, file, &why)) {
		a->found = file;
		return true;
	}
	if (!a->refused->code)
		*a->refused = why;
	elffile_close(file);
	return false;
}

static int attempt_end(struct attempt *a, struct elffile **ret)
{
	if (!a->found)
		return a->refused->code ? a->refused->code
					: err_set(a->refused, -ENOENT, "no debug file");
	*ret = a->found;
	return 0;
}

static bool below_dir(struct attempt *a, const char *dir, const char *id)
{
	return try(a, "%s/.build-id/%.2s/%s.debug", dir, id, id + 2);
}

static bool by_build_id(struct attempt *a)
{
	char id[2 * ELFFILE_MAX_BUILD_ID + 1] = "";

	if (a->build_id_len < 2 || a->build_id_len > ELFFILE_MAX_BUILD_ID)
		return false;
	for (size_t i = 0; i < a->build_id_len; i++)
		sprintf(id + 2 * i, "%02x", a->build_id[i]);
	for (const char *const *dir = a->dirs->debug_dirs; *dir; dir++)
		if (below_dir(a, *dir, id))
			return true;
	if (!a->dirs->local)
		return false;
	if (a->who && a->who->pid) {
		char root[64];
		snprintf(root, sizeof(root), "/proc/%u/root" SYSTEM_DEBUG_DIR, a->who->pid);
		if (below_dir(a, root, id))
			return true;
	}
	return below_dir(a, SYSTEM_DEBUG_DIR, id);
}

/* The directory part of the path, "" for the root; len is its length. */
static int dir_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? (int)(slash - path) : 0;
}

/* Below one directory that mirrors the target's. */
static bool link_below(struct attempt *a, const char *dir, const char *name)
{
	const char *path = a->who->path;
	int len = dir_length(path);

	return try(a, "%s%.*s/%s", dir, len, path, name) ||
	       try(a, "%s%.*s/.debug/%s", dir, len, path, name) || try(a, "%s/%s", dir, name);
}

static bool by_debuglink(struct attempt *a, const char *name)
{
	char root[64] = "";
	const char *path = a->who->path;
	int len = dir_length(path);

	for (const char *const *dir = a->dirs->debug_dirs; *dir; dir++)
		if (link_below(a, *dir, name))
			return true;
	if (!a->dirs->local)
		return false;
	if (a->who->pid)
		snprintf(root, sizeof(root), "/proc/%u/root", a->who->pid);
	for (int i = 0; i < (a->who->pid ? 2 : 1); i++, *root = '\0')
		if (try(a, "%s%.*s/%s", root, len, path, name) ||
		    try(a, "%s%.*s/.debug/%s", root, len, path, name) ||
		    try(a, "%s" SYSTEM_DEBUG_DIR "%.*s/%s", root, len, path, name) ||
		    try(a, "%s" SYSTEM_DEBUG_DIR "/%s", root, name))
			return true;
	return false;
}

static bool by_path(struct attempt *a)
{
	const char *path = a->who->path;
	const char *name = strrchr(path, '/');

	if (!name || !name[1] || strstr(path, "/../"))
		return false;
	for (const char *const *dir = a->dirs->debug_dirs; *dir; dir++)
		if (try(a, "%s%s", *dir, path) || try(a, "%s%s.debug", *dir, path) ||
		    try(a, "%s%s", *dir, name) || try(a, "%s%s.debug", *dir, name))
			return true;
	return a->dirs->local && try(a, SYSTEM_DEBUG_DIR "%s.debug", path);
}

int search_debug(const struct search_dirs *dirs, const struct search_for *who,
		 const struct elffile *file, struct elffile **ret, struct err *err)
{
	struct err refused = {};
	struct attempt a = {.dirs = dirs,
			    .who = who,
			    .file = file,
			    .build_id = who->build_id,
			    .build_id_len = who->build_id_len,
			    .refused = err ? err : &refused};
	const char *name = file ? elffile_debuglink(file, &a.crc) : NULL;

	a.refused->code = 0;
	if (by_build_id(&a))
		return attempt_end(&a, ret);
	if (name) {
		a.by_crc = true;
		if (by_debuglink(&a, name))
			return attempt_end(&a, ret);
		a.by_crc = false;
	}
	by_path(&a);
	return attempt_end(&a, ret);
}

int search_alt(const struct search_dirs *dirs, const struct elffile *debug,
	       struct elffile **ret, struct err *err)
{
	struct err refused = {};
	struct attempt a = {.dirs = dirs, .refused = err ? err : &refused};
	const char *name = elffile_debugaltlink(debug, &a.build_id, &a.build_id_len);
	const char *base = name ? strrchr(name, '/') : NULL;

	a.refused->code = 0;
	if (!name)
		return err_set(err, -ENOENT, "%s: no .gnu_debugaltlink", debug->path);
	if (dirs->store)
		return store_find_build_id(dirs->store, a.build_id, a.build_id_len, true, ret,
					   err);
	if (by_build_id(&a))
		return attempt_end(&a, ret);
	for (const char *const *dir = dirs->debug_dirs; *dir; dir++)
		if (try(&a, "%s/.dwz/%s", *dir, base ? base + 1 : name))
			return attempt_end(&a, ret);
	if (!dirs->local)
		return attempt_end(&a, ret);
	if (*name == '/')
		try(&a, "%s", name);
	else
		try(&a, "%.*s/%s", dir_length(debug->path), debug->path, name);
	return attempt_end(&a, ret);
}

/* ---- the mapped file ------------------------------------------------------------------------
 */

/* Opens one candidate, and compares it. */
static int open_same(const struct search_for *who, const char *path, const char *name,
		     struct elffile **ret, struct err *err)
{
	struct elffile *file;
	int e = elffile_open(path, name, &file, err);

	if (e)
		return e;
	if (!elffile_has_build_id(file, who->build_id, who->build_id_len, err)) {
		elffile_close(file);
		return -ESTALE;
	}
	*ret = file;
	return 0;
}

/* A file that was deleted or replaced while it is mapped: the process still holds it. */
static int open_deleted(const struct search_for *who, struct elffile **ret)
{
	char path[64 + NAME_MAX], target[PATH_MAX];
	size_t len = strlen(who->path);
	struct dirent *entry;
	int e = -ENOENT;
	DIR *dir;

	if (!who->pid || !who->build_id_len)
		return -ENOENT;
	snprintf(path, sizeof(path), "/proc/%u/exe", who->pid);
	if (open_same(who, path, who->path, ret, NULL) == 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%u/map_files", who->pid);
	dir = opendir(path);
	while (e && dir && (entry = readdir(dir))) {
		ssize_t n;
		snprintf(path, sizeof(path), "/proc/%u/map_files/%s", who->pid, entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		if (n < (ssize_t)len || strncmp(target, who->path, len))
			continue;
		e = open_same(who, path, who->path, ret, NULL);
	}
	if (dir)
		closedir(dir);
	return e;
}

int search_main(const struct search_dirs *dirs, const struct search_for *who,
		struct elffile **ret, struct err *err)
{
	char path[PATH_MAX + 64];
	bool gone = true;
	int e;

	if (!dirs->local || *who->path != '/')
		return err_set(err, -ENOENT, "%s: not a file of this machine", who->path);
	if (who->pid) {
		snprintf(path, sizeof(path), "/proc/%u/root", who->pid);
		gone = access(path, F_OK) != 0;
	}
	/* Once the process is gone its path is looked at from here: the same place, unless
	 * it had a root of its own, and then the build-id differs. */
	if (!gone)
		snprintf(path, sizeof(path), "/proc/%u/root%s", who->pid, who->path);
	else
		snprintf(path, sizeof(path), "%s", who->path);
	e = open_same(who, path, who->path, ret, err);
	if (e && !gone && open_deleted(who, ret) == 0) {
		err->code = 0;
		return 0;
	}
	return e;
}
