/* Opening files below a directory that somebody else fills. */
#ifndef MEMTRACE_ROOT_H
#define MEMTRACE_ROOT_H

#include <stdbool.h>

/*
 * Opens the regular file `path` for reading as if the directory `root` were "/": absolute
 * symbolic links lead back into it, ".." does not lead out.  `public`: only if everybody may
 * read it, and may pass the directories that lead to it from root on.
 *
 * Returns a descriptor (close-on-exec), or -errno: -EACCES where not everybody may, -ENOEXEC
 * for what is no regular file.  Nothing else than a regular file is ever opened: opening a
 * device, a terminal or a FIFO does things.
 */
int root_open(int root, const char *path, bool public);

/* What `fd` (O_PATH) is, opened for reading: a regular file only.  A descriptor or -errno. */
int root_reopen(int fd, bool public);

#endif
