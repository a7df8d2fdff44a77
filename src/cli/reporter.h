/*
 * Who writes the reports of a session: keeps memtrace-fs and the fall-back names,
 * and knows what the command line says of reports.
 */
#ifndef MEMTRACE_REPORTER_H
#define MEMTRACE_REPORTER_H

#include "cli/options.h"
#include "cli/series.h"
#include "cli/server_link.h"
#include "cli/output.h"
#include "heap/snapshot.h"
#include "report/names.h"
#include "report/report.h"
#include "report/start_up.h"

struct reporter {
	const struct options *options;
	struct output *output;
	struct server_link link;
	struct dynsym *dynsym;
	struct resolver *local; /* of this machine, where the server is another; or NULL */
	bool local_tried;
	const struct course *course; /* of the session, or NULL */
	const struct marks *marks;   /* the same */
	const struct findings *findings; /* of the console's last look, or NULL */
	/* Of the latest snapshot (report_options.old), malloc'ed; or NULL. */
	struct births_span *old;
	uint32_t old_count;
	int output_fd;	    /* of --output; -1: none, or it can't be opened */
	bool output_failed; /* said already; the report goes to stderr */
	bool output_ours;   /* the file was not there before */
	bool output_named;  /* it is not held open: what is written takes its place */
	struct series series; /* of --every */
};

/* Opens --output: that it can't be written is said now, not after days. */
void reporter_init(struct reporter *reporter, const struct options *options,
		   struct output *output);
/* A file that --output made and that got no report is removed again. */
void reporter_deinit(struct reporter *reporter);

/* Connects with memtrace-fs (unless --no-symbols): see server_link_open(). */
void reporter_connect(struct reporter *reporter, const struct resolver_module *program,
		      bool needed);

/* The process is known: the names that its own files have. */
void reporter_start(struct reporter *reporter, pid_t pid);

/* Where the process lives in a container: tells memtrace-fs of every module now, while
 * it can open their files; they are gone when the process is. */
void reporter_introduce(struct reporter *reporter, const struct snapshot *snapshot);

/* What the command line says of reports. */
struct report_options reporter_options(const struct reporter *reporter);

/* Writes a report, or the list of modules, to output->out. */
int reporter_write(struct reporter *reporter, const struct snapshot *snapshot,
		   const struct report_options *options, struct err *err) MUST_CHECK;
/* The sums of its blocks of starting up (report/start_up.h; none where this memtrace does not know them);
 * ret->is is gone. */
int reporter_start_up(struct reporter *reporter, const struct snapshot *snapshot,
		      struct start_up *ret, struct err *err);
int reporter_modules(struct reporter *reporter, const struct snapshot *snapshot);

/* What all frames are called.  0, -ENOMEM or -ECANCELED. */
int reporter_names(struct reporter *reporter, const struct snapshot *snapshot,
		   struct names **ret, struct err *err) MUST_CHECK;

/* Writes a snapshot file, whole or not at all, and says so on output->out.  %p in path is the process'
 * number. */
int reporter_save(struct reporter *reporter, const struct snapshot *snapshot,
		  const struct report_options *options, const char *path, struct err *err) MUST_CHECK;

/* A report on the way, to --output: a file is replaced, whole or not at all, or is the next one of
 * the series. */
int reporter_now(struct reporter *reporter, const struct snapshot *snapshot,
		 struct err *err) MUST_CHECK;

/* The final report, to --output where that is given, else to output->out.  False:
 * it could not be written where it should go (said; it went to stderr then). */
bool reporter_finish(struct reporter *reporter, const struct snapshot *snapshot,
		     const struct findings *findings);

#endif
