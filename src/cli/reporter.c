/*
 * Reports of a session.  Names come from memtrace-fs; when it is not there, or dies
 * or hangs on the way, the dynamic symbols take over, and that is said once.
 *
 * --output is opened first and truncated last: an old report is lost to a new one
 * only, and what can't be written is known before the process is touched.
 */
#include "cli/reporter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/atomic_file.h"
#include "cli/dynsym.h"
#include "cli/viewers.h"
#include "report/names.h"
#include "report/print.h"

enum { KEEP = 100 }; /* files of --every, without --keep */

/* ---- names ------------------------------------------------------------------------- */

void reporter_connect(struct reporter *reporter, const struct resolver_module *program,
		      bool needed)
{
	if (!reporter->options->no_symbols)
		server_link_open(&reporter->link, program, needed);
}

static void link_read(int pid, const char *name, char ret[256])
{
	char path[40];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	n = readlink(path, ret, 255);
	ret[n > 0 ? n : 0] = 0;
}

/* Has another root directory than we have, or may have: by names alone, as a directory on a
 * server that is dead can't be looked at. */
static bool is_elsewhere(int pid)
{
	static const char *const links[] = {"root", "ns/mnt"};
	char its[256], ours[256];
	bool differ = false;

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		link_read(pid, links[i], its);
		link_read(getpid(), links[i], ours);
		differ |= its[0] && strcmp(its, ours);
	}
	return differ;
}

void reporter_introduce(struct reporter *reporter, const struct snapshot *snapshot)
{
	struct resolver *resolver = reporter->link.resolver;

	/* with --debuginfod it would begin to download for modules nobody asks about */
	if (!resolver || server_link_is_remote(&reporter->link) ||
	    reporter->options->debuginfod || !is_elsewhere(snapshot->pid))
		return;
	for (size_t i = 0; i < snapshot->module_count; i++) {
		const struct resolver_module module =
			names_module(&snapshot->modules[i], snapshot->pid);

		err_ignore(resolver_want(resolver, &module, NULL, 0, NULL));
	}
	err_ignore(resolver_wait(resolver, NULL, NULL, NULL)); /* only names are lost */
}

void reporter_start(struct reporter *reporter, pid_t pid)
{
	if (!reporter->options->no_symbols && !reporter->dynsym)
		reporter->dynsym = dynsym_create(pid);
}

/* ---- --output ----------------------------------------------------------------------- */

static void open_output(struct reporter *reporter)
{
	const char *path = reporter->options->output;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	reporter->output_ours = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && report_is_binary(reporter->options->format) && isatty(fd)) {
		close(fd);
		fd = -1;
		errno = ENOTTY;
	}
	reporter->output_fd = fd;
	if (fd >= 0)
		return;
	reporter->output_failed = true;
	output_warn(reporter->output, "can't write %s: %s; the report will go to stderr", path,
		    strerror(errno));
}

void reporter_init(struct reporter *reporter, const struct options *options,
		   struct output *output)
{
	*reporter = (struct reporter){.options = options, .output = output, .output_fd = -1};
	server_link_init(&reporter->link, options, output);
	reporter->output_named = options->every_ms || options->output_each;
	if (options->output && !reporter->output_named)
		open_output(reporter);
}

void reporter_deinit(struct reporter *reporter)
{
	if (reporter->output_fd >= 0)
		close(reporter->output_fd);
	if (reporter->output_ours)
		unlink(reporter->options->output);
	free(reporter->old);
	series_deinit(&reporter->series);
	resolver_destroy(reporter->local);
	server_link_deinit(&reporter->link);
	dynsym_destroy(reporter->dynsym);
}

/* ---- writing ------------------------------------------------------------------------ */

struct report_options reporter_options(const struct reporter *reporter)
{
	const struct options *o = reporter->options;

	return (struct report_options){
		.format = o->format,
		.viewers = viewers(),
		.start_up = viewers_start_up(),
		.course = reporter->course,
		.marks = reporter->marks,
		.findings = reporter->findings,
		.findings_earlier = true,
		.no_command = o->no_command,
		.no_lines = o->no_lines,
		.order = o->sort,
		.count = o->count,
		.all = o->all,
		.verbose = o->verbose,
		.min_age_ms = o->min_age_ms,
		.utf8 = output_is_utf8(),
		.depth = o->depth,
		.version = MEMTRACE_VERSION,
		.progress = output_progress,
		.progress_arg = reporter->output,
	};
}

/* What the server of another machine has no names for, this one's own files may: they are asked
 * if there is a memtrace-fs here, too. */
static struct resolver *local(struct reporter *reporter)
{
	const struct resolver_options options = {.progress = output_wait,
						 .progress_arg = reporter->output};
	bool remote = reporter->link.resolver && server_link_is_remote(&reporter->link);

	if (remote && !reporter->local_tried)
		err_ignore(resolver_start(&options, &reporter->local, NULL));
	reporter->local_tried |= remote;
	return reporter->local;
}

static int write_to(struct reporter *reporter, const struct snapshot *snapshot,
		    const struct report_options *options, FILE *out, struct err *err)
{
	struct report_names names = {.symbol = dynsym_symbol, .arg = reporter->dynsym};
	struct resolver *resolver = reporter->link.resolver;
	struct report_options how = *options;
	int rc;

	/* Without a server: so that the names can be put in later. */
	how.old = how.min_age_ms ? reporter->old : NULL;
	how.old_count = reporter->old_count;
	how.decodable = !resolver || !resolver_is_alive(resolver, NULL);
	names.local = how.decodable ? NULL : local(reporter);
	rc = report_write(snapshot, resolver, reporter->dynsym ? &names : NULL, &how, out, err);

	output_wait(reporter->output, "");
	return rc;
}

int reporter_write(struct reporter *reporter, const struct snapshot *snapshot,
		   const struct report_options *options, struct err *err)
{
	int rc = write_to(reporter, snapshot, options, reporter->output->out, err);

	server_link_tell(&reporter->link);
	return rc;
}

int reporter_names(struct reporter *reporter, const struct snapshot *snapshot,
		   struct names **ret, struct err *err)
{
	const struct report_names names = {
		.symbol = dynsym_symbol, .arg = reporter->dynsym, .local = local(reporter)};
	const struct report_options options = reporter_options(reporter);
	struct progress progress;
	int rc;

	progress_init(&progress, &options);
	rc = names_create(snapshot, reporter->link.resolver,
			  reporter->dynsym ? &names : NULL, NULL, snapshot->context_count,
			  &progress, ret, err);
	progress_end(&progress);
	return rc;
}

int reporter_start_up(struct reporter *reporter, const struct snapshot *snapshot,
		      struct start_up *ret, struct err *err)
{
	const struct report_names names = {
		.symbol = dynsym_symbol, .arg = reporter->dynsym, .local = local(reporter)};
	struct report_options options = reporter_options(reporter);
	struct report_job job = {.snapshot = snapshot,
				 .resolver = reporter->link.resolver,
				 .symbols = reporter->dynsym ? &names : NULL,
				 .options = &options};
	int rc;

	*ret = (struct start_up){0};
	if (!options.start_up)
		return 0;
	options.order = SNAPSHOT_BY_BYTES; /* (no ids are to be put in order) */
	progress_init(&job.progress, &options);
	rc = options.start_up(&job, NULL, ret, err);
	progress_end(&job.progress);
	free(ret->is);
	ret->is = NULL;
	return rc;
}

int reporter_modules(struct reporter *reporter, const struct snapshot *snapshot)
{
	return report_modules(snapshot, reporter->link.resolver, reporter->output->out);
}

/* 0, or -errno with no trace of it. */
static int write_whole(struct reporter *reporter, const struct snapshot *snapshot,
		       const struct report_options *options, const char *path, struct err *err)
{
	struct report_options how = *options;
	struct atomic_file file;
	int rc = atomic_file_open(path, &file, err);

	if (rc)
		return rc;
	how.file = path;
	rc = write_to(reporter, snapshot, &how, file.out, err);
	return atomic_file_close(&file, rc, err);
}

/* Of a pattern. */
static void name_next(struct reporter *reporter, const struct snapshot *snapshot,
		      const char *pattern, char ret[PATH_MAX])
{
	time_t now = time(NULL);
	struct tm tm = {0};

	localtime_r(&now, &tm);
	reporter->series.pid = snapshot->pid;
	series_name(&reporter->series, pattern, &tm, ret);
}

int reporter_save(struct reporter *reporter, const struct snapshot *snapshot,
		  const struct report_options *options, const char *path, struct err *err)
{
	FILE *out = reporter->output->out;
	char each[PATH_MAX];
	struct err cause;
	struct stat st;
	int rc;

	if (series_has_pid(path)) {
		name_next(reporter, snapshot, path, each);
		path = each;
	}
	rc = write_whole(reporter, snapshot, options, path, &cause);
	server_link_tell(&reporter->link);
	if (rc)
		return err_set(err, rc, "can't write %s: %s", path, cause.text);
	fprintf(out, "%s has ", path);
	print_count(out, snapshot->context_count ? snapshot->context_count - 1 : 0,
		    "call stack");
	if (!stat(path, &st) && S_ISREG(st.st_mode)) {
		fputs(", ", out);
		print_count(out, (uint64_t)st.st_size, "byte");
		print_size_beside(out, (uint64_t)st.st_size);
	}
	putc('\n', out);
	return 0;
}

/* What is to be whole, or not there, is put in the place of a regular file. */
static bool is_atomic(const struct reporter *reporter, const struct report_options *options)
{
	struct stat st;

	return report_is_binary(options->format) && !fstat(reporter->output_fd, &st) &&
	       S_ISREG(st.st_mode);
}

/* 0, or -errno with no trace of it. */
static int write_named(struct reporter *reporter, const struct snapshot *snapshot,
		       const struct report_options *options, char path[PATH_MAX], struct err *err)
{
	const struct options *o = reporter->options;
	int rc;

	if (o->every_ms || o->output_each)
		name_next(reporter, snapshot, o->output, path);
	else
		snprintf(path, PATH_MAX, "%s", o->output);
	rc = write_whole(reporter, snapshot, options, path, err);
	if (!rc && o->every_ms)
		series_add(&reporter->series, path, clock_ms(), o->keep ? o->keep : KEEP);
	return rc;
}

/* The file that is held open is, from the first one on, no longer that of this name. */
static void let_go_of_output(struct reporter *reporter)
{
	if (reporter->output_fd >= 0)
		close(reporter->output_fd);
	reporter->output_fd = -1;
	reporter->output_ours = false;
	reporter->output_named = true;
}

int reporter_now(struct reporter *reporter, const struct snapshot *snapshot, struct err *err)
{
	struct report_options options = reporter_options(reporter);
	char path[PATH_MAX];
	struct err cause;
	int rc = write_named(reporter, snapshot, &options, path, &cause);

	server_link_tell(&reporter->link);
	if (rc)
		return err_set(err, rc, "can't write %s: %s", path, cause.text);
	let_go_of_output(reporter);
	return 0;
}

/* 0, or -errno with the file as far as it went. */
static int write_output(struct reporter *reporter, const struct snapshot *snapshot,
			const struct report_options *options, struct err *err)
{
	struct report_options how = *options;
	char path[PATH_MAX];
	FILE *file;
	int rc;

	if (reporter->output_named)
		return write_named(reporter, snapshot, options, path, err);
	if (is_atomic(reporter, options)) {
		close(reporter->output_fd);
		reporter->output_fd = -1;
		return write_whole(reporter, snapshot, options, reporter->options->output, err);
	}
	/* not a regular file (a pipe, /dev/full): nothing to cut */
	if (ftruncate(reporter->output_fd, 0) && errno != EINVAL)
		return err_sys(err, -errno, "ftruncate");
	file = fdopen(reporter->output_fd, "w");
	if (!file)
		return err_sys(err, -errno, "fdopen");
	reporter->output_fd = -1;
	how.file = reporter->options->output;
	rc = write_to(reporter, snapshot, &how, file, err);
	if (fclose(file) && !rc)
		rc = err_sys(err, -errno, "close");
	return rc;
}

/* Where the report could not go where it should, it is shown. */
static bool write_instead(struct reporter *reporter, const struct snapshot *snapshot,
			  struct report_options options)
{
	struct err err;

	if (report_is_binary(options.format))
		options.format = REPORT_TEXT;
	reporter->output->out = stderr;
	if (reporter_write(reporter, snapshot, &options, &err))
		output_warn(reporter->output, "%s", err.text);
	return false;
}

bool reporter_finish(struct reporter *reporter, const struct snapshot *snapshot,
		     const struct findings *findings)
{
	struct report_options options = reporter_options(reporter);
	struct output *output = reporter->output;
	struct err err = {0};
	int rc;

	if (findings) {
		options.findings = findings;
		options.findings_earlier = false;
	}
	options.leaks_only = options.leaks_title = options_look_only(reporter->options);
	if (snapshot->context_count)
		server_link_await(&reporter->link);
	if (reporter->output_fd >= 0 || reporter->output_named) {
		if (!write_output(reporter, snapshot, &options, &err)) {
			reporter->output_ours = false; /* now it is the user's */
			server_link_tell(&reporter->link);
			return true;
		}
		reporter->output_failed = true;
		output_warn(output, "can't write %s: %s; the report goes to stderr",
			    reporter->options->output, err.text);
	}
	if (!reporter->output_failed) {
		rc = reporter_write(reporter, snapshot, &options, &err);
		if (rc)
			output_warn(output,
				    rc == -EPIPE ? "%s" : "%s; the report goes to stderr",
				    err.text);
		if (!rc || rc == -EPIPE) /* a reader who has gone has seen enough */
			return !rc;
	}
	return write_instead(reporter, snapshot, options);
}
