/* Where the debug information of a module may lie on this machine. */
#ifndef MEMTRACE_SEARCH_H
#define MEMTRACE_SEARCH_H

#include "elf/module_id.h"
#include "serve/elffile.h"
#include "serve/files.h"

struct file_index;

struct search_dirs {
	const char *const *debug_dirs; /* --debug-dir, in order; NULL-terminated */
	bool local;		       /* files of this machine's own paths may be used */
	struct file_index *index;      /* the directories served to other machines; or NULL */
	/* Who opens files, where this process may not; NULL: it does so itself. */
	int (*ask)(void *arg, struct files_where where, const char *path);
	void *ask_arg;
};

/* Who is looked for. */
struct search_for {
	struct module_id id;
	uint32_t pid; /* whose root its path is under; 0: this machine's */
};

/*
 * The file that is mapped itself: /proc/PID/root/PATH, or what is still reachable of it
 * when that was replaced, or PATH when the process has gone.  -ENOENT and others: it can't
 * be had; -ESTALE: what is there is another build (err names it).
 */
int search_main(const struct search_dirs *dirs, const struct search_for *who,
		struct elffile **ret, struct err *err) MUST_CHECK;

/*
 * Its separate debug file: by build-id, by .gnu_debuglink of `file` (NULL: the mapped file
 * isn't there), by its path and name below each debug directory.  -ENOENT: none; -ESTALE:
 * none, and the last that did not match is named in err.
 */
int search_debug(const struct search_dirs *dirs, const struct search_for *who,
		 const struct elffile *file, struct elffile **ret, struct err *err) MUST_CHECK;

/* The file that dwz moved common parts of `debug` to.  As search_debug(). */
int search_alt(const struct search_dirs *dirs, const struct elffile *debug,
	       struct elffile **ret, struct err *err) MUST_CHECK;

#endif
