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
	return options->verbose || options->context;
}

/* "libfoo.so"; the whole path with -v. */
static void print_module(FILE *out, const struct snapshot_module *module, bool verbose)
{
	utf8_print(out,
		   verbose && module->id.path ? module->id.path : module_id_name(&module->id));
}

/* " in /src/demo.c:28", or " in libfoo.so" for what has no source. */
static void print_where(FILE *out, const struct names_line *l,
			const struct report_options *options)
{
	bool verbose = is_verbose(options);
	uint64_t base = l->name.base;

	if (l->name.file) {
		fputs(" in ", out);
		utf8_print(out, l->name.file);
		if (l->name.line)
			fprintf(out, ":%" PRIu32, l->name.line);
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

static void print_marks(FILE *out, const struct names_line *l)
{
	if (l->name.inlined) {
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
	char id[MODULE_ID_HEX];

	if (!l->module) {
		fprintf(out, "0x%" PRIx64 " (in no module)", frame_offset(l->frame));
		return;
	}
	if (generated_is_module(&l->module->id)) {
		fprintf(out, "0x%" PRIx64 " in ", frame_offset(l->frame));
		print_module(out, l->module, true);
		return;
	}
	print_module(out, l->module, is_verbose(options));
	fprintf(out, "+0x%" PRIx64, frame_offset(l->frame));
	if (l->module->id.build_id_len)
		fprintf(out, " [%s]", report_build_id(l->module, id));
	if (l->name.file)
		print_where(out, l, options);
}

/* The function, cut to what `rest` leaves of the line. */
static void print_function(FILE *out, const struct names_line *l, const char *rest,
			   bool verbose)
{
	bool is_whole = /* a C++ name brings its arguments, a runtime's says where it is */
		strchr(l->name.function, '(') ||
		(l->module && generated_is_module(&l->module->id) && strchr(l->name.function, ' '));
	size_t used = INDENT + utf8_columns(rest) + (is_whole ? 0 : 2);
	size_t columns = used + FEWEST < COLUMNS ? COLUMNS - used : FEWEST;
	char *name = verbose ? NULL : fold_name(l->name.function, columns);

	utf8_print(out, name ? name : l->name.function);
	if (!is_whole)
		fputs("()", out);
	free(name);
}

void frames_render(FILE *out, const struct names_line *l, const struct report_options *options)
{
	char *rest = NULL;
	size_t len;
	FILE *side;

	fprintf(out, "%*s", INDENT, "");
	if (!l->name.function) {
		print_nameless(out, l, options);
		print_marks(out, l);
		putc('\n', out);
		return;
	}
	side = open_memstream(&rest, &len);
	if (side) {
		print_where(side, l, options);
		print_marks(side, l);
		fclose(side);
	}
	print_function(out, l, rest ? rest : "", is_verbose(options));
	fprintf(out, "%s\n", rest ? rest : "");
	free(rest);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same_module(const struct names_line *a, const struct names_line *b)
{
	if (!a->module || !b->module)
		return a->module == b->module;
	return a->module->mapped == b->module->mapped &&
	       !strcmp(module_id_name(&a->module->id), module_id_name(&b->module->id));
}

/* What the text form has no place for is no difference: which of its calls a function made,
 * where lines are not known. */
bool frames_look_same(const struct names_line *a, const struct names_line *b)
{
	if (!same_text(a->name.function, b->name.function) ||
	    !same_text(a->name.file, b->name.file) || a->name.line != b->name.line ||
	    a->name.inlined != b->name.inlined || ((a->frame ^ b->frame) & FRAME_GUESS))
		return false;
	if (!a->name.function)
		return a->frame == b->frame;
	return same_module(a, b);
}
