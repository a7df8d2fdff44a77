/*
 * /proc/PID/maps, one line per mapping:
 *
 *   7f8c0a000000-7f8c0a021000 rw-p 00000000 08:01 1048601    /usr/lib/x.so (deleted)
 *   begin        end          perm offset   dev   inode      path, to the end of the line
 *
 * The text is kept and cut in place: paths point into it.  The kernel writes a
 * newline in a path as "\012" (fs/proc/task_mmu.c, seq_path); every other byte
 * is written as it is, so that the path is whatever follows the blanks.  Of a file whose
 * name has a backslash and 012 in it, or ends in " (deleted)", the text says the same as of
 * another one: where the process is at hand, the reading is taken whose file is there, by
 * its inode.
 */
#include "elf/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/order.h"
#include "base/scope.h"
#include "elf/mounts.h"

/* A number in `base` that ends at `stop`, which is skipped.  False: it doesn't. */
static bool take_number(char **at, unsigned base, char stop, uint64_t *ret)
{
	uint64_t value = 0;
	char *p = *at;

	for (; *p && *p != stop; p++) {
		unsigned digit;

		if (*p >= '0' && *p <= '9')
			digit = (unsigned)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			digit = (unsigned)(*p - 'a') + 10;
		else
			return false;
		if (value > (UINT64_MAX - digit) / base)
			return false;
		value = value * base + digit;
	}
	if (p == *at || *p != stop)
		return false;
	*at = p + 1;
	*ret = value;
	return true;
}

/* "rwxp " */
static bool take_permissions(char **at, struct mapping *ret)
{
	const char *p = *at;

	if ((p[0] != 'r' && p[0] != '-') || (p[1] != 'w' && p[1] != '-') ||
	    (p[2] != 'x' && p[2] != '-') || (p[3] != 'p' && p[3] != 's') || p[4] != ' ')
		return false;
	ret->read = p[0] == 'r';
	ret->write = p[1] == 'w';
	ret->exec = p[2] == 'x';
	ret->shared = p[3] == 's';
	*at += 5;
	return true;
}

static const char deleted[] = " (deleted)";

static bool ends_in_deleted(const char *path)
{
	size_t len = strlen(path);

	return len >= strlen(deleted) && !strcmp(path + len - strlen(deleted), deleted);
}

/* Every "\012" becomes a newline but those whose bit is set in `literal`. */
static void unescape(char *path, unsigned literal)
{
	char *to = path;

	for (const char *from = path; *from;) {
		bool escape = !strncmp(from, "\\012", 4);
		bool newline = escape && !(literal & 1);

		literal >>= escape;
		*to++ = newline ? '\n' : *from;
		from += newline ? 4 : 1;
	}
	*to = '\0';
}

static unsigned escapes_in(const char *path)
{
	unsigned count = 0;

	while ((path = strstr(path, "\\012"))) {
		path += 4;
		count++;
	}
	return count;
}

/* Whose map it is (pid 0: not known), and his mounts, once they are needed. */
struct reading {
	int pid;
	bool has_mounts;
	struct mounts mounts;
};

/* Is the mapping's file at this path, as the process sees it?  By the inode: what a mapping
 * and stat() say of the device differs on some file systems.  Nobody is waited for. */
static bool is_there(struct reading *reading, const char *path, const struct mapping *mapping)
{
	scope_free char *name = NULL;
	struct stat st;

	if (!reading->has_mounts)
		mounts_read(reading->pid, &reading->mounts);
	reading->has_mounts = true;
	return mounts_are_local(&reading->mounts, mapping->dev, path) &&
	       asprintf(&name, "/proc/%d/root%s", reading->pid, path) >= 0 && !stat(name, &st) &&
	       S_ISREG(st.st_mode) && st.st_ino == mapping->inode;
}

/* Which reading of a path is right: *literal, *is_deleted.  Where none can be
 * seen to be, it is what the kernel mostly means. */
static void choose_path(struct reading *reading, const char *path,
			const struct mapping *mapping, unsigned *literal, bool *is_deleted)
{
	enum { MOST = 6 };
	unsigned count = escapes_in(path), readings = 1u << (count < MOST ? count : MOST);
	bool marked = ends_in_deleted(path);

	*literal = 0;
	*is_deleted = marked;
	if (!reading->pid || !mapping->inode || (readings == 1 && !marked))
		return;
	for (unsigned i = 0; i < readings; i++) {
		scope_free char *read = strdup(path);

		if (!read)
			return;
		unescape(read, i);
		if (!is_there(reading, read, mapping))
			continue;
		*literal = i;
		*is_deleted = false;
		return;
	}
}

/* The rest of the line: newlines restored, " (deleted)" cut off. */
static void take_path(char *path, struct reading *reading, struct mapping *ret)
{
	unsigned literal;

	path += strspn(path, " ");
	ret->path = path;
	choose_path(reading, path, ret, &literal, &ret->deleted);
	if (ret->deleted)
		path[strlen(path) - strlen(deleted)] = '\0';
	unescape(path, literal);
}

static bool parse_line(char *line, struct reading *reading, struct mapping *ret)
{
	static char nothing[] = "";
	uint64_t major, minor;
	char *inode_end;

	*ret = (struct mapping){.path = nothing};
	if (!take_number(&line, 16, '-', &ret->begin) ||
	    !take_number(&line, 16, ' ', &ret->end) || !take_permissions(&line, ret) ||
	    !take_number(&line, 16, ' ', &ret->offset) ||
	    !take_number(&line, 16, ':', &major) || !take_number(&line, 16, ' ', &minor) ||
	    major > UINT32_MAX || minor > UINT32_MAX || ret->begin >= ret->end)
		return false;
	ret->dev = makedev((unsigned)major, (unsigned)minor);
	/* The inode is followed by blanks and the path, or ends the line. */
	inode_end = line + strcspn(line, " ");
	if (!*inode_end)
		return take_number(&line, 10, '\0', &ret->inode);
	if (!take_number(&line, 10, ' ', &ret->inode))
		return false;
	take_path(line, reading, ret);
	return true;
}

/* The kernel makes the text in pieces, and two mappings may have become one, or one two,
 * between them: what was said before holds.  False: nothing is left of this one. */
static bool clip(struct mapping *mapping, taddr_t previous)
{
	if (mapping->begin < previous) {
		mapping->offset += mapping->inode ? previous - mapping->begin : 0;
		mapping->begin = previous;
	}
	return mapping->begin < mapping->end;
}

/* Takes over `text` (NUL-terminated at len, from malloc) whatever comes of it. */
static int parse_lines(char *text, size_t len, struct reading *reading, struct maps *ret,
		       struct err *err)
{
	struct maps maps = {.text = text};
	char *line = text, *end = text + len;
	taddr_t previous = 0;

	while (line < end) {
		char *newline = memchr(line, '\n', (size_t)(end - line));
		char *next = newline ? newline + 1 : end;
		struct mapping mapping;

		if (newline)
			*newline = '\0';
		if (!parse_line(line, reading, &mapping)) {
			err_set(err, -EINVAL,
				"a line of the memory map can't be understood: %.100s", line);
			maps_deinit(&maps);
			return -EINVAL;
		}
		line = next;
		if (!clip(&mapping, previous))
			continue;
		previous = mapping.end;
		if (!vec_push(&maps.list, mapping)) {
			maps_deinit(&maps);
			return err_sys(err, -ENOMEM, "reading the memory map");
		}
	}
	*ret = maps;
	return 0;
}

static int parse_owned(char *text, size_t len, int pid, struct maps *ret, struct err *err)
{
	struct reading reading = {.pid = pid};
	int rc = parse_lines(text, len, &reading, ret, err);

	mounts_deinit(&reading.mounts);
	return rc;
}

int maps_parse(const char *text, size_t len, struct maps *ret, struct err *err)
{
	char *copy = malloc(len + 1);

	if (!copy)
		return err_sys(err, -ENOMEM, "reading the memory map");
	memcpy(copy, text, len);
	copy[len] = '\0';
	return parse_owned(copy, len, 0, ret, err);
}

int maps_read(int pid, struct maps *ret, struct err *err)
{
	VEC(char) text = {0};
	char name[64];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	scope_close int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "opening %s", name);
	do {
		if (!vec_reserve(&text, text.len + 16384)) {
			vec_deinit(&text);
			return err_sys(err, -ENOMEM, "reading %s", name);
		}
		n = read(fd, text.at + text.len, text.cap - text.len - 1);
		if (n < 0 && errno != EINTR) {
			int code = -errno;

			vec_deinit(&text);
			return err_sys(err, code, "reading %s", name);
		}
		text.len += n > 0 ? (size_t)n : 0;
	} while (n);
	text.at[text.len] = '\0';
	return parse_owned(text.at, text.len, pid, ret, err);
}

void maps_deinit(struct maps *maps)
{
	vec_deinit(&maps->list);
	free(maps->text);
	maps->text = NULL;
}

const struct mapping *maps_find(const struct maps *maps, taddr_t addr)
{
	size_t below = order_count(maps->list.len, i, maps->list.at[i].end <= addr);

	if (below == maps->list.len || addr < maps->list.at[below].begin)
		return NULL;
	return &maps->list.at[below];
}
