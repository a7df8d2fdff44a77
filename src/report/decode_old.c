/*
 * A frame as version 1 of the JSON report had it, in each call stack anew and with all that its
 * module is known by: reports of then get their names in their own form.
 */
#include "report/decode_parts.h"
#include "report/fold.h"

/* {"pc", "module", "offset", "build_id", "function", "file", "line", "inlined"}; one of them for
 * each function that was inlined there. */
void decode_old_render(FILE *out, const struct names_line *l,
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
