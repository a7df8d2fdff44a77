/*
 * Looks for leaks in a session: the console's commands, and the one of --leaks, whose findings are
 * in the final report.  Each takes a picture of its own, as what it says is of now; what `leaks`
 * found is in the reports behind it, too, which say when that was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/session_parts.h"
#include "report/head.h"

enum { PATHS = 10, PICTURES = 3 };

static struct leak_scan_options options_of(struct session *s, bool quiet)
{
	return (struct leak_scan_options){
		.capture = s->capture,
		.detacher = &s->detacher,
		.output = &s->output,
		.max_pause_ms = s->options->max_pause_ms,
		.memory_limit = s->options->memory,
		.link = &s->reporter.link,
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
	rc = leak_scan_lost(&scan, lost, err);
	leak_scan_end(&scan, NULL);
	if (!rc)
		session_wait(s, confirm_ms);
	return rc;
}

static int find_once(struct session *s, uint64_t confirm_ms, bool at_end, size_t count,
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

/* (memtrace-fs says only then that an allocation was half done) */
static int find(struct session *s, uint64_t confirm_ms, bool at_end, size_t count,
		struct findings **ret, struct snapshot **snapshot, struct err *err)
{
	int rc = -EAGAIN;

	for (int i = 0; rc == -EAGAIN && i < (at_end ? 1 : PICTURES); i++)
		rc = find_once(s, confirm_ms, at_end, count, ret, snapshot, err);
	return rc;
}

void session_keep_look(struct session *s, struct findings *findings)
{
	findings_destroy(s->seen);
	s->seen = findings;
	s->reporter.findings = findings;
	if (findings)
		findings_shorten(findings, s->options->count);
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
	how.findings_earlier = false;
	how.leaks_only = true;
	rc = reporter_write(&s->reporter, snapshot, &how, err);
	snapshot_destroy(snapshot);
	session_keep_look(s, findings);
	return rc;
}

/* ---- blocks, and all of the heap -------------------------------------------------- */

/* When a block that was seen to be allocated was. */
static void print_age(FILE *out, const struct look *look, taddr_t addr)
{
	uint32_t now = look->snapshot->ticks_now;

	for (size_t i = 0; i < look->live.len; i++) {
		const struct region_block *block = &look->live.at[i];

		if (block->addr != addr)
			continue;
		fprintf(out, "    allocated %.2f s ago, %" PRIu64 " bytes\n",
			block->time < now ? (now - block->time) / 100.0 : 0,
			(uint64_t)block->size);
	}
}

/* The call stack that an answer leads to. */
static int show_found(struct session *s, struct leak_scan *scan,
		      const struct command_call *call, const struct inquiry_found *found,
		      struct err *err)
{
	struct report_options how = call->report;

	if (!found->context)
		return 0;
	if (call->id == COMMAND_HEAP)
		fputs("\nMost is pinned by\n\n", s->output.out);
	else
		print_age(s->output.out, scan->look, found->address);
	how.context = found->context;
	return reporter_write(&s->reporter, scan->look->snapshot, &how, err);
}

int session_look(struct session *s, const struct command_call *call, struct err *err)
{
	struct leak_scan_options options = options_of(s, false);
	struct inquiry inquiry = {.kind = call->id == COMMAND_WHY     ? QUESTION_WHY
					  : call->id == COMMAND_WHO   ? QUESTION_WHO
					  : call->id == COMMAND_BLOCK ? QUESTION_BLOCK
								      : QUESTION_HEAP,
				  .address = call->address,
				  .context = call->report.context,
				  .rows = call->report.count};
	struct inquiry_found found;
	struct leak_scan scan;
	int rc;

	if (call->id == COMMAND_LEAKS)
		return leaks(s, call, err);
	options.survey = call->id == COMMAND_HEAP;
	rc = leak_scan_begin(&scan, &options, err);
	if (rc)
		return rc;
	inquiry.other = head_known_other(scan.look->snapshot);
	rc = leak_scan_inquire(&scan, &inquiry, s->output.out, &found, err);
	if (!rc)
		rc = show_found(s, &scan, call, &found, err);
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
