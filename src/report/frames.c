/*
 * The lines of a stack in the text form:
 *
 *     main() in /src/demo.c:28
 *     helper() in /src/demo.c:20 (inlined)
 *     g_malloc() in libglib-2.0.so.0
 *     libfoo.so+0x1234 [8a3f..] (guessed)
 *     0x7f0012345678 (in no module)
 *
 * A line is the function, then where it is, then marks.  Where it is has priority:
 * the function's name gives way when a line gets longer than 80 columns.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/fold.h"
#include "report/job.h"
#include "report/utf8.h"

enum { INDENT = 4, COLUMNS = 80, FEWEST = 16 };

static bool is_verbose(const struct report_options *options)
{
	return options->verbose || options->context || options->decodable;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* "libfoo.so"; the whole path with -v. */
static void print_module(FILE *out, const struct snapshot_module *module, bool verbose)
{
	const char *path = module->id.path ? module->id.path : "";

	utf8_print(out, verbose ? path : base_name(path));
}

/* " in /src/demo.c:28", or " in libfoo.so" for what has no source. */
static void print_where(FILE *out, const struct names_line *l,
			const struct report_options *options)
{
	bool verbose = is_verbose(options);
	uint64_t base = options->decodable ? 0 : l->base;

	if (l->file) {
		fputs(" in ", out);
		utf8_print(out, l->file);
		if (l->line)
			fprintf(out, ":%" PRIu32, l->line);
		return;
	}
	if (!l->module)
		return;
	if (verbose && base && base <= frame_offset(l->frame))
		fprintf(out, "+0x%" PRIx64, frame_offset(l->frame) - base);
	fputs(" in ", out);
	print_module(out, l->module, verbose);
	if (verbose && !base)
		fprintf(out, "+0x%" PRIx64, frame_offset(l->frame));
}

static void print_marks(FILE *out, const struct names_line *l,
			const struct report_options *options)
{
	if (options->decodable && (l->frame & FRAME_EXACT))
		fputs(" (exact)", out);
	if (l->inlined) {
		fputs(" (inlined)", out);
		return;
	}
	if (l->module && !l->module->mapped)
		fputs(" (unloaded)", out);
	if (l->frame & FRAME_GUESS)
		fputs(" (guessed)", out);
}

static void print_nameless(FILE *out, const struct names_line *l,
			   const struct report_options *options)
{
	char id[REPORT_BUILD_ID_SIZE];

	if (!l->module) {
		fprintf(out, "0x%" PRIx64 " (in no module)", frame_offset(l->frame));
		return;
	}
	print_module(out, l->module, is_verbose(options));
	fprintf(out, "+0x%" PRIx64, frame_offset(l->frame));
	if (l->module->id.build_id_len)
		fprintf(out, " [%s]", report_build_id(l->module, id));
	if (l->file)
		print_where(out, l, options);
}

/* The function, cut to what `rest` leaves of the line. */
static void print_function(FILE *out, const struct names_line *l, const char *rest,
			   bool verbose)
{
	bool is_whole = strchr(l->function, '('); /* a C++ name brings its arguments */
	size_t used = INDENT + utf8_columns(rest) + (is_whole ? 0 : 2);
	size_t columns = used + FEWEST < COLUMNS ? COLUMNS - used : FEWEST;
	char *name = verbose ? NULL : fold_name(l->function, columns);

	utf8_print(out, name ? name : l->function);
	if (!is_whole)
		fputs("()", out);
	free(name);
}

static void render_line(FILE *out, const struct names_line *l,
			const struct report_options *options)
{
	char *rest = NULL;
	size_t len;
	FILE *side;

	fprintf(out, "%*s", INDENT, "");
	if (!l->function) {
		print_nameless(out, l, options);
		print_marks(out, l, options);
		putc('\n', out);
		return;
	}
	side = open_memstream(&rest, &len);
	if (side) {
		print_where(side, l, options);
		print_marks(side, l, options);
		fclose(side);
	}
	print_function(out, l, rest ? rest : "", is_verbose(options));
	fprintf(out, "%s\n", rest ? rest : "");
	free(rest);
}

void frames_render(FILE *out, const struct names_line *lines, size_t count, void *arg)
{
	const struct report_options *options = arg;

	for (size_t i = 0; i < count; i++)
		render_line(out, &lines[i], options);
}
