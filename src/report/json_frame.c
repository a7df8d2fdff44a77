/*
 * Frames in JSON: each once, an object; call stacks say its number in the list.  What was inlined
 * at the place is a list in it, innermost first.
 *
 *     {"pc": "0x5555..", "module": 0, "offset": "0x1300", "function": "f", "file": "f.c",
 *      "line": 77, "inlined": [{"function": "g", "file": "g.h", "line": 3}]}
 *
 * And whole, as a short report and all of version 1 have it in each call stack anew: with all that
 * its module is known by, one for each function that was inlined there.
 */
#include <inttypes.h>

#include "report/fold.h"
#include "report/job.h"

void json_address(FILE *out, uint64_t address)
{
	fprintf(out, "\"0x%" PRIx64 "\"", address);
}

void json_place(FILE *out, const struct frame_line *line)
{
	fputs("\"function\": ", out);
	json_string(out, line->function);
	fputs(", \"file\": ", out);
	json_string(out, line->file);
	if (line->line)
		fprintf(out, ", \"line\": %" PRIu32, line->line);
	else
		fputs(", \"line\": null", out);
}

const char *json_marks(const struct names_line *l, const struct report_options *options)
{
	bool exact = options->decodable && (l->frame & FRAME_EXACT);

	return l->frame & FRAME_GUESS ? exact ? ", \"guess\": true, \"exact\": true"
					      : ", \"guess\": true"
				      : exact ? ", \"exact\": true"
					      : "";
}

static void print_allocator(FILE *out, const struct frame_line *line)
{
	if (fold_is_allocator(line->function))
		fputs(", \"allocator\": true", out);
}

static void print_inlined(FILE *out, const struct names *names, const struct named_frame *named)
{
	if (named->count < 2)
		return;
	fputs(", \"inlined\": [", out);
	for (uint32_t i = 0; i + 1 < named->count; i++) {
		const struct names_line l = names_line(names, named, i);

		fputs(i ? ", {" : "{", out);
		json_place(out, &l.name);
		print_allocator(out, &l.name);
		putc('}', out);
	}
	putc(']', out);
}

void json_frame(FILE *out, const struct names *names, const struct named_frame *named,
		const struct report_options *options)
{
	const struct names_line l = names_line(names, named, named->count - 1);
	uint64_t offset = frame_offset(l.frame);

	fputs("    {\"pc\": ", out);
	json_address(out, l.module ? l.module->bias + offset : offset);
	if (l.module) {
		fprintf(out, ", \"module\": %" PRIu32 ", \"offset\": ",
			frame_instance(l.frame) - 1);
		json_address(out, offset);
		fputs(", ", out);
	} else {
		fputs(", \"module\": null, \"offset\": null, ", out);
	}
	json_place(out, &l.name);
	print_allocator(out, &l.name);
	fputs(json_marks(&l, options), out);
	print_inlined(out, names, named);
	putc('}', out);
}

void json_frame_whole(FILE *out, const struct names_line *l,
		       const struct report_options *options)
{
	uint64_t offset = frame_offset(l->frame);
	char id[MODULE_ID_HEX];

	fputs("      {\"pc\": ", out);
	json_address(out, l->module ? l->module->bias + offset : offset);
	fputs(", \"module\": ", out);
	json_string(out, l->module ? l->module->id.path : NULL);
	fputs(", \"offset\": ", out);
	if (l->module)
		json_address(out, offset);
	else
		fputs("null", out);
	fputs(", \"build_id\": ", out);
	json_string(out, l->module && l->module->id.build_id_len
				 ? report_build_id(l->module, id)
				 : NULL);
	fputs(", ", out);
	json_place(out, &l->name);
	fprintf(out, ", \"inlined\": %s%s%s}", l->name.inlined ? "true" : "false",
		fold_is_allocator(l->name.function) ? ", \"allocator\": true" : "",
		json_marks(l, options));
}
