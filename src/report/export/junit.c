/*
 * Expectations as JUnit's XML, which Jenkins, GitLab and others read: a test case each, and of
 * those that are not met the call stacks, the worst first.
 *
 *   <testsuites ...><testsuite ...>
 *     <testcase classname="memtrace.demo" name="context:used&gt;4K" time="0"/>
 *     <testcase ...><failure type="..." message="...">#12 parse_header: 81920 bytes ...
 *
 * There is no standard: these are the elements and attributes that the schema of Jenkins' xUnit
 * plugin (junit-10.xsd) and Ant's have in common.  XML 1.0 has no way to write a control character,
 * so these are \xNN, as in text.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/export/failures.h"
#include "report/export/viewers.h"
#include "report/utf8.h"

enum { SHOWN = 20 }; /* call stacks of one failure */

struct junit {
	struct exports exports;
	const struct expect_results *results;
	FILE *out;
};

/* Character data, or part of an attribute. */
static void print_xml(FILE *out, const char *text)
{
	char one[5];

	for (size_t len; *text; text += len) {
		uint32_t code = 0;

		len = utf8_next(text, &code);
		len = len ? len : 1;
		memcpy(one, text, len);
		one[len] = '\0';
		if (*one == '&')
			fputs("&amp;", out);
		else if (*one == '<')
			fputs("&lt;", out);
		else if (*one == '>')
			fputs("&gt;", out);
		else if (*one == '"')
			fputs("&quot;", out);
		else if (code == 0xfffe || code == 0xffff) /* XML 1.0, 2.2: no Char */
			fprintf(out, "\\u%x", code);
		else
			utf8_print(out, one);
	}
}

static void print_line(FILE *out, const struct failure_line *l)
{
	fputs("    ", out);
	print_xml(out, l->label);
	if (l->line.name.file) {
		fputs(" (", out);
		print_xml(out, l->line.name.file);
		fprintf(out, ":%" PRIu32 ")", l->line.name.line);
	} else if (l->line.module && l->line.module->id.path) {
		fputs(" (in ", out);
		print_xml(out, l->line.module->id.path);
		putc(')', out);
	}
	putc('\n', out);
}

static bool print_context(struct junit *j, const struct expectation *e,
			  const struct expect_context *context)
{
	uint64_t amount = expect_amount(j->results, e, context);
	struct failure_stack stack;
	bool ok = failure_stack(&j->exports, context->id, &stack);

	if (ok) {
		fprintf(j->out, "#%" PRIu32 " ", context->id);
		print_xml(j->out, failure_function(&stack));
		fprintf(j->out, ": %" PRIu64 " %s\n", amount, expect_unit(e, amount));
	}
	for (size_t i = stack.fault; ok && i < stack.lines.len; i++)
		print_line(j->out, &stack.lines.at[i]);
	if (ok && stack.cut[0])
		fprintf(j->out, "    %s\n", stack.cut);
	failure_stack_deinit(&stack);
	return ok;
}

static bool print_failure(struct junit *j, const struct expect_result *r)
{
	const struct expectation *e = r->expectation;
	struct expect_context *contexts;
	size_t count, shown;
	bool ok = failures_of(j->results, r, &contexts, &count);

	if (!ok)
		return false;
	fprintf(j->out, ">\n<failure type=\"%s\" message=\"%s", expect_kind(expect_kind_of(e)),
		e->of_context ? "a call stack has " : "");
	fprintf(j->out, "%" PRIu64 " %s\">", r->value, expect_unit(e, r->value));
	shown = count < SHOWN ? count : SHOWN;
	for (size_t i = 0; ok && i < shown; i++)
		ok = print_context(j, e, &contexts[i]);
	if (shown < count)
		fprintf(j->out, "and %zu call stack%s more\n", count - shown,
			count - shown == 1 ? "" : "s");
	fputs("</failure>\n</testcase>\n", j->out);
	free(contexts);
	return ok;
}

static bool print_case(struct junit *j, const struct expect_result *r)
{
	fputs("<testcase classname=\"memtrace.", j->out);
	print_xml(j->out, failure_program(j->exports.snapshot));
	fputs("\" name=\"", j->out);
	print_xml(j->out, r->expectation->text);
	fputs("\" time=\"0\"", j->out);
	if (!r->met)
		return print_failure(j, r);
	fputs("/>\n", j->out);
	return true;
}

static bool print_all(struct junit *j)
{
	const struct snapshot *s = j->exports.snapshot;
	const struct expect_results *results = j->results;
	struct tm tm = {0};
	char time[32];
	bool ok = true;

	gmtime_r(&s->taken.tv_sec, &tm);
	strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%S", &tm);
	fprintf(j->out,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<testsuites name=\"memtrace\" tests=\"%zu\" failures=\"%u\" errors=\"0\">\n"
		"<testsuite name=\"memtrace.",
		results->count, results->failed);
	print_xml(j->out, failure_program(s));
	fprintf(j->out,
		"\" tests=\"%zu\" failures=\"%u\" errors=\"0\" skipped=\"0\" timestamp=\"%s\" "
		"time=\"0\">\n",
		results->count, results->failed, time);
	for (size_t i = 0; ok && i < results->count; i++)
		ok = print_case(j, &results->at[i]);
	fputs("</testsuite>\n</testsuites>\n", j->out);
	return ok;
}

int junit_write(struct report_job *job, FILE *out, struct err *err)
{
	struct junit j = {.out = out, .results = job->options->results};
	int failed;

	if (!j.results)
		return err_set(err, -EINVAL, "junit has expectations, and there are none");
	failed = exports_begin(job, &j.exports, err);
	if (failed)
		return failed;
	failed = print_all(&j) ? report_check(out, err) : exports_no_memory(err);
	exports_end(&j.exports);
	return failed;
}
