/*
 * Looking a module up.  Candidates come from the index and from the directories, in the
 * order of how likely they are:
 *
 *    by build-id       wherever it lies, whatever it is called
 *    by path           DIR/usr/sbin/dnsmasq, DIR/sbin/dnsmasq, DIR/dnsmasq; /lib is /usr/lib
 *    by name           any file called dnsmasq, dnsmasq.debug, or as .gnu_debuglink says
 *    by segments       a file of another name (busybox_unstripped), without build-id
 *
 * and each is used only if it is proven to be the same build: by build-id; where the
 * target's file has none, by its fingerprint; a debug file without code by the CRC that
 * the target's .gnu_debuglink gives.  The first one that is not is named to the user.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "elf/fingerprint.h"
#include "serve/file_index_parts.h"

enum { MAX_TRIED = 256 }; /* candidates opened for one module */

/* ---- is it the same build? -------------------------------------------------------------- */

struct hunt {
	const struct search_dirs *dirs;
	struct file_index *index;
	const struct search_for *who;
	struct elffile *main, *debug;
	struct err *why;
	unsigned tried;
	VEC(struct stat) seen; /* files tried already: one file has many names */
};

static bool has_dwarf(const struct elffile *file)
{
	return elffile_has(file, ".debug_info") || elffile_has(file, ".zdebug_info");
}

static bool refuse(const struct elffile *file, const char *reason, struct err *why)
{
	err_set(why, -ESTALE, "%s: does not match: %s", file->path, reason);
	return false;
}

static bool same_fingerprint(const struct hunt *h, const struct elffile *file, struct err *why)
{
	struct fingerprint mine;
	struct memory_file memory;
	struct image *image;
	const char *differs;
	int e;

	memory_file_init(&memory, file->fd);
	e = image_open(&memory.memory, &image, NULL);
	if (!e) {
		e = fingerprint_make(image, &mine);
		image_close(image);
	}
	if (e)
		return refuse(file, "its code can't be read", why);
	differs = fingerprint_difference(mine.bytes, sizeof(mine.bytes), h->who->id.fingerprint,
					 h->who->id.fingerprint_len);
	return !differs || refuse(file, differs, why);
}

static bool same_crc(const struct hunt *h, const struct elffile *file, struct err *why)
{
	const char *name = strrchr(file->path, '/');
	uint32_t crc;

	if (!*h->who->id.debuglink || !name || strcmp(name + 1, h->who->id.debuglink))
		return refuse(file, "it has neither code nor a build-id to compare", why);
	if (elffile_crc(file, &crc) || crc != h->who->id.debuglink_crc)
		return refuse(file, "its CRC is not the debuglink's", why);
	return true;
}

static bool is_same_build(const struct hunt *h, const struct elffile *file, struct err *why)
{
	if (h->who->id.build_id_len && file->build_id_len)
		return elffile_has_build_id(file, h->who->id.build_id, h->who->id.build_id_len,
					    why);
	if (!elffile_has_code(file))
		return same_crc(h, file, why);
	if (h->who->id.build_id_len)
		return refuse(file, "it has no build-id", why);
	return same_fingerprint(h, file, why);
}

/* ---- candidates ------------------------------------------------------------------------- */

static bool is_complete(const struct hunt *h)
{
	return h->debug && (h->main || elffile_has_code(h->debug));
}

/* Keeps the file where it is of use. */
static void keep(struct hunt *h, struct elffile *file)
{
	struct elffile **place = has_dwarf(file) ? &h->debug : &h->main;
	bool better = !*place || (!has_dwarf(file) && !elffile_has(*place, ".symtab") &&
				  elffile_has(file, ".symtab"));

	/* Symbols alone: a debug file of that kind, or an unstripped program without -g. */
	if (better) {
		elffile_close(*place);
		*place = file;
	} else {
		elffile_close(file);
	}
}

static bool is_new(struct hunt *h, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	for (size_t i = 0; i < h->seen.len; i++)
		if (h->seen.at[i].st_ino == st.st_ino && h->seen.at[i].st_dev == st.st_dev)
			return false;
	return vec_push(&h->seen, st);
}

static void consider(struct hunt *h, uint32_t dir, const char *path)
{
	const struct served_dir *root = &h->index->dirs.open.at[dir];
	size_t len = strlen(root->dir);
	struct elffile *file;
	char name[2 * PATH_MAX];
	struct err why;
	int fd = h->tried < MAX_TRIED
			 ? files_open(h->dirs, (struct files_where){FILES_SERVED, dir}, path)
			 : -1;

	snprintf(name, sizeof(name), "%s%s%s", root->dir,
		 len && root->dir[len - 1] == '/' ? "" : "/", path);
	if (fd == -EACCES && !h->why->code)
		err_set(h->why, -EACCES, "%s: is not served: not everybody may read it", name);
	if (fd == -ETIMEDOUT && !h->why->code)
		err_set(h->why, fd, "%s: its file system does not answer", name);
	if (fd < 0)
		return;
	if (!is_new(h, fd)) {
		close(fd);
		return;
	}
	h->tried++;
	if (elffile_open_fd(fd, (struct files_where){FILES_SERVED, dir}, path, name, &file,
			    NULL))
		return;
	if (is_same_build(h, file, &why)) {
		keep(h, file);
		return;
	}
	if (!h->why->code)
		*h->why = why;
	elffile_close(file);
}

/* Files of the index.  Of those with a build-id other than the target's, only the first is
 * opened, to be named. */
static void consider_all(struct hunt *h, const uint32_t *files, size_t count)
{
	const struct search_for *who = h->who;
	size_t len = who->id.build_id_len < FILE_KEY ? who->id.build_id_len : FILE_KEY;

	for (size_t i = 0; i < count && !is_complete(h); i++) {
		const struct indexed_file *file = &h->index->table.files.at[files[i]];
		bool other = who->id.build_id_len && file->build_id_len &&
			     memcmp(file->key, who->id.build_id, len);

		if (!other || !h->why->code)
			consider(h, file->dir, file->path);
	}
}

static void by_build_id(struct hunt *h)
{
	const uint32_t *files;
	size_t count;

	if (!h->who->id.build_id_len)
		return;
	files = file_table_key(&h->index->table, h->who->id.build_id, h->who->id.build_id_len,
			       &count);
	consider_all(h, files, count);
}

static bool visit_path(void *arg, const char *path)
{
	struct hunt *h = arg;

	for (uint32_t i = 0; i < h->index->dirs.open.len && !is_complete(h); i++)
		consider(h, i, path);
	return is_complete(h);
}

static void by_name(struct hunt *h, const char *name)
{
	const uint32_t *files;
	size_t count;

	if (!name || !*name || is_complete(h))
		return;
	files = file_table_name(&h->index->table, name, &count);
	consider_all(h, files, count);
}

static void by_segments(struct hunt *h)
{
	const struct search_for *who = h->who;
	uint8_t key[FILE_KEY] = {};
	const uint32_t *files;
	size_t count;

	if (who->id.build_id_len || who->id.fingerprint_len != FINGERPRINT_BYTES ||
	    is_complete(h))
		return;
	memcpy(key, who->id.fingerprint + FINGERPRINT_SEGMENTS, 8);
	files = file_table_key(&h->index->table, key, 0, &count);
	consider_all(h, files, count);
}

void file_index_find(const struct search_dirs *dirs, const struct search_for *who,
		     struct elffile **main, struct elffile **debug, struct err *why)
{
	struct hunt h = {.dirs = dirs, .index = dirs->index, .who = who, .why = why};
	const char *name = text_base_name(who->id.path);
	char debug_name[NAME_MAX + 8];

	why->code = 0;
	by_build_id(&h);
	if (!is_complete(&h) && !strstr(who->id.path, "/../"))
		file_index_each_suffix(who->id.path, visit_path, &h);
	by_name(&h, name);
	snprintf(debug_name, sizeof(debug_name), "%.250s.debug", name);
	by_name(&h, debug_name);
	if (*who->id.debuglink)
		by_name(&h, who->id.debuglink);
	by_segments(&h);
	vec_deinit(&h.seen);
	if (h.debug)
		why->code = 0;
	*main = h.main;
	*debug = h.debug;
}

int file_index_find_build_id(const struct search_dirs *dirs, const uint8_t *build_id,
			     size_t len, bool debug, struct elffile **ret, struct err *err)
{
	struct search_for who = {.id.path = ""};
	struct err why = {};
	struct hunt h = {.dirs = dirs, .index = dirs->index, .who = &who, .why = &why};
	struct elffile *found;

	if (!module_id_set_build_id(&who.id, build_id, len))
		return err_set(err, -ENOENT, "no file has a build-id of %zu bytes", len);
	by_build_id(&h);
	found = debug ? h.debug : h.main;
	if (!found && !debug && h.debug && elffile_has_code(h.debug))
		found = h.debug;
	if (!found && debug && h.main && elffile_has(h.main, ".symtab"))
		found = h.main;
	if (h.main != found)
		elffile_close(h.main);
	if (h.debug != found)
		elffile_close(h.debug);
	vec_deinit(&h.seen);
	if (!found)
		return err_set(err, -ENOENT, "no file of this build-id");
	*ret = found;
	return 0;
}
