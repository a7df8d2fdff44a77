/*
 * Opens files for a worker, with the rights that the worker has given up, and with a limit: an
 * open() on a file system whose server is dead (FUSE, NFS) does not return, and can't be ended.
 *
 *    worker --path--> opener --path--> hand: files_open_here()
 *       <--descriptor---    <--descriptor---     or nothing for OPENER_LIMIT_MS: -ETIMEDOUT
 *
 * A hand that is silent is left alone, and the next one takes its place.  For as long as it is
 * silent, nothing else of that directory is asked for.
 */
#ifndef MEMTRACE_OPENER_H
#define MEMTRACE_OPENER_H

#include "serve/search.h"

enum { OPENER_LIMIT_MS = 2000 };

/* Begins the process, before this one gives its rights up: a socket to it, or -1. */
int opener_begin(const struct search_dirs *dirs);

/* files_open() by it. */
int opener_ask(int socket, struct files_where where, const char *path);

#endif
