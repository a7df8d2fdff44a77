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

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "serve/file_index.h"

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

static const struct files_where host = {FILES_HOST, 0};

/* A path of `where`; true when the search is over. */
__attribute__((format(printf, 3, 4))) static bool
try(struct attempt *a, struct files_where where, const char *format, ...)
{
	char path[2 * PATH_MAX], name[2 * PATH_MAX + 64] = "";
	struct elffile *file;
	struct err why;
	va_list args;
	int len;

	if (where.kind == FILES_TARGET)
		snprintf(name, sizeof(name), "/proc/%u/root", where.which);
	va_start(args, format);
	len = vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (len < 0 || (size_t)len >= sizeof(path))
		return false;
	strcat(name, path);
	if (elffile_open(a->dirs, where, path, name, &file, NULL))
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

static bool below_dir(struct attempt *a, struct files_where where, const char *dir,
		      const char *id)
{
	return try(a, where, "%s/.build-id/%.2s/%s.debug", dir, id, id + 2);
}

static struct files_where target_of(const struct attempt *a)
{
	return (struct files_where){FILES_TARGET, a->who->pid};
}

/* The target chose its module's path: ".." in it would lead out of a directory that it is
 * joined to. */
static bool leads_up(const char *path)
{
	for (const char *at = path; (at = strstr(at, "..")); at += 2)
		if ((at == path || at[-1] == '/') && (!at[2] || at[2] == '/'))
			return true;
	return false;
}

/* Below each directory that the file lies in: of a process that has gone nothing else tells
 * which of them was its root (chroot DIR PROGRAM). */
static bool below_roots(struct attempt *a, const char *id)
{
	const char *path = a->who->id.path;

	if (*path != '/' || leads_up(path))
		return false;
	for (const char *end = path; (end = strchr(end + 1, '/'));)
		if (try(a, host, "%.*s" SYSTEM_DEBUG_DIR "/.build-id/%.2s/%s.debug",
			(int)(end - path), path, id, id + 2))
			return true;
	return false;
}

static bool by_build_id(struct attempt *a)
{
	char id[2 * ELFFILE_MAX_BUILD_ID + 1];

	if (a->build_id_len < 2 || a->build_id_len > ELFFILE_MAX_BUILD_ID)
		return false;
	text_hex(id, a->build_id, a->build_id_len);
	for (const char *const *dir = a->dirs->debug_dirs; *dir; dir++)
		if (below_dir(a, host, *dir, id))
			return true;
	if (!a->dirs->local)
		return false;
	if (a->who && a->who->pid && below_dir(a, target_of(a), SYSTEM_DEBUG_DIR, id))
		return true;
	return below_dir(a, host, SYSTEM_DEBUG_DIR, id) || (a->who && below_roots(a, id));
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
	const char *path = a->who->id.path;
	int len = dir_length(path);

	return try(a, host, "%s%.*s/%s", dir, len, path, name) ||
	       try(a, host, "%s%.*s/.debug/%s", dir, len, path, name) ||
	       try(a, host, "%s/%s", dir, name);
}

/* In the places where a machine (or a container) keeps them. */
static bool link_on(struct attempt *a, struct files_where where, const char *name)
{
	const char *path = a->who->id.path;
	int len = dir_length(path);

	return try(a, where, "%.*s/%s", len, path, name) ||
	       try(a, where, "%.*s/.debug/%s", len, path, name) ||
	       try(a, where, SYSTEM_DEBUG_DIR "%.*s/%s", len, path, name) ||
	       try(a, where, SYSTEM_DEBUG_DIR "/%s", name);
}

static bool by_debuglink(struct attempt *a, const char *name)
{
	bool inside = !leads_up(a->who->id.path);

	for (const char *const *dir = a->dirs->debug_dirs; inside && *dir; dir++)
		if (link_below(a, *dir, name))
			return true;
	if (!a->dirs->local)
		return false;
	if (a->who->pid && link_on(a, target_of(a), name))
		return true;
	return inside && link_on(a, host, name);
}

static bool by_path(struct attempt *a)
{
	const char *path = a->who->id.path;
	const char *name = strrchr(path, '/');

	if (!name || !name[1] || leads_up(path))
		return false;
	for (const char *const *dir = a->dirs->debug_dirs; *dir; dir++)
		if (try(a, host, "%s%s", *dir, path) ||
		    try(a, host, "%s%s.debug", *dir, path) ||
		    try(a, host, "%s%s", *dir, name) || try(a, host, "%s%s.debug", *dir, name))
			return true;
	return a->dirs->local && try(a, host, SYSTEM_DEBUG_DIR "%s.debug", path);
}

int search_debug(const struct search_dirs *dirs, const struct search_for *who,
		 const struct elffile *file, struct elffile **ret, struct err *err)
{
	struct err refused = {};
	struct attempt a = {.dirs = dirs,
			    .who = who,
			    .file = file,
			    .build_id = who->id.build_id,
			    .build_id_len = who->id.build_id_len,
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

	a.refused->code = 0;
	if (!name)
		return err_set(err, -ENOENT, "%s: no .gnu_debugaltlink", debug->path);
	if (dirs->index)
		return file_index_find_build_id(dirs, a.build_id, a.build_id_len, true, ret,
						err);
	if (by_build_id(&a))
		return attempt_end(&a, ret);
	for (const char *const *dir = dirs->debug_dirs; *dir; dir++)
		if (try(&a, host, "%s/.dwz/%s", *dir, text_base_name(name)))
			return attempt_end(&a, ret);
	if (!dirs->local)
		return attempt_end(&a, ret);
	/* As the debug file says, where it is itself. */
	if (*name == '/')
		try(&a, debug->where, "%s", name);
	else
		try(&a, debug->where, "%.*s/%s", dir_length(debug->path), debug->path, name);
	return attempt_end(&a, ret);
}

/* ---- the mapped file ------------------------------------------------------------------------
 */

/* Opens one candidate, and compares it. */
static int open_same(const struct search_dirs *dirs, const struct search_for *who,
		     struct files_where where, const char *path, struct elffile **ret,
		     struct err *err)
{
	struct elffile *file;
	int e = elffile_open(dirs, where, path, who->id.path, &file, err);

	if (e)
		return e;
	if (!elffile_has_build_id(file, who->id.build_id, who->id.build_id_len, err)) {
		elffile_close(file);
		return -ESTALE;
	}
	*ret = file;
	return 0;
}

/* A file that was deleted or replaced while it is mapped: the process still holds it. */
static int open_deleted(const struct search_dirs *dirs, const struct search_for *who,
			struct elffile **ret)
{
	const struct files_where exe = {FILES_EXE, who->pid}, mapped = {FILES_MAPPED, who->pid};

	if (!who->id.build_id_len)
		return -ENOENT;
	if (open_same(dirs, who, exe, "", ret, NULL) == 0)
		return 0;
	return open_same(dirs, who, mapped, who->id.path, ret, NULL);
}

int search_main(const struct search_dirs *dirs, const struct search_for *who,
		struct elffile **ret, struct err *err)
{
	const struct files_where target = {FILES_TARGET, who->pid};
	int e = -ESRCH;

	if (!dirs->local || *who->id.path != '/')
		return err_set(err, -ENOENT, "%s: not a file of this machine", who->id.path);
	if (who->pid)
		e = open_same(dirs, who, target, who->id.path, ret, err);
	/* Once the process is gone its path is looked at from here: the same place, unless
	 * it had a root of its own, and then the build-id differs. */
	if (e == -ESRCH) {
		e = open_same(dirs, who, host, who->id.path, ret, err);
		if (!e && err)
			err->code = 0;
		return e;
	}
	if (e && open_deleted(dirs, who, ret) == 0) {
		err->code = 0;
		return 0;
	}
	return e;
}
