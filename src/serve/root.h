/* Files below one directory, and never outside it. */
#ifndef MEMTRACE_ROOT_H
#define MEMTRACE_ROOT_H

/*
 * Opens `path` for reading as if the directory `root` were "/": absolute symbolic links
 * lead back into it, ".." does not lead out.  Returns a descriptor (close-on-exec), or
 * -errno; never a FIFO that blocks.
 */
int root_open(int root, const char *path);

/* The same without the kernel's help (openat2() came with Linux 5.6). */
int root_open_walk(int root, const char *path);

#endif
