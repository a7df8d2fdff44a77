/* The command line of memtrace-fs. */
#ifndef MEMTRACE_SERVE_OPTIONS_H
#define MEMTRACE_SERVE_OPTIONS_H

#include <stdio.h>

#include "base/option_table.h"
#include "symbols/endpoint.h"

struct serve_options {
	unsigned fd; /* the connection to serve; NO_FD: none given */
	struct option_list debug_dirs;
	struct option_list dirs;	    /* DIR...: what is served */
	const char *listen_at, *connect_to; /* as they were given; NULL: they were not */
	struct endpoint listen, connect;
	const char *interface; /* NULL: all */
	const char *report;    /* NULL: serve */
	const char *earlier;   /* that it is compared with; or NULL */
	bool each;	       /* no two files are compared: each is a process of its own */
	bool compares;	       /* two words are to be compared; else earlier is --baseline */
	const char *baseline, *strip_prefix;
	struct option_list between; /* files, later than `earlier` and before `report`; of `each`, the later ones */
	struct option_list fail_on, suppressions;
	unsigned error_exitcode;
	/* .. and how it is printed: */
	unsigned format; /* enum report_format, or ITS_FORMAT: the file's own */
	unsigned order;	 /* enum snapshot_order */
	uint64_t memory; /* of a look for leaks; 0: not given */
	unsigned count;	 /* 0: all; ITS_COUNT: not given */
	bool all, no_command, no_lines;
	bool no_announce, debuginfod, verbose, help, version;
	bool dump; /* hidden: the table itself, for tests */
};

enum { NO_FD = 1 << 21, ITS_FORMAT = 99, ITS_COUNT = 0x7fffffff };

/* -EINVAL with the reason.  Texts are argv's, whose words are reordered.  Both lists end with
 * a NULL, empty ones too. */
int serve_options_read(int argc, char *argv[], struct serve_options *ret, struct err *err) MUST_CHECK;
void serve_options_deinit(struct serve_options *options);

void serve_options_help(FILE *out);
void serve_options_dump(FILE *out);

#endif
