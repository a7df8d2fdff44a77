/*
 * Reports: a snapshot and a resolver in, text, JSON, a viewer's format or a snapshot file out.  The rules of the
 * text form: 80 columns, one sentence of verdict first, worst contexts with ranks and stable
 * ids, allocator frames folded, recursion merged, every cut stack says why, the totals
 * last and once: HEAP SUMMARY.
 */
#ifndef MEMTRACE_REPORT_H
#define MEMTRACE_REPORT_H

#include <stdio.h>

#include "heap/course.h"
#include "heap/findings.h"
#include "heap/frame_names.h"
#include "heap/marks.h"
#include "heap/snapshot.h"
#include "symbols/resolver.h"

enum report_format {
	REPORT_TEXT,
	REPORT_JSON,
	REPORT_FOLDED,	 /* collapsed stacks: all of them, bytes in use */
	/* of other people's viewers: all call stacks, too (report/export/viewers.h) */
	REPORT_PPROF,
	REPORT_SPEEDSCOPE,
	REPORT_HEAPTRACK,
	REPORT_DHAT,
	REPORT_MASSIF,
	REPORT_GPERFTOOLS,
	REPORT_HTML, /* a page, by itself: the viewer is a browser */
	REPORT_SNAPSHOT, /* heap/snapshot_file.h: everything, whatever the options say */
	/* of test runners: report_options.results, and only what is not met of the heap; these,
	 * too, are report_options.viewers */
	REPORT_JUNIT,
	REPORT_SARIF,
};

/* What --format calls them, by enum report_format; ends with NULL.  The second has those of test
 * runners, too. */
extern const char *const report_formats[], *const report_formats_of_files[];

/* No text: for a file, not a terminal. */
bool report_is_binary(enum report_format format);
/* One of report_options.viewers. */
bool report_is_viewers(enum report_format format);
/* It needs report_options.results. */
bool report_is_results(enum report_format format);

/* Of the JSON form: a later one can't be decoded, by this memtrace-fs. */
enum { REPORT_JSON_VERSION = 2 };

/* Contexts with blocks in use that a snapshot does not have: -n left them out of the report
 * that it was made of. */
struct report_left_out {
	uint64_t contexts, bytes, blocks;
};

struct report_job;
/* Writes one: 0, -ENOMEM, or -errno of a failed write. */
typedef int report_form_fn(struct report_job *job, FILE *out, struct err *err);

struct start_up;
/* report/start_up.h */
typedef int report_start_up_fn(struct report_job *job, uint32_t *ids, struct start_up *ret,
			       struct err *err);

enum report_by {
	REPORT_BY_STACK,
	REPORT_BY_FUNCTION,
	REPORT_BY_FILE,
	REPORT_BY_MODULE,
	REPORT_BY_THREAD, /* by the function that it runs */
};

struct report_options {
	enum report_format format;
	/* By format, those of viewers; or NULL: the program has none of them. */
	report_form_fn *const *viewers;
	/* Tells blocks of starting up apart (start_up_find()); or NULL: they are not. */
	report_start_up_fn *start_up;
	enum snapshot_order order;
	unsigned count; /* contexts shown (in JSON too); 0 = all */
	bool all;	/* also contexts with nothing in use */
	bool verbose;	/* allocator frames and modules too */
	/* JSON: names are to be found later, from the report alone (report/decode.h): it says
	 * which frames are exact, and who the modules are. */
	bool decodable;
	const char *strip_prefix; /* SARIF: a directory that files are named from; or NULL */
	bool no_command, no_lines; /* left out: the arguments; source files and lines */
	bool utf8; /* the reader's terminal shows Unicode */
	/* Only call stacks with blocks in use that were allocated so long ago or longer: by those
	 * counts, of contexts [0, old_count); or NULL. */
	uint64_t min_age_ms;
	const struct births_span *old;
	uint32_t old_count;
	uint32_t context; /* only this one, whole; 0 = by the rules above */
	const char *file; /* the name of what it is written to; NULL: nobody knows */
	unsigned depth;	  /* the -s limit, for the words about cut stacks */
	const char *version;
	/* Of a look for leaks, or NULL: call stacks that lost blocks come first, and it is said
	 * of each what of it is lost, and who holds the rest. */
	const struct findings *findings;
	/* That look was made before: text says when; the order is that of another report. */
	bool findings_earlier;
	/* What came of expectations (report/expect.h), of all contexts of this snapshot; or NULL. */
	const struct expect_results *results;
	/* What led there, or NULL: massif's earlier snapshots. */
	const struct course *course;
	/* Of the same session, or NULL: a page shows what changed since. */
	const struct marks *marks;
	bool leaks_only; /* the findings, and nothing else */
	bool leaks_title; /* of that, text: with a line that says of which process */
	/* Only call stacks that pass through this function, file or module, and not through that
	 * one: patterns of glob_matches(), or NULL.  Totals stay those of all. */
	const char *in, *not_in;
	enum report_by by; /* text of the sums by who allocated, and nothing else */
	/* Text of the call stacks as one tree, and nothing else: from the outermost function, or
	 * (callers) from who allocated; or from what tree_from means, as `in`; or NULL. */
	bool tree, callers;
	const char *tree_from;
	/* Text of what changed between two marks, and nothing else; with `all` also of what has
	 * not more in use than before.  A page has it beside all else.  Or NULL. */
	const struct diff *diff;
	/* A table of the call stacks that move, and nothing else (report/top.h); or NULL. */
	const struct report_top *top;
	/* An earlier snapshot of the same session, or NULL: the text form then marks
	 * what is new or has grown since. */
	const struct snapshot *before;
	struct report_left_out left_out; /* all zero: the snapshot is whole */
	/* How far it is, where it takes longer than a second: at most ten times a
	 * second, and at the end, if it was ever called, once with 0 of 0, to clear
	 * the line.  May be NULL. */
	void (*progress)(void *arg, const char *what, size_t done, size_t count);
	void *progress_arg;
	/* Whether nobody wants the rest any more: the report ends with -ECANCELED.  May be
	 * NULL. */
	bool (*cancelled)(void *arg);
	void *cancelled_arg;
};

/* Names of what the resolver does not know, by the target side. */
struct report_names {
	/* Where the resolver is of another machine, one of this; else NULL.  Asked first. */
	struct resolver *local;
	/* The process is not of this machine, or not of this time: its number says nothing. */
	bool elsewhere;
	/* What a snapshot file says, of what neither resolver knows; or NULL. */
	const struct frame_names *known;
	/* Dynamic symbols: the function at offset of a module, or NULL; *base = its start.  In
	 * memory of the callee's, valid for the report. */
	const char *(*symbol)(void *arg, const struct snapshot_module *module, uint64_t offset,
			      uint64_t *base);
	void *arg;
};

/* Writes the report to out and flushes it.  resolver and names may be NULL; a
 * resolver that fails on the way costs names, not the report.  -errno on a write
 * error (ENOSPC ...), an unknown context (-ENOENT), or a form that is not there (-ENOTSUP). */
int report_write(const struct snapshot *snapshot, struct resolver *resolver,
		 const struct report_names *names, const struct report_options *options,
		 FILE *out, struct err *err) MUST_CHECK;

/* The console's lists: each returns 0 or -errno of a failed write; the caller flushes. */

/* The console's `status`: HEAP SUMMARY with its exact layout. */
int report_status(const struct snapshot *snapshot, FILE *out);

/* The totals alone, four columns in. */
void report_totals(const struct snapshot *snapshot, FILE *out);
/* Peaks are of the moments that were seen, and so lower bounds (an agent's). */
bool report_peaks_are_seen(const struct snapshot *snapshot);

/* The console's `modules`. */
int report_modules(const struct snapshot *snapshot, struct resolver *resolver, FILE *out);

/* The console's `history`: at most `rows` (2 to 200) lines. */
int report_course(const struct course *course, unsigned rows, FILE *out);

/* The same of one context, by generations.  -ENOENT: there is none of that id. */
int report_generations(const struct snapshot *s, uint32_t id, FILE *out,
		       struct err *err) MUST_CHECK;

/* The console's `threads`. */
int report_threads(const struct snapshot *snapshot, FILE *out);

#endif
