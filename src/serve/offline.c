/*
 * memtrace's own way to names, with us at both ends: a child serves the directories.
 *
 *   snapshot file --> snapshot --+
 *                 --> names -----+--> report_write() --> text, JSON ...
 *   directories --> resolver ----+
 *
 *   JSON --> decode_report(): its frames, and nothing else of it, written anew; or
 *        --> decode_read(): snapshot and names, as above
 *
 * The snapshot's own names, which the device knew, stand where the directories have none; those
 * of symbol tables are demangled first.
 */
#include "serve/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/scope.h"
#include "heap/snapshot_file.h"
#include "report/decode.h"
#include "report/export/viewers.h"
#include "report/report.h"
#include "serve/demangle.h"
#include "serve/served_dirs.h"

enum { MAX_FILE = 1 << 30 };

VEC_TYPE(texts, char *);

/* What the child would say too, and we then of the child. */
static int check_dirs(const struct serve_options *options, struct err *err)
{
	struct served_dirs dirs;
	int e = served_dirs_open(&dirs, options->dirs.at, err);

	served_dirs_close(&dirs);
	return e;
}

/* All of a file, malloc'ed. */
static int read_file(const char *path, FILE *in, uint8_t **ret, size_t *len, struct err *err)
{
	VEC(uint8_t) bytes = {};
	size_t n = 1;
	int e = 0;

	while (!e && n) {
		if (bytes.len > MAX_FILE)
			e = err_set(err, -EFBIG, "%s is too long", path);
		else if (!vec_reserve(&bytes, 2 * bytes.len + BUFSIZ))
			e = err_set(err, -ENOMEM, "no memory for %s", path);
		else
			n = fread(bytes.at + bytes.len, 1, bytes.cap - bytes.len, in);
		bytes.len += e ? 0 : n;
	}
	if (!e && ferror(in))
		e = err_sys(err, -errno, "%s", path);
	if (e) {
		vec_deinit(&bytes);
		return e;
	}
	*ret = bytes.at;
	*len = bytes.len;
	return 0;
}

/* ---- snapshot files -------------------------------------------------------------------- */

static int compare_symbols(const void *a, const void *b)
{
	struct frame_line *const *x = a, *const *y = b;

	return (*x)->symbol < (*y)->symbol ? -1 : (*x)->symbol > (*y)->symbol;
}

/* The names that symbol tables gave, as people write them; each symbol is demangled once.  They
 * live in *ret.  False: no memory. */
static bool make_readable(struct frame_names *names, struct texts *ret)
{
	VEC(struct frame_line *) lines = {};
	bool ok = true;

	for (size_t i = 0; ok && i < names->line_count; i++)
		if (names->lines[i].symbol)
			ok = vec_push(&lines, &names->lines[i]);
	if (lines.len)
		qsort(lines.at, lines.len, sizeof(*lines.at), compare_symbols);
	for (size_t i = 0; ok && i < lines.len; i++) {
		bool again = i && lines.at[i]->symbol == lines.at[i - 1]->symbol;
		char *name = again ? NULL : demangle(lines.at[i]->symbol);

		if (again)
			lines.at[i]->function = lines.at[i - 1]->function;
		else if (name && vec_push(ret, name))
			lines.at[i]->function = name;
		else
			free(name);
	}
	vec_deinit(&lines);
	return ok;
}

static void tell_remarks(const struct snapshot *snapshot, struct resolver *resolver,
			 void (*remark)(const char *text))
{
	for (uint32_t i = 1; i <= snapshot->module_count; i++)
		if (resolver_remark(resolver, i))
			remark(resolver_remark(resolver, i));
}

/* What is to be printed: of a snapshot file, or of a JSON report. */
struct source {
	const struct snapshot *snapshot;
	struct frame_names *names;
	const char *version;
	unsigned depth;
	enum report_format format; /* if nothing else is asked for */
	unsigned count;
	struct report_left_out left_out;
};

static int write_report(const struct serve_options *options, const struct source *source,
			struct resolver *resolver, void (*remark)(const char *text), FILE *out,
			struct err *err)
{
	const struct report_names names = {.known = source->names, .elsewhere = true};
	const struct report_options how = {
		.format = options->format == ITS_FORMAT ? source->format
							: (enum report_format)options->format,
		.viewers = report_viewers,
		.order = (enum snapshot_order)options->order,
		.count = options->count == ITS_COUNT ? source->count : options->count,
		.all = options->all,
		.no_command = options->no_command,
		.no_lines = options->no_lines,
		.verbose = options->verbose,
		.depth = source->depth,
		.version = source->version,
		.left_out = source->left_out,
	};
	struct texts readable = {};
	const char *why = NULL;
	int e = make_readable(source->names, &readable)
			? report_write(source->snapshot, resolver, &names, &how, out, err)
			: err_set(err, -ENOMEM, "no memory for names");

	if (!e && how.format != REPORT_TEXT) /* a text says it itself */
		tell_remarks(source->snapshot, resolver, remark);
	for (size_t i = 0; i < readable.len; i++)
		free(readable.at[i]);
	vec_deinit(&readable);
	if (!e && !resolver_is_alive(resolver, &why))
		e = err_set(err, -EPIPE, "names are incomplete: %s", why);
	return e;
}

static int print_snapshot(const struct serve_options *options, FILE *in,
			  struct resolver *resolver, void (*remark)(const char *text),
			  FILE *out, struct err *err)
{
	struct snapshot_file *file;
	struct source source;
	scope_free uint8_t *bytes = NULL;
	struct err cause;
	size_t len;
	int e = read_file(options->report, in, &bytes, &len, err);

	if (e)
		return e;
	e = snapshot_file_parse(bytes, len, &file, &cause);
	if (e)
		return err_set(err, e, "%s: %s", options->report, cause.text);
	source = (struct source){.snapshot = file->snapshot,
				 .names = &file->names,
				 .version = file->version,
				 .format = REPORT_TEXT,
				 .count = 10,
				 .depth = file->depth};
	e = write_report(options, &source, resolver, remark, out, err);
	snapshot_file_destroy(file);
	return e;
}

/* ---- either ---------------------------------------------------------------------------- */

/* As it is, but for the names of its frames; or as another form, or fewer of its contexts. */
static int print_json(const struct serve_options *options, FILE *in, struct resolver *resolver,
		      void (*remark)(const char *text), FILE *out, struct err *err)
{
	struct decoded decoded;
	struct source source;
	int e;

	if ((options->format == ITS_FORMAT || options->format == REPORT_JSON) &&
	    options->count == ITS_COUNT && !options->no_command && !options->no_lines)
		return decode_report(in, resolver, remark, demangle, out, err);
	e = decode_read(in, &decoded, err);
	if (e)
		return e;
	source = (struct source){.snapshot = decoded.snapshot,
				 .names = &decoded.names,
				 .version = decoded.version,
				 .format = options->count == ITS_COUNT ? REPORT_JSON
								       : REPORT_TEXT,
				 .count = options->format == ITS_FORMAT ||
							  options->format == REPORT_JSON
						  ? 0
						  : 10,
				 .left_out = decoded.left_out};
	e = write_report(options, &source, resolver, remark, out, err);
	decoded_deinit(&decoded);
	return e;
}

/* What the first byte says: a snapshot file's magic, or a JSON document. */
static int print_either(const struct serve_options *options, FILE *in,
			struct resolver *resolver, void (*remark)(const char *text), FILE *out,
			struct err *err)
{
	int c = getc(in);

	while (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		c = getc(in);
	ungetc(c, in);
	if (c == 0x89)
		return print_snapshot(options, in, resolver, remark, out, err);
	if (c == '{')
		return print_json(options, in, resolver, remark, out, err);
	return err_set(err, -EINVAL,
		       "%s: neither a snapshot nor a JSON report of memtrace; names are not "
		       "put into text (memtrace --format=snapshot)",
		       options->report);
}

int offline_report(const struct serve_options *options, void (*remark)(const char *text),
		   FILE *out, struct err *err)
{
	const struct resolver_options child = {.server = "/proc/self/exe",
					       .debug_dirs = options->dirs.at,
					       .debuginfod = options->debuginfod,
					       .serve_dirs = true};
	struct resolver *resolver;
	FILE *in;
	int e;

	if (check_dirs(options, err))
		return err->code;
	in = fopen(options->report, "re");
	if (!in)
		return err_sys(err, -errno, "%s", options->report);
	e = resolver_start(&child, &resolver, err);
	if (!e) {
		e = print_either(options, in, resolver, remark, out, err);
		resolver_destroy(resolver);
	}
	fclose(in);
	return e;
}
