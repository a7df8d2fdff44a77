/* The process that reads debug information for memtrace-fs. */
#ifndef MEMTRACE_WORKER_H
#define MEMTRACE_WORKER_H

#include "serve/debuginfo.h"

/* What a child of the server does, with the socket to it (post.h); it has nothing else left
 * of the server's.  Never returns. */
_Noreturn void worker_main(int socket, const struct debuginfo_options *options);

#endif
