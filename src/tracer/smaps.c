/*
 * Mappings by /proc/PID/smaps: a line as of maps, then "Name:  value kB" lines, then VmFlags with
 * a word of two letters each (show_smap_vma_flags() in fs/proc/task_mmu.c):
 *
 *    dc  VM_DONTCOPY       wf  VM_WIPEONFORK     io, pf  VM_IO, VM_PFNMAP
 *    um, uw, ui  registered with userfaultfd, whose server may wait for a thread we stopped
 *
 * Asynchronous direct I/O (io_setup(2), io_uring) writes to pages of which the kernel knew, before
 * Linux 6.5, only that somebody uses them; a copy makes the process' next write to such a page
 * go to a new one, which what is still to come misses.  (BUGS of open(2): O_DIRECT and fork.)
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/kernel.h"
#include "tracer/smaps.h"

struct state {
	struct smaps *look;
	struct range range;
	uint64_t resident;
	bool failed;
};

static void add(struct state *s, struct ranges *ranges)
{
	s->failed |= !vec_push(ranges, s->range);
}

static void flags(struct state *s, const char *words)
{
	struct smaps *look = s->look;
	bool absent = false, device = false;

	for (; *words; words += 3) {
		absent |= !strncmp(words, "dc", 2) || !strncmp(words, "wf", 2);
		device |= !strncmp(words, "io", 2) || !strncmp(words, "pf", 2);
		look->lazy |= !strncmp(words, "um", 2) || !strncmp(words, "uw", 2) ||
			      !strncmp(words, "ui", 2);
		if (!words[1] || !words[2])
			break;
	}
	if (device) {
		add(s, &look->device);
	} else if (absent) {
		add(s, &look->absent);
		look->absent_bytes += s->resident;
	}
}

/* The number behind a name, if the line has that one. */
static bool named(const char *line, const char *name, uint64_t *ret)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len))
		return false;
	*ret = strtoull(line + len, NULL, 10);
	return true;
}

static bool range_take(struct range *range, const char *line)
{
	char *end;

	range->begin = strtoull(line, &end, 16);
	if (end == line || *end != '-')
		return false;
	range->end = strtoull(end + 1, NULL, 16);
	return true;
}

/* "begin-end perms ... path", or a line with a name. */
static void line_take(struct state *s, const char *line)
{
	uint64_t kb;

	if (!isupper((unsigned char)line[0])) {
		if (!range_take(&s->range, line))
			return;
		s->resident = 0;
		s->failed |= !vec_push(&s->look->uses, ((struct mapping_use){.range = s->range}));
		if (strstr(line, "[aio]") || strstr(line, "[io_uring]"))
			s->look->direct |= !kernel_is_since(6, 5);
	} else if (named(line, "Rss:", &kb)) {
		s->resident = kb * 1024;
		s->look->resident_bytes += kb * 1024;
		if (s->look->uses.len)
			s->look->uses.at[s->look->uses.len - 1].resident = kb * 1024;
	} else if (named(line, "Swap:", &kb)) {
		if (s->look->uses.len)
			s->look->uses.at[s->look->uses.len - 1].swapped = kb * 1024;
	} else if (named(line, "AnonHugePages:", &kb)) {
		s->look->huge_bytes += kb * 1024;
	} else if (!strncmp(line, "VmFlags: ", 9)) {
		flags(s, line + 9);
	}
}

int smaps_parse(FILE *file, struct smaps *ret)
{
	struct state state = {.look = ret};
	char line[512];
	bool whole = true;

	memset(ret, 0, sizeof(*ret));
	while (fgets(line, sizeof(line), file)) {
		if (whole)
			line_take(&state, line);
		whole = strchr(line, '\n') != NULL;
	}
	return state.failed ? -ENOMEM : ferror(file) ? -EIO : 0;
}

int smaps_read(pid_t pid, struct smaps *ret, struct err *err)
{
	char path[64];
	FILE *file;
	int rc;

	snprintf(path, sizeof(path), "/proc/%d/smaps", pid);
	memset(ret, 0, sizeof(*ret));
	file = fopen(path, "re");
	if (!file)
		return err_sys(err, -errno, "cannot read %s", path);
	rc = smaps_parse(file, ret);
	fclose(file);
	if (!rc)
		return 0;
	smaps_deinit(ret);
	return err_sys(err, rc, "cannot read %s", path);
}

void smaps_deinit(struct smaps *look)
{
	vec_deinit(&look->absent);
	vec_deinit(&look->device);
	vec_deinit(&look->uses);
}
