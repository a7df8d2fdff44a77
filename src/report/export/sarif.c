/*
 * Expectations that are not met as SARIF 2.1.0 (OASIS), which code hosts show beside the lines of
 * a source file: a result for each call stack beyond its limit, where it allocates, with all of
 * the stack; of the process one, where the most of it is allocated.
 *
 *   {"version", "runs": [{"tool": {"driver": {"name", "rules"}}, "results":
 *      [{"ruleId", "level", "message": {"text"}, "locations", "stacks": [{"frames"}]}]}]}
 *
 * Files are as the debug information has them, or from the directory that --strip-prefix names: a
 * path from the root becomes a file: URI, any other one a relative reference.  Where none is known the place is the module.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/export/failures.h"
#include "report/export/viewers.h"

enum { SHOWN = 1000 }; /* results of one expectation, the worst first */

struct sarif {
	struct exports exports;
	const struct expect_results *results;
	FILE *out;
	bool first; /* no result yet */
};

/* The file from the directory that is stripped; or as it is. */
static const char *relative(const struct sarif *s, const char *path)
{
	const char *prefix = s->exports.job->options->strip_prefix;
	size_t len = prefix ? strlen(prefix) : 0;

	while (len && prefix[len - 1] == '/')
		len--;
	if (!len || strncmp(path, prefix, len) || path[len] != '/')
		return path;
	path += len;
	return path + strspn(path, "/");
}

/* RFC 3986: what is neither unreserved nor a slash is encoded. */
static void print_uri(FILE *out, const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~/";

	fprintf(out, "\"%s", *path == '/' ? "file://" : "");
	for (; *path; path++)
		if (strchr(plain, *path))
			putc(*path, out);
		else
			fprintf(out, "%%%02X", (uint8_t)*path);
	putc('"', out);
}

/* A location object (3.28): "physicalLocation" where a file is known, and the function. */
static void print_location(const struct sarif *s, const struct failure_line *l)
{
	FILE *out = s->out;
	const struct frame_line *name = &l->line.name;
	const char *module = l->line.module ? l->line.module->id.path : NULL;
	const char *file = name->file && *name->file ? name->file : module;

	putc('{', out);
	if (file) {
		fputs("\"physicalLocation\":{\"artifactLocation\":{\"uri\":", out);
		print_uri(out, relative(s, file));
		putc('}', out);
		if (file == name->file && name->line)
			fprintf(out, ",\"region\":{\"startLine\":%" PRIu32 "}", name->line);
		fputs("},", out);
	}
	fputs("\"logicalLocations\":[{\"fullyQualifiedName\":", out);
	json_string(out, l->label);
	fputs(",\"kind\":\"function\"}]}", out);
}

static void print_stack(const struct sarif *s, const struct failure_stack *stack)
{
	FILE *out = s->out;

	fputs(",\"stacks\":[{\"frames\":[", out);
	for (size_t i = 0; i < stack->lines.len; i++) {
		fputs(i ? ",\n{\"location\":" : "{\"location\":", out);
		print_location(s, &stack->lines.at[i]);
		putc('}', out);
	}
	if (stack->cut[0])
		fprintf(out, "%s{\"location\":{\"message\":{\"text\":\"%s\"}}}",
			stack->lines.len ? ",\n" : "", stack->cut);
	fputs("]}]", out);
}

static void print_message(struct sarif *s, const struct expect_result *r,
			  const struct expect_context *context, const char *function)
{
	const struct expectation *e = r->expectation;
	uint64_t amount = expect_amount(s->results, e, context);
	char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);

	if (side && e->of_context)
		fprintf(side, "%s: %" PRIu64 " %s (%s)", function, amount, expect_unit(e, amount),
			e->text);
	else if (side)
		fprintf(side, "%" PRIu64 " %s (%s); the most is of %s: %" PRIu64, r->value,
			expect_unit(e, r->value), e->text, function, amount);
	if (side)
		fclose(side);
	fputs("\"message\":{\"text\":", s->out);
	json_string(s->out, text ? text : e->text);
	putc('}', s->out);
	free(text);
}

static bool print_result(struct sarif *s, const struct expect_result *r,
			 const struct expect_context *context)
{
	unsigned kind = expect_kind_of(r->expectation);
	struct failure_stack stack;
	bool ok = failure_stack(&s->exports, context->id, &stack);

	if (ok) {
		fprintf(s->out, "%s{\"ruleId\":\"%s\",\"ruleIndex\":%u,\"level\":\"error\",",
			s->first ? "" : ",\n", expect_kind(kind), kind);
		print_message(s, r, context, failure_function(&stack));
		if (stack.lines.len) {
			fputs(",\n\"locations\":[", s->out);
			print_location(s, &stack.lines.at[stack.fault]);
			putc(']', s->out);
		}
		print_stack(s, &stack);
		putc('}', s->out);
		s->first = false;
	}
	failure_stack_deinit(&stack);
	return ok;
}

static bool print_results(struct sarif *s, const struct expect_result *r)
{
	size_t most = r->expectation->of_context ? SHOWN : 1;
	struct expect_context *contexts;
	size_t count;
	bool ok = failures_of(s->results, r, &contexts, &count);

	if (!ok)
		return false;
	for (size_t i = 0; ok && i < count && i < most; i++)
		ok = print_result(s, r, &contexts[i]);
	free(contexts);
	return ok;
}

static bool print_all(struct sarif *s, const char *version)
{
	bool ok = true;

	fputs("{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\","
	      "\"version\":\"2.1.0\",\n\"runs\":[{\"tool\":{\"driver\":{\"name\":\"memtrace\","
	      "\"version\":",
	      s->out);
	json_string(s->out, version ? version : "");
	fputs(",\n\"rules\":[", s->out);
	for (unsigned i = 0; expect_kind(i); i++)
		fprintf(s->out, "%s{\"id\":\"%s\",\"shortDescription\":{\"text\":\"%s\"}}",
			i ? ",\n" : "", expect_kind(i), expect_kind_text(i));
	fputs("]}},\n\"results\":[", s->out);
	s->first = true;
	for (size_t i = 0; ok && i < s->results->count; i++)
		if (!s->results->at[i].met)
			ok = print_results(s, &s->results->at[i]);
	fputs("]}]}\n", s->out);
	return ok;
}

int sarif_write(struct report_job *job, FILE *out, struct err *err)
{
	struct sarif s = {.out = out, .results = job->options->results};
	int failed;

	if (!s.results)
		return err_set(err, -EINVAL, "sarif has expectations, and there are none");
	failed = exports_begin(job, &s.exports, err);
	if (failed)
		return failed;
	failed = print_all(&s, job->options->version) ? report_check(out, err)
						      : exports_no_memory(err);
	exports_end(&s.exports);
	return failed;
}
