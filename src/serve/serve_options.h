/* The command line of memtrace-fs. */
#ifndef MEMTRACE_SERVE_OPTIONS_H
#define MEMTRACE_SERVE_OPTIONS_H

#include <stdio.h>

#include "base/err.h"
#include "base/vec.h"
#include "symbols/endpoint.h"

struct serve_options {
	int fd;			      /* the connection to serve; -1: none given */
	VEC(const char *) debug_dirs; /* ends with a NULL that len does not count */
	VEC(const char *) dirs;	      /* DIR...: what is served; ends with a NULL, too */
	struct endpoint listen, connect;
	bool has_listen, has_connect;
	const char *interface; /* NULL: all */
	const char *report;    /* NULL: serve */
	bool no_announce, debuginfod, verbose, help, version;
};

/* -EINVAL with the reason.  Texts are argv's. */
int serve_options_read(int argc, char *const argv[], struct serve_options *ret,
		       struct err *err);
void serve_options_deinit(struct serve_options *options);

void serve_options_print_help(FILE *out);

#endif
