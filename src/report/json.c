/*
 * The JSON form, doc/json.md: the same facts for programs.  Every frame is there
 * (nothing is folded, no name is cut), one to a line, so that a diff of two reports
 * is readable.
 * An address is a string: 64 bits are more than a JSON number carries.
 */
#include <inttypes.h>

#include "heap/verdicts.h"
#include "report/evidence.h"
#include "report/leaks.h"
#include "report/fold.h"
#include "report/job.h"
#include "report/named.h"

static void print_address(FILE *out, uint64_t address)
{
	fprintf(out, "\"0x%" PRIx64 "\"", address);
}

static void print_build_id(FILE *out, const struct snapshot_module *m)
{
	char id[MODULE_ID_HEX];

	json_string(out, m && m->id.build_id_len ? report_build_id(m, id) : NULL);
}

/* ---- frames ----------------------------------------------------------------- */

/* {"pc", "module", "offset", "build_id", "function", "file", "line", "inlined"} */
void json_render(FILE *out, const struct names_line *l, const struct report_options *options)
{
	uint64_t offset = frame_offset(l->frame);

	fputs("      {\"pc\": ", out);
	print_address(out, l->module ? l->module->bias + offset : offset);
	fputs(", \"module\": ", out);
	json_string(out, l->module ? l->module->id.path : NULL);
	fputs(", \"offset\": ", out);
	if (l->module)
		print_address(out, offset);
	else
		fputs("null", out);
	fputs(", \"build_id\": ", out);
	print_build_id(out, l->module);
	fputs(", \"function\": ", out);
	json_string(out, l->name.function);
	fputs(", \"file\": ", out);
	json_string(out, l->name.file);
	if (l->name.line)
		fprintf(out, ", \"line\": %" PRIu32, l->name.line);
	else
		fputs(", \"line\": null", out);
	fprintf(out, ", \"inlined\": %s%s%s%s}", l->name.inlined ? "true" : "false",
		fold_is_allocator(l->name.function) ? ", \"allocator\": true" : "",
		l->frame & FRAME_GUESS ? ", \"guess\": true" : "",
		options->decodable && (l->frame & FRAME_EXACT) ? ", \"exact\": true" : "");
}

/* null: it has not allocated. */
static void print_ticks(FILE *out, const struct snapshot *s, const struct region_context *c,
			uint32_t ticks)
{
	if (c->allocs)
		json_ticks(out, s, ticks);
	else
		fputs("null", out);
}

/* "verdict", "evidence"; nothing where nobody knows. */
static void print_verdict(FILE *out, const struct verdict *v, const char *before)
{
	if (!v)
		return;
	fprintf(out, "%s\"verdict\": \"%s\"%s\"evidence\": ", before,
		verdict_name(v->word), before);
	if (v->said) {
		json_string(out, v->said);
		return;
	}
	putc('"', out);
	evidence_print(out, v);
	putc('"', out);
}

static void print_context(FILE *out, const struct report_job *job, const struct named *names,
			  uint32_t id)
{
	const struct region_context *c = &job->snapshot->contexts[id];

	fprintf(out,
		"    {\"id\": %" PRIu32 ", \"in_use_bytes\": %" PRIu64
		", \"in_use_blocks\": %" PRIu64 ", \"allocs\": %" PRIu64 ", \"frees\": %" PRIu64
		", \"allocated_bytes\": %" PRIu64 ", \"peak_bytes\": %" PRIu64,
		id, report_in_use_bytes(c), report_in_use_blocks(c), c->allocs, c->frees,
		c->allocated_bytes, c->peak_bytes);
	if (job->options->findings)
		leaks_json_of_context(out, job->options->findings, id);
	print_verdict(out, verdicts_of(job->snapshot->verdicts, id), ", ");
	fputs(", \"first_time\": ", out);
	print_ticks(out, job->snapshot, c, c->first_time);
	fputs(", \"last_time\": ", out);
	print_ticks(out, job->snapshot, c, c->last_time);
	json_stack(out, job, names, id);
}

static int print_contexts(FILE *out, struct report_job *job, const struct named *names,
			  struct err *err)
{
	int failed = 0;

	fputs("  \"contexts\": [", out);
	for (size_t i = 0; i < job->shown && !failed; i++) {
		fputs(i ? ",\n" : "\n", out);
		print_context(out, job, names, job->ids[i]);
		if (progress_step(&job->progress, "writing", i, job->shown))
			failed = report_check(out, err);
		else
			failed = progress_cancelled(err);
	}
	fputs("],\n", out);
	return failed;
}

/* ---- the rest --------------------------------------------------------------- */

static void print_head(FILE *out, const struct report_job *job)
{
	const struct snapshot *s = job->snapshot;

	fputs("{\n  \"memtrace\": ", out);
	json_string(out, job->options->version);
	fprintf(out, ",\n  \"version\": %d,\n  \"pid\": %d,\n  \"command\": [",
		REPORT_JSON_VERSION, s->pid);
	for (char **arg = s->command; arg && *arg; arg++) {
		if (arg != s->command)
			fputs(", ", out);
		json_string(out, *arg);
	}
	fputs("],\n  \"time\": ", out);
	json_time(out, &s->taken, false);
	fputs(",\n  \"started\": ", out);
	json_time(out, &s->started, true);
	fprintf(out, ",\n  \"duration\": %.2f,\n  \"running\": %s,\n  \"rss_bytes\": ",
		report_seconds(s), s->running ? "true" : "false");
	if (s->resident_bytes)
		fprintf(out, "%" PRIu64, s->resident_bytes);
	else
		fputs("null", out);
	fputs(",\n  \"rss_start_bytes\": ", out);
	if (s->resident_at_start)
		fprintf(out, "%" PRIu64, s->resident_at_start);
	else
		fputs("null", out);
	fputs(",\n  \"engine\": ", out);
	json_string(out, s->engine);
	if (s->stopped_calls)
		fprintf(out, ",\n  \"stopped_calls\": %" PRIu64, s->stopped_calls);
	print_verdict(out, s->verdicts ? &s->verdicts->process : NULL, ",\n  ");
	fputs(",\n", out);
}

static void print_summary(FILE *out, const struct region_totals *t)
{
	fprintf(out,
		"  \"summary\": {\"in_use_bytes\": %" PRIu64 ", \"in_use_blocks\": %" PRIu64
		", \"allocs\": %" PRIu64 ", \"frees\": %" PRIu64 ",\n"
		"    \"allocated_bytes\": %" PRIu64 ", \"freed_bytes\": %" PRIu64
		", \"peak_bytes\": %" PRIu64 ", \"frees_of_unknown\": %" PRIu64
		", \"lost_events\": %" PRIu64,
		t->allocated_bytes - t->freed_bytes, t->allocs - t->frees, t->allocs, t->frees,
		t->allocated_bytes, t->freed_bytes, t->peak_bytes, t->frees_of_unknown,
		t->lost_events);
	if (t->overflow_blocks)
		fprintf(out, ", \"overflow_blocks\": %" PRIu64, t->overflow_blocks);
	fputs("},\n", out);
}

/* On one line, as decode_layout.c writes what names are not put into; the same below. */
static void print_left_out(FILE *out, const struct report_job *job)
{
	const struct report_left_out sum = report_left_out(job);

	fprintf(out,
		"  \"left_out\": {\"contexts\": %" PRIu64 ", \"in_use_bytes\": %" PRIu64
		", \"in_use_blocks\": %" PRIu64 "},\n",
		sum.contexts, sum.bytes, sum.blocks);
}

static void print_threads(FILE *out, const struct snapshot *s)
{
	fputs("  \"threads\": [", out);
	for (size_t i = 0; i < s->thread_count; i++) {
		const struct snapshot_thread *t = &s->threads[i];

		fprintf(out, "%s{\"tid\": %d, \"name\": ", i ? ", " : "", t->tid);
		json_string(out, t->name);
		fputs(", \"state\": ", out);
		json_string(out, t->state);
		fprintf(out, ", \"allocs\": %" PRIu64 ", \"frees\": %" PRIu64 "}", t->allocs,
			t->frees);
	}
	fputs("],\n", out);
}

/* What a module without build-id is known by. */
static void print_identity(FILE *out, const struct snapshot_module *m)
{
	char hex[MODULE_ID_HEX];

	if (m->id.fingerprint_len)
		fprintf(out, ", \"fingerprint\": \"%s\"",
			module_id_hex(m->id.fingerprint, m->id.fingerprint_len, hex));
	if (!m->id.debuglink[0])
		return;
	fputs(", \"debuglink\": ", out);
	json_string(out, m->id.debuglink);
	fprintf(out, ", \"debuglink_crc\": %" PRIu32, m->id.debuglink_crc);
}

static void print_modules(FILE *out, const struct report_job *job, const struct names *names)
{
	const struct snapshot *s = job->snapshot;

	fputs("  \"modules\": [", out);
	for (size_t i = 0; i < s->module_count; i++) {
		const struct snapshot_module *m = &s->modules[i];

		fputs(i ? ",\n    {\"path\": " : "\n    {\"path\": ", out);
		json_string(out, m->id.path);
		fputs(", \"build_id\": ", out);
		print_build_id(out, m);
		fputs(", \"begin\": ", out);
		print_address(out, m->begin);
		fputs(", \"end\": ", out);
		print_address(out, m->end);
		fputs(", \"symbols_from\": ", out);
		json_string(out, names_source(names, (uint32_t)i + 1));
		fputs(", \"unwind_from\": ", out);
		json_string(out, m->unwind_from[0] ? m->unwind_from : NULL);
		if (job->options->decodable)
			print_identity(out, m);
		putc('}', out);
	}
	fputs("]\n}\n", out);
}

int json_write(struct report_job *job, FILE *out, struct err *err)
{
	struct named named;
	int failed = named_create(job, json_render, &named, err);

	if (failed)
		return failed;
	if (job->options->leaks_only) {
		leaks_json(out, job->options->findings);
		putc('\n', out);
		named_destroy(&named);
		return report_check(out, err);
	}
	print_head(out, job);
	print_summary(out, &job->snapshot->totals);
	not_followed_json(job->snapshot, out);
	left_behind_json(job->snapshot, out);
	failed = print_contexts(out, job, &named, err);
	if (!failed) {
		print_left_out(out, job);
		mapped_json(out, job, &named);
		if (job->options->findings) {
			fputs("  \"leaks\": ", out);
			leaks_json(out, job->options->findings);
			fputs(",\n", out);
		}
		print_threads(out, job->snapshot);
		print_modules(out, job, named.names);
		failed = report_check(out, err);
	}
	named_destroy(&named);
	return failed;
}
