/*
 * Looks for leaks in a session: the console's commands, and the one of --leaks, whose findings are
 * in the final report.  Each takes a picture of its own, as what it says is of now.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session_parts.h"
#include "report/head.h"
#include "report/heap_text.h"
#include "report/inspect.h"

enum { PATHS = 10 };

static struct leak_scan_options options_of(struct session *s, bool quiet)
{
	return (struct leak_scan_options){
		.capture = s->capture,
		.detacher = &s->detacher,
		.output = &s->output,
		.max_pause_ms = s->options->max_pause_ms,
		.memory_limit = s->options->memory,
		.quiet = quiet,
	};
}

/* ---- leaks ---------------------------------------------------------------- */

/* What is lost before `confirm_ms` of waiting; *snapshot (may be NULL): of the look. */
static int first_look(struct session *s, uint64_t confirm_ms, struct findings_addrs *lost,
		      struct err *err)
{
	const struct leak_scan_options options = options_of(s, false);
	struct leak_scan scan;
	int rc = leak_scan_begin(&scan, &options, err);

	if (rc)
		return rc;
	if (!findings_lost(scan.leak, lost))
		rc = err_set(err, -ENOMEM, "memory is short");
	leak_scan_end(&scan, NULL);
	if (!rc)
		session_wait(s, confirm_ms);
	return rc;
}

static int find(struct session *s, uint64_t confirm_ms, bool at_end, size_t count,
		struct findings **ret, struct snapshot **snapshot, struct err *err)
{
	struct leak_scan_options options = options_of(s, confirm_ms != 0);
	struct findings_addrs lost = {0};
	struct leak_scan scan;
	int rc = confirm_ms ? first_look(s, confirm_ms, &lost, err) : 0;

	options.at_end = at_end;
	if (!rc)
		rc = leak_scan_begin(&scan, &options, err);
	if (rc) {
		vec_deinit(&lost);
		return rc;
	}
	rc = leak_scan_find(&scan, count, count && count < PATHS ? count : PATHS,
		       confirm_ms ? &lost : NULL, ret, err);
	vec_deinit(&lost);
	if (!rc && snapshot) {
		*snapshot = scan.look->snapshot;
		scan.look->snapshot = NULL;
	}
	leak_scan_end(&scan, rc ? NULL : &(*ret)->pause_ns);
	return rc;
}

static int leaks(struct session *s, const struct command_call *call, struct err *err)
{
	struct report_options how = call->report;
	struct findings *findings;
	struct snapshot *snapshot;
	int rc = find(s, call->confirm_ms, false, call->report.count, &findings, &snapshot, err);

	if (rc)
		return rc;
	how.findings = findings;
	how.leaks_only = true;
	rc = reporter_write(&s->reporter, snapshot, &how, err);
	snapshot_destroy(snapshot);
	findings_destroy(findings);
	return rc;
}

/* ---- blocks ---------------------------------------------------------------- */

static int block_at(const struct leak_scan *scan, taddr_t addr, uint32_t *ret, struct err *err)
{
	*ret = leak_find(scan->leak, addr);
	return *ret != LEAK_NONE
		       ? 0
		       : err_set(err, -ENOENT, "0x%" PRIx64 " is in no block in use", addr);
}

struct of_context {
	uint32_t context;
	VEC(uint32_t) blocks;
};

static bool take_of(void *arg, uint32_t index, const struct leak_block *block)
{
	struct of_context *of = arg;

	return block->context != of->context || vec_push(&of->blocks, index);
}

static int why(struct session *s, struct leak_scan *scan, const struct command_call *call,
	       struct err *err)
{
	struct of_context of = {.context = call->report.context};
	uint32_t index;
	int rc = 0;

	if (call->address) {
		rc = block_at(scan, call->address, &index, err);
		if (!rc && !vec_push(&of.blocks, index))
			rc = err_set(err, -ENOMEM, "memory is short");
	}
	if (!rc && call->report.context && !leak_for_each_block(scan->leak, take_of, &of))
		rc = err_set(err, -ENOMEM, "memory is short");
	if (!rc && !of.blocks.len)
		rc = err_set(err, -ENOENT, "no block in use is of #%" PRIu32,
			     call->report.context);
	if (!rc)
		inspect_why(s->output.out, &scan->names, scan->leak, of.blocks.at,
			    of.blocks.len);
	vec_deinit(&of.blocks);
	return rc;
}

/* When a block that was seen to be allocated was. */
static void print_age(FILE *out, const struct look *look, taddr_t addr)
{
	uint32_t now = look->snapshot->ticks_now;

	for (size_t i = 0; i < look->live.len; i++) {
		const struct region_block *block = &look->live.at[i];

		if (block->addr != addr)
			continue;
		fprintf(out, "    allocated %.2f s ago, %" PRIu64 " bytes\n",
			block->time < now ? (now - block->time) / 100.0 : 0, block->size);
	}
}

/* With its call stack, where that is known. */
static int block(struct session *s, struct leak_scan *scan, const struct command_call *call,
		 struct err *err)
{
	const struct picture *picture = scan->look->picture;
	struct report_options how = call->report;
	struct leak_block block;
	uint32_t index;
	int rc = block_at(scan, call->address, &index, err);

	if (rc)
		return rc;
	inspect_block(s->output.out, &scan->look->picture->memory, picture->arch->word_size,
		      scan->leak, index);
	leak_block(scan->leak, index, &block);
	if (!block.context)
		return 0;
	print_age(s->output.out, scan->look, block.addr);
	how.context = block.context;
	return reporter_write(&s->reporter, scan->look->snapshot, &how, err);
}

static int who(struct session *s, struct leak_scan *scan, const struct command_call *call,
	       struct err *err)
{
	uint32_t index;
	int rc = block_at(scan, call->address, &index, err);

	if (!rc)
		inspect_who(s->output.out, &scan->names, scan->leak, call->address);
	return rc;
}

/* With the call stack whose blocks pin most, where that is known. */
static int heap(struct session *s, struct leak_scan *scan, const struct command_call *call,
		struct err *err)
{
	const struct look *look = scan->look;
	const struct picture *picture = look->picture;
	const struct survey_input input = {
		.leak = scan->leak,
		.maps = &picture->maps,
		.modules = &scan->modules,
		.uses = picture->look.uses.at,
		.use_count = picture->look.uses.len,
		.threads = scan->threads,
		.thread_count = picture->threads.len,
		.mapped = look->snapshot->mappings,
		.mapped_count = look->snapshot->mapping_count,
	};
	struct report_options how = call->report;
	struct survey survey;
	int rc = 0;

	if (!survey_make(&input, &survey))
		rc = err_set(err, -ENOMEM, "memory is short");
	else
		heap_text(s->output.out, &scan->names, &survey, scan->leak,
			  head_known_other(look->snapshot), s->options->count);
	if (!rc && survey.pins.len && survey.pins.at[0].context) {
		fputs("\nMost is pinned by\n\n", s->output.out);
		how.context = survey.pins.at[0].context;
		rc = reporter_write(&s->reporter, look->snapshot, &how, err);
	}
	survey_deinit(&survey);
	return rc;
}

int session_look(struct session *s, const struct command_call *call, struct err *err)
{
	struct leak_scan_options options = options_of(s, false);
	struct leak_scan scan;
	int rc;

	if (call->id == COMMAND_LEAKS)
		return leaks(s, call, err);
	options.survey = call->id == COMMAND_HEAP;
	rc = leak_scan_begin(&scan, &options, err);
	if (rc)
		return rc;
	if (call->id == COMMAND_WHY)
		rc = why(s, &scan, call, err);
	else if (call->id == COMMAND_WHO)
		rc = who(s, &scan, call, err);
	else if (call->id == COMMAND_BLOCK)
		rc = block(s, &scan, call, err);
	else
		rc = heap(s, &scan, call, err);
	leak_scan_end(&scan, NULL);
	return rc;
}

/* ---- the last one ------------------------------------------------------------ */

void session_look_last(struct session *s, bool exiting)
{
	struct err err;
	int rc = -ECANCELED;

	if (!s->options->leaks || s->looked) {
		if (exiting)
			capture_let_exit(s->capture);
		return;
	}
	s->looked = true;
	detacher_output_begin(&s->detacher);
	rc = find(s, exiting ? 0 : s->options->confirm_ms, exiting, s->options->count,
		  &s->findings, NULL, &err);
	if (exiting)
		capture_let_exit(s->capture);
	if (detacher_output_end(&s->detacher) && rc)
		output_warn(&s->output, "the look for leaks was given up");
	else if (rc)
		output_warn(&s->output, "%s", err.text);
	s->failed |= rc != 0;
}
