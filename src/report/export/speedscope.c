/*
 * speedscope's own format (its file-format-schema.json): frames once and by number, two sampled
 * profiles over them, a call stack a sample.
 *
 *   {"shared": {"frames": [{"name", "file", "line"} ...]},
 *    "profiles": [{"name": "bytes in use", "samples": [[outermost, .., leaf] ...], "weights"},
 *                 {"name": "blocks in use", ...}]}
 *
 * Frames that a viewer can't tell apart (function, file, line) are one.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/export/stacks.h"
#include "report/export/texts.h"
#include "report/export/viewers.h"

struct speedscope {
	struct exports exports;
	FILE *out;
	struct texts frames; /* as JSON */
	uint32_t *number_of; /* by line: of frames */
	bool weights;	     /* being written: weights, else samples */
	bool blocks;	     /* of them, else of bytes */
	bool first;
	uint64_t total;
};

static bool add_frame(struct speedscope *s, const char *name, const struct frame_line *line,
		      uint32_t *ret)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	bool ok;

	if (!out)
		return false;
	fputs("{\"name\": ", out);
	json_string(out, name);
	if (line && line->file) {
		fputs(", \"file\": ", out);
		json_string(out, line->file);
	}
	if (line && line->line)
		fprintf(out, ", \"line\": %" PRIu32, line->line);
	putc('}', out);
	ok = !fclose(out) && texts_add(&s->frames, text, len, ret);
	free(text);
	return ok;
}

static bool gather_lines(struct speedscope *s)
{
	const struct frame_names *values = s->exports.values;
	bool ok = true;

	for (size_t i = 0; ok && i < values->frame_count; i++)
		for (uint32_t k = 0; ok && k < values->frames[i].count; k++) {
			struct names_line line =
				names_line(s->exports.names, &values->frames[i], k);
			char *label = exports_label(&line);

			ok = label && add_frame(s, label, &line.name,
						&s->number_of[values->frames[i].first + k]);
			free(label);
		}
	return ok;
}

/* What stands for missing frames. */
static bool gather_cut(void *arg, const struct export_stack *stack)
{
	uint32_t number;

	return !stack->cut[0] || add_frame(arg, stack->cut, NULL, &number);
}

static bool write_sample(struct speedscope *s, const struct export_stack *stack)
{
	const char *comma = "";
	uint32_t number;

	putc('[', s->out);
	if (stack->cut[0]) {
		if (!add_frame(s, stack->cut, NULL, &number)) /* (it is there) */
			return false;
		fprintf(s->out, "%" PRIu32, number);
		comma = ",";
	}
	for (size_t i = stack->count; i--;) {
		const struct named_frame *f = exports_frame(&s->exports, stack->frames[i]);

		for (uint32_t k = f->count; k--; comma = ",")
			fprintf(s->out, "%s%" PRIu32, comma, s->number_of[f->first + k]);
	}
	putc(']', s->out);
	return true;
}

static bool write_value(void *arg, const struct export_stack *stack)
{
	struct speedscope *s = arg;
	uint64_t value = s->blocks ? stack->blocks : stack->bytes;

	if (!value)
		return true;
	if (!s->first)
		fputs(",\n", s->out);
	s->first = false;
	if (!s->weights)
		return write_sample(s, stack);
	s->total += value;
	fprintf(s->out, "%" PRIu64, value);
	return true;
}

static int write_values(struct speedscope *s, bool weights, struct err *err)
{
	s->weights = weights;
	s->first = true;
	s->total = 0;
	return exports_for_each(&s->exports, write_value, s, s->out, err);
}

static int write_profile(struct speedscope *s, bool blocks, struct err *err)
{
	int failed;

	s->blocks = blocks;
	fprintf(s->out,
		"{\"type\": \"sampled\", \"name\": \"%s in use\", \"unit\": \"%s\",\n"
		"\"samples\": [\n",
		blocks ? "blocks" : "bytes", blocks ? "none" : "bytes");
	failed = write_values(s, false, err);
	fputs("],\n\"weights\": [", s->out);
	if (!failed)
		failed = write_values(s, true, err);
	fprintf(s->out, "],\n\"startValue\": 0, \"endValue\": %" PRIu64 "}", s->total);
	return failed;
}

static void write_head(struct speedscope *s)
{
	const struct snapshot *snapshot = s->exports.snapshot;

	fputs("{\"$schema\": \"https://www.speedscope.app/file-format-schema.json\",\n"
	      "\"exporter\": \"memtrace\",\n\"name\": ",
	      s->out);
	json_string(s->out,
		    snapshot->command && *snapshot->command ? *snapshot->command : "memtrace");
	fputs(",\n\"activeProfileIndex\": 0,\n\"shared\": {\"frames\": [\n", s->out);
	for (uint32_t i = 0; i < s->frames.at.len; i++) {
		size_t len;
		const char *text = texts_bytes(&s->frames, i, &len);

		fputs(i ? ",\n" : "", s->out);
		fwrite(text, 1, len, s->out);
	}
	fputs("]},\n\"profiles\": [", s->out);
}

static int write_all(struct speedscope *s, struct err *err)
{
	int failed = gather_lines(s) ? exports_for_each(&s->exports, gather_cut, s, NULL, err)
				     : exports_no_memory(err);

	if (failed)
		return failed;
	write_head(s);
	failed = write_profile(s, false, err);
	fputs(",\n", s->out);
	if (!failed)
		failed = write_profile(s, true, err);
	fputs("]}\n", s->out);
	return failed ? failed : report_check(s->out, err);
}

int speedscope_write(struct report_job *job, FILE *out, struct err *err)
{
	struct speedscope s = {.out = out};
	int failed = exports_begin(job, &s.exports, err);

	if (failed)
		return failed;
	s.number_of = calloc(s.exports.values->line_count + 1, sizeof(*s.number_of));
	failed = s.number_of ? write_all(&s, err) : exports_no_memory(err);
	texts_deinit(&s.frames);
	free(s.number_of);
	exports_end(&s.exports);
	return failed;
}
