/* The one door through which files are opened that programs and debug information name. */
#ifndef MEMTRACE_FILES_H
#define MEMTRACE_FILES_H

#include <stdint.h>

struct search_dirs;

enum files_kind {
	FILES_HOST,   /* a path of this machine: what the operator or the system put there */
	FILES_TARGET, /* a path as the process `which` sees it */
	FILES_EXE,    /* what the process `which` runs; no path */
	FILES_MAPPED, /* what it maps under this path, rather what was deleted or replaced */
	FILES_SERVED, /* below the directory number `which` that is served to other machines */
};

struct files_where {
	enum files_kind kind;
	uint32_t which;
};

/* A descriptor of a regular file that is an ELF file and may be read here, or -errno (as
 * root_open(); -ENOEXEC as well where it is not an ELF file, -EPERM where `dirs` has no such
 * place, -ESRCH where the process has gone). */
int files_open(const struct search_dirs *dirs, struct files_where where, const char *path);

/* The same by this process itself, whatever dirs->ask says. */
int files_open_here(const struct search_dirs *dirs, struct files_where where, const char *path);

#endif
