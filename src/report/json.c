/*
 * The JSON form, doc/json.md: the same facts for programs.  Every frame is there (nothing is
 * folded, no name is cut), once and on a line of its own; a call stack, on one line and
 * without blanks, as there may be 100 000, has their numbers.
 * An address is a string: 64 bits are more than a JSON number carries.
 */
#include <inttypes.h>

#include "heap/verdicts.h"
#include "report/evidence.h"
#include "report/leaks.h"
#include "report/sampling.h"
#include "report/start_up.h"

static void print_build_id(FILE *out, const struct snapshot_module *m)
{
	char id[MODULE_ID_HEX];

	json_string(out, m && m->id.build_id_len ? report_build_id(m, id) : NULL);
}

/* ---- frames, and the call stacks that they are part of ---------------------- */

static int print_frames(FILE *out, struct report_job *job, const struct json_frames *frames,
			struct err *err)
{
	fputs("  \"frames\": [", out);
	for (uint32_t i = 0; i < frames->count; i++) {
		fputs(i ? ",\n" : "\n", out);
		json_frame(out, frames->names, frames->order[i], job->options);
		if (!progress_step(&job->progress, "writing frames", i, frames->count))
			return progress_cancelled(err);
	}
	fputs("],\n", out);
	return report_check(out, err);
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

/* "bytes_per_hour", and within what that is 95 times of 100; of what grows. */
static void print_rate(FILE *out, const struct verdict *v, const char *before, const char *blank)
{
	if (v->word < VERDICT_GROWS || v->per_hour <= 0)
		return;
	fprintf(out, "%s\"bytes_per_hour\":%s%.0f%s\"bytes_per_hour_range\":%s[%.0f,%s%.0f]", before,
		blank, v->per_hour, before, blank, v->lowest, blank, v->highest);
}

/* "verdict", "evidence", and the rate; nothing where nobody knows. */
static void print_verdict(FILE *out, const struct verdict *v, const char *before,
			  const char *blank)
{
	if (!v)
		return;
	print_rate(out, v, before, blank);
	fprintf(out, "%s\"verdict\":%s\"%s\"%s\"evidence\":%s", before, blank,
		verdict_name(v->word), before, blank);
	if (v->said) {
		json_string(out, v->said);
		return;
	}
	putc('"', out);
	evidence_print(out, v);
	putc('"', out);
}

static void print_context(FILE *out, const struct report_job *job,
			  const struct json_frames *frames, uint32_t id)
{
	const struct region_context *c = &job->snapshot->contexts[id];

	fprintf(out,
		"    {\"id\":%" PRIu32 ",\"in_use_bytes\":%" PRIu64 ",\"in_use_blocks\":%" PRIu64
		",\"allocs\":%" PRIu64 ",\"frees\":%" PRIu64 ",\"allocated_bytes\":%" PRIu64
		",\"peak_bytes\":%" PRIu64,
		id, report_in_use_bytes(c), report_in_use_blocks(c), c->allocs, c->frees,
		c->allocated_bytes, c->peak_bytes);
	if (sampling_estimates(job->snapshot))
		fputs(",\"estimated\":true", out);
	if (start_up_has(job->start_up, id))
		fputs(",\"start_up\":true", out);
	if (job->options->findings)
		leaks_json_of_context(out, job->options, id);
	print_verdict(out, verdicts_of(job->snapshot->verdicts, id), ",", "");
	fputs(",\"first_time\":", out);
	print_ticks(out, job->snapshot, c, c->first_time);
	fputs(",\"last_time\":", out);
	print_ticks(out, job->snapshot, c, c->last_time);
	json_stack(out, job, frames, id);
}

static int print_contexts(FILE *out, struct report_job *job, const struct json_frames *frames,
			  struct err *err)
{
	int failed = 0;

	fputs("  \"contexts\": [", out);
	for (size_t i = 0; i < job->shown && !failed; i++) {
		fputs(i ? ",\n" : "\n", out);
		print_context(out, job, frames, job->ids[i]);
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
	fputs(",\n  \"allocator_bytes\": ", out);
	if (s->obtained_bytes)
		fprintf(out, "%" PRIu64, s->obtained_bytes);
	else
		fputs("null", out);
	if (s->own_heap_off)
		fputs(",\n  \"runtime_uses_malloc\": true", out);
	fputs(",\n  \"engine\": ", out);
	json_string(out, s->engine);
	if (s->engine_reason[0]) {
		fputs(",\n  \"engine_reason\": ", out);
		json_string(out, s->engine_reason);
	}
	if (s->inherited.parent)
		fprintf(out,
			",\n  \"inherited\": {\"parent\": %d, \"blocks\": %" PRIu64
			", \"bytes\": %" PRIu64 ", \"freed_blocks\": %" PRIu64
			", \"freed_bytes\": %" PRIu64 "}",
			s->inherited.parent, s->inherited.blocks, s->inherited.bytes,
			s->inherited.freed_blocks, s->inherited.freed_bytes);
	if (s->stopped_calls)
		fprintf(out, ",\n  \"stopped_calls\": %" PRIu64, s->stopped_calls);
	if (s->alone.ms)
		fprintf(out,
			",\n  \"alone\": {\"seconds\": %.2f, \"allocs\": %" PRIu64 ", \"bytes\": %" PRIu64
			", \"frees\": %" PRIu64 ", \"not_counted\": %" PRIu64 "}",
			(double)s->alone.ms / 1000, s->alone.allocs, s->alone.bytes, s->alone.frees,
			s->alone.unkept);
	sampling_json(out, s);
	print_verdict(out, s->verdicts ? &s->verdicts->process : NULL, ",\n  ", " ");
	fputs(",\n", out);
}

static void print_summary(FILE *out, const struct snapshot *s)
{
	const struct region_totals *t = &s->totals;

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
	fputs(sampling_estimates(s) ? ", \"estimated\": true},\n" : "},\n", out);
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

static void print_start_up(FILE *out, const struct start_up *start_up)
{
	if (start_up)
		fprintf(out,
			"  \"start_up\": {\"contexts\": %" PRIu64 ", \"in_use_bytes\": %" PRIu64
			", \"in_use_blocks\": %" PRIu64 "},\n",
			start_up->contexts, start_up->bytes, start_up->blocks);
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
		json_address(out, m->begin);
		fputs(", \"end\": ", out);
		json_address(out, m->end);
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
	struct json_frames frames;
	int failed;

	if (job->options->leaks_only) {
		fputs("{\"leaks\": ", out);
		leaks_json(out, job->options->findings);
		fprintf(out, ",\n  \"pid\": %d}\n", job->snapshot->pid);
		return report_check(out, err);
	}
	failed = json_frames_create(job, &frames, err);
	if (failed)
		return failed;
	print_head(out, job);
	print_summary(out, job->snapshot);
	not_followed_json(job->snapshot, out);
	left_behind_json(job->snapshot, out);
	failed = print_frames(out, job, &frames, err);
	if (!failed)
		failed = print_contexts(out, job, &frames, err);
	if (!failed) {
		print_left_out(out, job);
		print_start_up(out, job->start_up);
		mapped_json(out, job, &frames);
		if (job->options->findings) {
			fputs("  \"leaks\": ", out);
			leaks_json(out, job->options->findings);
			fputs(",\n", out);
		}
		print_threads(out, job->snapshot);
		print_modules(out, job, frames.names);
		failed = report_check(out, err);
	}
	json_frames_destroy(&frames);
	return failed;
}
