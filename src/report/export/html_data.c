/*
 * The capture as JSON within the page, for its script: everything once and by number, so that
 * 100 000 call stacks are some megabytes.  doc/page.md says what each member is.
 *
 *   contexts.node --> nodes.caller ... (outermost)      columns, not objects: what a number
 *                     nodes.frame --> frames.lines --> lines.name, .file --> texts
 *
 * Texts are numbered as they come, so that they stand last.
 */
#include "report/export/html_data.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heap/verdicts.h"
#include "report/evidence.h"
#include "report/export/html_text.h"
#include "report/report.h"

struct data {
	const struct exports *exports;
	const struct snapshot *snapshot;
	FILE *out;
	struct texts texts;
	uint32_t *number; /* by node: its number here + 1; 0: no stack leads there */
	bool failed;	  /* for want of memory */
};

static bool is_in(const struct data *d, uint32_t id)
{
	return d->snapshot->contexts[id].allocs != 0;
}

static uint32_t text_number(struct data *d, const char *text)
{
	uint32_t number = 0;

	if (!text || !texts_add(&d->texts, text, strlen(text), &number))
		d->failed = true;
	return number;
}

static void write_texts(struct data *d)
{
	fputs(",\n\"texts\":[", d->out);
	for (uint32_t i = 0; i < d->texts.at.len; i++) {
		size_t len;
		const char *bytes = texts_bytes(&d->texts, i, &len);
		char *text = strndup(bytes, len);

		fputs(i ? ",\n" : "", d->out);
		if (text)
			html_data_string(d->out, text);
		d->failed |= !text;
		free(text);
	}
	putc(']', d->out);
}

/* ---- columns ------------------------------------------------------------------------ */

typedef int64_t column_fn(struct data *d, size_t i);

static void write_column(struct data *d, const char *name, size_t count, column_fn *value)
{
	const char *comma = "";

	fprintf(d->out, "\"%s\":[", name);
	for (size_t i = 0; i < count; i++, comma = ",")
		fprintf(d->out, "%s%" PRId64, comma, value(d, i));
	fputs("],\n", d->out);
}

/* ---- frames and their lines ---------------------------------------------------------- */

static int64_t lines_of_frame(struct data *d, size_t i)
{
	return d->exports->values->frames[i].count;
}

static int64_t folded_of_frame(struct data *d, size_t i)
{
	return names_count_folded(d->exports->names, &d->exports->values->frames[i]);
}

static int64_t module_of_frame(struct data *d, size_t i)
{
	return frame_instance(d->exports->values->frames[i].frame);
}

static void write_frames(struct data *d)
{
	const struct frame_names *values = d->exports->values;
	size_t count = values->frame_count;

	fputs(",\n\"frames\":{", d->out);
	write_column(d, "lines", count, lines_of_frame);
	write_column(d, "folded", count, folded_of_frame);
	write_column(d, "module", count, module_of_frame);
	fputs("\"pc\":[", d->out);
	for (size_t i = 0; i < count; i++)
		fprintf(d->out, "%s\"%" PRIx64 "\"", i ? "," : "",
			exports_pc(d->exports, values->frames[i].frame));
	fputs("]}", d->out);
}

/* What of a line is asked for. */
static int64_t name_of(struct data *d, const struct names_line *line)
{
	char *label = exports_label(line);
	uint32_t number = text_number(d, label);

	free(label);
	return number;
}

static int64_t file_of(struct data *d, const struct names_line *line)
{
	return text_number(d, line->name.file ? line->name.file : "");
}

static int64_t number_of(struct data *d, const struct names_line *line)
{
	(void)d;
	return line->name.line;
}

static int64_t inlined_of(struct data *d, const struct names_line *line)
{
	(void)d;
	return line->name.inlined;
}

static void write_lines(struct data *d, const char *name,
			int64_t (*value)(struct data *, const struct names_line *))
{
	const struct frame_names *values = d->exports->values;
	const char *comma = "";

	fprintf(d->out, "\"%s\":[", name);
	for (size_t i = 0; i < values->frame_count; i++)
		for (uint32_t k = 0; k < values->frames[i].count; k++, comma = ",") {
			struct names_line line =
				names_line(d->exports->names, &values->frames[i], k);

			fprintf(d->out, "%s%" PRId64, comma, value(d, &line));
		}
	putc(']', d->out);
}

static void write_all_lines(struct data *d)
{
	fputs(",\n\"lines\":{", d->out);
	write_lines(d, "name", name_of);
	fputs(",\n", d->out);
	write_lines(d, "file", file_of);
	fputs(",\n", d->out);
	write_lines(d, "line", number_of);
	fputs(",\n", d->out);
	write_lines(d, "inlined", inlined_of);
	putc('}', d->out);
}

/* ---- the tree ------------------------------------------------------------------------ */

static void number_nodes(struct data *d)
{
	const struct snapshot *s = d->snapshot;
	uint32_t count = 0;

	for (uint32_t id = 0; id < s->context_count; id++)
		for (uint32_t node = is_in(d, id) ? s->contexts[id].node : 0;
		     node >= WALK_ENDS && !d->number[node]; node = s->nodes[node].parent)
			d->number[node] = 1;
	for (uint32_t node = WALK_ENDS; node < s->node_count; node++)
		if (d->number[node])
			d->number[node] = ++count;
}

static void write_nodes(struct data *d)
{
	const struct snapshot *s = d->snapshot;
	const struct frame_names *values = d->exports->values;
	const char *comma = "";

	fputs(",\n\"nodes\":{\"frame\":[", d->out);
	for (uint32_t node = WALK_ENDS; node < s->node_count; node++)
		if (d->number[node]) {
			const struct named_frame *f =
				exports_frame(d->exports, s->nodes[node].frame);

			fprintf(d->out, "%s%zu", comma, (size_t)(f - values->frames));
			comma = ",";
		}
	fputs("],\n\"caller\":[", d->out);
	comma = "";
	for (uint32_t node = WALK_ENDS; node < s->node_count; node++)
		if (d->number[node]) {
			uint32_t parent = s->nodes[node].parent;

			fprintf(d->out, "%s%" PRId64, comma,
				parent < WALK_ENDS
					? -(int64_t)parent
					: (int64_t)d->number[node] - d->number[parent]);
			comma = ",";
		}
	fputs("]},\n\"ends\":[", d->out);
	for (int end = 0; end < WALK_ENDS; end++)
		fprintf(d->out, "%s\"[stack cut: %s]\"", end ? "," : "",
			json_word_of((enum walk_end)end));
	putc(']', d->out);
}

/* ---- contexts ------------------------------------------------------------------------ */

static int64_t node_of(struct data *d, size_t id)
{
	uint32_t node = d->snapshot->contexts[id].node;

	return node < WALK_ENDS ? -1 - (int64_t)node : (int64_t)d->number[node] - 1;
}

static int64_t id_of(struct data *d, size_t id)
{
	(void)d;
	return (int64_t)id;
}

static int64_t allocs_of(struct data *d, size_t id)
{
	return (int64_t)d->snapshot->contexts[id].allocs;
}

static int64_t frees_of(struct data *d, size_t id)
{
	return (int64_t)d->snapshot->contexts[id].frees;
}

static int64_t allocated_of(struct data *d, size_t id)
{
	return (int64_t)d->snapshot->contexts[id].allocated_bytes;
}

static int64_t freed_of(struct data *d, size_t id)
{
	return (int64_t)d->snapshot->contexts[id].freed_bytes;
}

static int64_t peak_of(struct data *d, size_t id)
{
	return (int64_t)d->snapshot->contexts[id].peak_bytes;
}

static int64_t first_of(struct data *d, size_t id)
{
	return html_ticks(d->snapshot, d->snapshot->contexts[id].first_time);
}

static int64_t last_of(struct data *d, size_t id)
{
	return html_ticks(d->snapshot, d->snapshot->contexts[id].last_time);
}

static int64_t verdict_of(struct data *d, size_t id)
{
	const struct verdict *v = verdicts_of(d->snapshot->verdicts, (uint32_t)id);

	return v ? (int64_t)v->word : -1;
}

/* (from a file that somebody else wrote it may be anything) */
static int64_t whole(double value)
{
	return isfinite(value) && fabs(value) < 9e15 ? (int64_t)value : 0;
}

static int64_t per_hour_of(struct data *d, size_t id)
{
	const struct verdict *v = verdicts_of(d->snapshot->verdicts, (uint32_t)id);

	return v ? whole(v->per_hour) : 0;
}

static int64_t evidence_of(struct data *d, size_t id)
{
	const struct verdict *v = verdicts_of(d->snapshot->verdicts, (uint32_t)id);
	char *text = NULL;
	size_t len = 0;
	FILE *side = v ? open_memstream(&text, &len) : NULL;
	uint32_t number;

	if (side)
		evidence_print(side, v);
	d->failed |= side ? fclose(side) != 0 : v != NULL;
	number = text_number(d, text ? text : "");
	free(text);
	return number;
}

static const struct {
	const char *name;
	column_fn *value;
} columns[] = {
	{"id", id_of},		     {"node", node_of},	      {"allocs", allocs_of},
	{"frees", frees_of},	     {"allocated", allocated_of}, {"freed", freed_of},
	{"peak", peak_of},	     {"first", first_of},     {"last", last_of},
	{"verdict", verdict_of},     {"per_hour", per_hour_of}, {"evidence", evidence_of},
};

static int write_contexts(struct data *d, struct err *err)
{
	uint32_t count = d->snapshot->context_count;

	fputs(",\n\"contexts\":{", d->out);
	for (size_t k = 0; k < ARRAY_SIZE(columns); k++) {
		const char *comma = "";

		fprintf(d->out, "%s\"%s\":[", k ? ",\n" : "", columns[k].name);
		for (uint32_t id = 0; id < count; id++)
			if (is_in(d, id)) {
				fprintf(d->out, "%s%" PRId64, comma, columns[k].value(d, id));
				comma = ",";
			}
		putc(']', d->out);
		if (!progress_step(&d->exports->job->progress, "writing", k,
				   ARRAY_SIZE(columns)))
			return progress_cancelled(err);
	}
	putc('}', d->out);
	return 0;
}

static void write_ranked(struct data *d)
{
	const struct report_job *job = d->exports->job;

	fputs(",\n\"ranked\":[", d->out);
	for (size_t i = 0; i < job->count; i++)
		fprintf(d->out, "%s%" PRIu32, i ? "," : "", job->ids[i]);
	putc(']', d->out);
}

/* ---- all of it ----------------------------------------------------------------------- */

static void write_process(struct data *d)
{
	const struct snapshot *s = d->snapshot;
	const struct report_left_out *left_out = &d->exports->job->options->left_out;

	fprintf(d->out, "{\"version\":1,\n\"pid\":%d,\n\"started\":%lld,\n\"seconds\":%.2f", s->pid,
		(long long)s->started.tv_sec, report_seconds(s));
	fprintf(d->out,
		",\n\"left_out\":{\"contexts\":%" PRIu64 ",\"bytes\":%" PRIu64
		",\"blocks\":%" PRIu64 "}",
		left_out->contexts, left_out->bytes, left_out->blocks);
	if (report_peaks_are_seen(s))
		fputs(",\n\"peaks_seen\":1", d->out);
	fputs(",\n\"verdicts\":[", d->out);
	for (int word = 0; word < VERDICT_WORDS; word++)
		fprintf(d->out, "%s\"%s\"", word ? "," : "",
			verdict_name((enum verdict_word)word));
	fputs("],\n\"modules\":[", d->out);
	for (size_t i = 0; i < s->module_count; i++) {
		fputs(i ? ",\n" : "", d->out);
		html_data_string(d->out, s->modules[i].id.path ? s->modules[i].id.path : "");
	}
	putc(']', d->out);
}

static int write_all(struct data *d, const struct course *course, struct err *err)
{
	int failed;

	text_number(d, ""); /* 0 */
	number_nodes(d);
	write_process(d);
	write_frames(d);
	write_all_lines(d);
	write_nodes(d);
	failed = write_contexts(d, err);
	if (failed)
		return failed;
	write_ranked(d);
	failed = html_data_time(d->exports, course, d->out, err);
	if (failed)
		return failed;
	write_texts(d);
	fputs("}\n", d->out);
	return d->failed ? exports_no_memory(err) : report_check(d->out, err);
}

int html_data(const struct exports *exports, const struct course *course, FILE *out,
	      struct err *err)
{
	struct data d = {.exports = exports, .snapshot = exports->snapshot, .out = out};
	int failed;

	d.number = calloc(d.snapshot->node_count + WALK_ENDS, sizeof(*d.number));
	if (!d.number)
		return exports_no_memory(err);
	fputs("<script type=\"application/json\" id=\"data\">", out);
	failed = write_all(&d, course, err);
	fputs("</script>\n", out);
	texts_deinit(&d.texts);
	free(d.number);
	return failed;
}
