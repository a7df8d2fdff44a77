/*
 * memtrace's own way to names, with us at both ends: a child serves the directories.
 *
 *   snapshot file --> snapshot --+
 *                 --> names -----+--> report_write() --> text, JSON ...
 *   directories --> resolver ----+
 *
 *   JSON --> decode_report(): its frames, and nothing else of it, written anew; or
 *        --> decode_read(): snapshot and names, as above (report/saved.c reads both)
 *
 * The snapshot's own names, which the device knew, are used where the directories have none; those
 * of symbol tables are demangled first.
 */
#include "serve/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/compare.h"
#include "report/decode.h"
#include "report/expect.h"
#include "report/export/viewers.h"
#include "report/points.h"
#include "report/report.h"
#include "report/saved.h"
#include "report/start_up.h"
#include "serve/demangle.h"
#include "serve/served_dirs.h"

/* What the child would say too, and we then of the child. */
static int check_dirs(const struct serve_options *options, struct err *err)
{
	struct served_dirs dirs;
	int e = served_dirs_open(&dirs, options->dirs.at, err);

	served_dirs_close(&dirs);
	return e;
}

static void tell_remarks(const struct snapshot *snapshot, struct resolver *resolver,
			 void (*remark)(const char *text))
{
	for (uint32_t i = 1; i <= snapshot->module_count; i++)
		if (resolver_remark(resolver, i))
			remark(resolver_remark(resolver, i));
}

/* As it is, but for the names of its frames: nothing else is asked for. */
static bool is_copy(const struct serve_options *options)
{
	return (options->format == ITS_FORMAT || options->format == REPORT_JSON) &&
	       options->count == ITS_COUNT && !options->no_command && !options->no_lines &&
	       !options->earlier && !options->fail_on.len;
}

static struct report_options report_options(const struct serve_options *options,
					    const struct saved *saved)
{
	struct report_options how = {
		.format = options->format == ITS_FORMAT ? REPORT_TEXT
							: (enum report_format)options->format,
		.viewers = report_viewers,
		.start_up = start_up_find,
		.order = (enum snapshot_order)options->order,
		.count = options->count == ITS_COUNT ? 10 : options->count,
		.all = options->all,
		.no_command = options->no_command,
		.no_lines = options->no_lines,
		.strip_prefix = options->strip_prefix,
		.verbose = options->verbose,
		.depth = saved->depth,
		.course = saved->file ? &saved->file->course : NULL,
		.marks = saved->snapshot->marks,
		.version = saved->version,
		.left_out = saved->left_out,
	};

	/* (JSON of JSON has what that has) */
	if (saved->is_json && options->format == ITS_FORMAT && options->count == ITS_COUNT &&
	    !options->earlier)
		how.format = REPORT_JSON;
	if (saved->is_json && how.format == REPORT_JSON && options->count == ITS_COUNT)
		how.count = 0;
	return how;
}

static struct report_names names_of(const struct saved *saved)
{
	return (struct report_names){.known = saved->names, .elsewhere = true};
}

/* All frames of a capture. */
static int name_all(const struct saved *saved, struct resolver *resolver,
		    const struct report_options *how, struct names **ret, struct err *err)
{
	const struct report_names names = names_of(saved);
	struct progress progress;

	progress_init(&progress, how);
	return names_create(saved->snapshot, resolver, &names, NULL,
			    saved->snapshot->context_count, &progress, ret, err);
}

/* Sums are then not those of the process. */
static void tell_left_out(const char *path, const struct report_left_out *left_out,
			  const char *consequence, void (*remark)(const char *text))
{
	char text[1024];

	if (!left_out->contexts)
		return;
	snprintf(text, sizeof(text),
		 "%.512s leaves call stacks out (-n), %" PRIu64 " with %" PRIu64 " bytes: %s",
		 path, left_out->contexts, left_out->bytes, consequence);
	remark(text);
}

/* What `later` has more in use than an earlier capture; whose names are those that its file
 * has, as the resolver is asked about the modules of one. */
static int compare(const struct serve_options *options, const struct saved *later,
		   const struct names *names, const struct report_options *how,
		   void (*remark)(const char *text), struct diff *ret, struct err *err)
{
	struct names *before = NULL;
	struct saved earlier = {0};
	int e = saved_open(options->earlier, demangle, &earlier, err);

	if (!e) {
		tell_left_out(options->earlier, &earlier.left_out, "they look new", remark);
		e = name_all(&earlier, NULL, how, &before, err);
	}
	*ret = (struct diff){.from = options->earlier, .to = options->report};
	if (!e)
		e = compare_captures(earlier.snapshot, before, later->snapshot, names, ret,
				     err);
	names_destroy(before);
	saved_deinit(&earlier);
	return e;
}

static int read_suppressions(const struct serve_options *options, struct suppressions *ret,
			     struct err *err)
{
	int e = suppress_add_known(ret, err);

	for (size_t i = 0; !e && i < options->suppressions.len; i++)
		e = suppress_read(options->suppressions.at[i], ret, err);
	return e;
}

/* What needs all frames named, and came of it. */
struct examined {
	struct diff diff; /* to an earlier capture */
	struct expectation *expectations;
	struct expect_results results;
};

static void examined_deinit(struct examined *examined)
{
	diff_deinit(&examined->diff);
	expect_results_deinit(&examined->results);
	free(examined->expectations);
}

/* --fail-on */
static int check(const struct serve_options *options, struct expect_capture *capture,
		 struct examined *ret, struct err *err)
{
	size_t count = options->fail_on.len;
	struct suppressions suppressions = {};
	int e;

	ret->expectations = calloc(count + 1, sizeof(*ret->expectations));
	e = ret->expectations ? 0 : err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; !e && i < count; i++)
		e = expect_parse(options->fail_on.at[i], &ret->expectations[i], err);
	if (!e)
		e = read_suppressions(options, &suppressions, err);
	capture->suppressions = &suppressions;
	if (!e)
		e = expect_evaluate(capture, ret->expectations, count, &ret->results, err);
	suppress_deinit(&suppressions);
	capture->suppressions = NULL;
	return e;
}

static void say(void *arg, const char *sentence)
{
	void (*const *remark)(const char *text) = arg;

	(*remark)(sentence);
}

/* What needs all frames named: to be compared with another capture, and --fail-on. */
static int examine(const struct serve_options *options, const struct saved *saved,
		   struct resolver *resolver, const struct report_options *how,
		   void (*remark)(const char *text), struct examined *ret, struct err *err)
{
	struct names *names = NULL;
	struct expect_capture capture = {.snapshot = saved->snapshot,
					 .diff = options->earlier ? &ret->diff : NULL,
					 .say = say,
					 .say_arg = &remark};
	int e = name_all(saved, resolver, how, &names, err);

	capture.names = names;
	tell_left_out(options->report, &saved->left_out, "they do not count", remark);
	if (!e && options->earlier)
		e = compare(options, saved, names, how, remark, &ret->diff, err);
	if (!e && options->fail_on.len)
		e = check(options, &capture, ret, err);
	names_destroy(names);
	return e;
}

/* The captures as a history, before what changed from the first to the last. */
static int write_points(const struct serve_options *options, const struct saved *saved,
			FILE *out, struct err *err)
{
	size_t count = options->between.len + 2;
	struct report_point *points = calloc(count, sizeof(*points));
	int e = points ? 0 : err_set(err, -ENOMEM, "out of memory");

	for (size_t i = 0; i + 1 < count && !e; i++) {
		const char *path = i ? options->between.at[i - 1] : options->earlier;
		struct saved one = {0};

		e = saved_open(path, demangle, &one, err);
		if (!e)
			points[i] = report_point_of(path, one.snapshot);
		saved_deinit(&one);
	}
	if (!e) {
		points[count - 1] = report_point_of(options->report, saved->snapshot);
		e = report_points(points, count, out, err);
	}
	free(points);
	return e;
}

static int write_report(const struct serve_options *options, const struct saved *saved,
			struct resolver *resolver, void (*remark)(const char *text), FILE *out,
			struct offline_result *ret, struct err *err)
{
	const struct report_names names = names_of(saved);
	struct report_options how = report_options(options, saved);
	struct examined examined = {0};
	const char *why = NULL;
	int e = 0;

	if (options->earlier || options->fail_on.len)
		e = examine(options, saved, resolver, &how, remark, &examined, err);
	ret->failed = examined.results.failed;
	if (options->earlier && (how.format == REPORT_TEXT || how.format == REPORT_HTML))
		how.diff = &examined.diff;
	if (options->fail_on.len)
		how.results = &examined.results;
	if (!e && options->between.len && how.format == REPORT_TEXT)
		e = write_points(options, saved, out, err);
	if (!e)
		e = report_write(saved->snapshot, resolver, &names, &how, out, err);
	examined_deinit(&examined);
	if (!e && how.format != REPORT_TEXT) /* a text says it itself */
		tell_remarks(saved->snapshot, resolver, remark);
	if (!e && !resolver_is_alive(resolver, &why))
		e = err_set(err, -EPIPE, "names are incomplete: %s", why);
	return e;
}

static void describe(const struct snapshot *snapshot, struct offline_result *ret)
{
	const char *path = snapshot->command && *snapshot->command ? *snapshot->command : "?";
	const char *slash = strrchr(path, '/');

	ret->pid = snapshot->pid;
	snprintf(ret->name, sizeof(ret->name), "%s", slash ? slash + 1 : path);
	ret->bytes = snapshot->totals.allocated_bytes - snapshot->totals.freed_bytes;
	ret->blocks = snapshot->totals.live_blocks;
}

static int print_either(const struct serve_options *options, FILE *in,
			struct resolver *resolver, void (*remark)(const char *text), FILE *out,
			struct offline_result *ret, struct err *err)
{
	struct saved saved;
	bool json;
	int e = saved_is_json(options->report, in, &json, err);

	if (!e && json && is_copy(options))
		return decode_report(in, resolver, remark, demangle, out, err);
	if (!e)
		e = saved_read(options->report, in, demangle, &saved, err);
	if (e)
		return e;
	describe(saved.snapshot, ret);
	e = write_report(options, &saved, resolver, remark, out, ret, err);
	saved_deinit(&saved);
	return e;
}

int offline_report(const struct serve_options *options, void (*remark)(const char *text),
		   FILE *out, struct offline_result *ret, struct err *err)
{
	const struct resolver_options child = {.server = "/proc/self/exe",
					       .debug_dirs = options->dirs.at,
					       .debuginfod = options->debuginfod,
					       .serve_dirs = true};
	struct resolver *resolver;
	FILE *in;
	int e;

	*ret = (struct offline_result){.pid = 0};
	if (check_dirs(options, err))
		return err->code;
	in = fopen(options->report, "re");
	if (!in)
		return err_sys(err, -errno, "%s", options->report);
	e = resolver_start(&child, &resolver, err);
	if (!e) {
		e = print_either(options, in, resolver, remark, out, ret, err);
		resolver_destroy(resolver);
	}
	fclose(in);
	return e;
}
