/*
 * /proc/PID/mountinfo, proc_pid_mountinfo(5):
 *
 *   36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *   id parent dev root point options [fields]  - type source options
 *
 * Blanks in names are written as "\040".  Only types that are known to be local are taken for
 * that; a type is "fuse.sshfs", too.
 */
#include "elf/mounts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/scope.h"

static bool is_local(const char *type)
{
	static const char *const types[] = {
		"ext2",	    "ext3",   "ext4",	"xfs",	    "btrfs", "f2fs",	  "tmpfs",
		"ramfs",    "rootfs", "overlay", "squashfs", "erofs", "cramfs",	  "romfs",
		"jffs2",    "ubifs",  "yaffs2", "iso9660",  "udf",   "vfat",	  "msdos",
		"exfat",    "ntfs3",  "hfsplus", "jfs",	    "reiserfs", "nilfs2", "bcachefs",
		"zfs",	    "minix",  "aufs",	"devtmpfs", "proc",  "sysfs",	  "hugetlbfs",
		"tracefs",  "debugfs", "cgroup", "cgroup2", "devpts", "mqueue",	  "bpf",
		"securityfs"};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

static bool is_octal(const char *text)
{
	for (int i = 0; i < 3; i++)
		if (text[i] < '0' || text[i] > '7')
			return false;
	return true;
}

/* In place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from;)
		if (*from == '\\' && is_octal(from + 1)) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 4;
		} else {
			*to++ = *from++;
		}
	*to = '\0';
}

/* Behind so many words, and the blanks that follow. */
static char *skip_words(char *at, int count)
{
	while (count-- > 0) {
		at += strspn(at, " ");
		at += strcspn(at, " ");
	}
	return at + strspn(at, " ");
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw": proc(5), mountinfo */
static bool parse_line(char *line, struct mount *ret)
{
	char *type = strstr(line, " - "), *end, *device = skip_words(line, 2);
	unsigned major = (unsigned)strtoul(device, &end, 10), minor;
	int point;

	if (!type || end == device || *end != ':')
		return false;
	minor = (unsigned)strtoul(end + 1, NULL, 10);
	point = (int)(skip_words(device, 2) - line);
	type += 3;
	type[strcspn(type, " ")] = '\0';
	end = line + point + strcspn(line + point, " ");
	*end = '\0';
	unescape(line + point);
	*ret = (struct mount){makedev(major, minor), is_local(type), line + point};
	return true;
}

void mounts_parse(char *text, struct mounts *ret)
{
	*ret = (struct mounts){.text = text, .known = true};
	for (char *line = text, *next; *line; line = next) {
		struct mount mount;

		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = '\0';
		if (!parse_line(line, &mount) || !vec_push(&ret->list, mount))
			ret->known = false;
	}
}

void mounts_read(int pid, struct mounts *ret)
{
	VEC(char) text = {0};
	char name[64];
	ssize_t n = 1;

	snprintf(name, sizeof(name), "/proc/%d/mountinfo", pid);
	scope_close int fd = open(name, O_RDONLY | O_CLOEXEC);
	while (n > 0 && vec_reserve(&text, text.len + 16384)) {
		n = fd < 0 ? -1 : read(fd, text.at + text.len, text.cap - text.len - 1);
		text.len += n > 0 ? (size_t)n : 0;
	}
	*ret = (struct mounts){0};
	if (n) {
		vec_deinit(&text);
		return;
	}
	text.at[text.len] = '\0';
	mounts_parse(text.at, ret);
}

void mounts_deinit(struct mounts *mounts)
{
	vec_deinit(&mounts->list);
	free(mounts->text);
	*mounts = (struct mounts){0};
}

/* How much of the path is the mount's point; 0: it is not below it. */
static size_t length_below(const struct mount *mount, const char *path)
{
	size_t len = strlen(mount->point);

	if (len == 1)
		return *path == '/';
	return !strncmp(path, mount->point, len) && (path[len] == '/' || !path[len]) ? len : 0;
}

bool mounts_are_local(const struct mounts *mounts, uint64_t dev, const char *path)
{
	const struct mount *own = NULL;
	size_t longest = 0;
	bool by_dev = false;

	for (size_t i = 0; i < mounts->list.len; i++) {
		const struct mount *mount = &mounts->list.at[i];
		size_t len = length_below(mount, path);

		if (len && !mount->local)
			return false;
		if (mount->dev == dev && dev) {
			by_dev = true;
			own = mount;
		} else if (!by_dev && len && len >= longest) {
			longest = len;
			own = mount;
		}
	}
	return mounts->known && own && own->local;
}
