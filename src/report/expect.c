/*
 *   call stacks in use, or grown --> not suppressed --> their sum, or the largest --> each
 * expectation
 */
#include "report/expect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/quantity.h"
#include "heap/verdicts.h"
#include "report/job.h"
#include "report/start_up.h"

enum what { WHAT_USED, WHAT_BLOCKS, WHAT_GROWTH, WHAT_VERDICT };

static const char *const words[] = {
	[WHAT_USED] = "used", [WHAT_BLOCKS] = "blocks", [WHAT_GROWTH] = "growth",
	[WHAT_VERDICT] = "verdict"};

/* By of_context and what. */
static const struct {
	const char *name, *text;
} kinds[] = {
	{"used", "More bytes are in use than may be"},
	{"blocks", "More blocks are in use than may be"},
	{"growth", "Memory in use grows by more bytes an hour than it may"},
	{"verdict", "The verdict on the process is one that it may not be"},
	{"context:used", "A call stack has more bytes in use than it may"},
	{"context:blocks", "A call stack has more blocks in use than it may"},
	{"context:growth", "Memory of a call stack grows by more bytes an hour than it may"},
	{"context:verdict", "The verdict on a call stack is one that it may not be"},
};

struct sum {
	uint64_t bytes, blocks;
};

/* What counts, beside the contexts of the results, and what does not. */
struct counted {
	struct expect_results *results;
	struct sum suppressed, known;
};

const char *expect_kind(unsigned i)
{
	return i < ARRAY_SIZE(kinds) ? kinds[i].name : NULL;
}

const char *expect_kind_text(unsigned i)
{
	return i < ARRAY_SIZE(kinds) ? kinds[i].text : NULL;
}

unsigned expect_kind_of(const struct expectation *e)
{
	return e->what + (e->of_context ? (unsigned)ARRAY_SIZE(words) : 0);
}

const char *expect_unit(const struct expectation *e, uint64_t amount)
{
	static const char *const units[][2] = {
		[WHAT_USED] = {"bytes", "byte"},
		[WHAT_BLOCKS] = {"blocks", "block"},
		[WHAT_GROWTH] = {"bytes an hour", "byte an hour"},
		[WHAT_VERDICT] = {"call stacks", "call stack"},
	};

	return units[e->what][amount == 1];
}

uint64_t expect_amount(const struct expect_results *results, const struct expectation *e,
		      const struct expect_context *context)
{
	if (e->what == WHAT_BLOCKS)
		return context->blocks;
	if (e->what == WHAT_VERDICT)
		return context->word == e->word;
	if (e->what == WHAT_GROWTH && results->seconds > 0)
		return (uint64_t)((double)context->bytes * 3600 / results->seconds);
	if (e->what == WHAT_GROWTH)
		return (uint64_t)context->per_hour;
	return context->bytes;
}

/* verdict, verdict=WORD */
static int parse_verdict(const char *word, struct expectation *ret, struct err *err)
{
	ret->word = *word ? verdict_of_name(word + 1) : VERDICT_LEAKS;
	if (ret->word != VERDICT_WORDS)
		return 0;
	return err_set(err, -EINVAL,
		       "--fail-on: '%.60s' has no verdict: leaks, grows, fragmentation?, "
		       "levelling off, cache, steady, too early",
		       ret->text);
}

int expect_parse(const char *text, struct expectation *ret, struct err *err)
{
	static const char context[] = "context:";
	bool of_context = !strncmp(text, context, sizeof(context) - 1);
	const char *word = text + (of_context ? sizeof(context) - 1 : 0);
	size_t len = strcspn(word, ">=");

	*ret = (struct expectation){.text = text, .of_context = of_context};
	for (; ret->what < ARRAY_SIZE(words); ret->what++)
		if (strlen(words[ret->what]) == len && !strncmp(word, words[ret->what], len))
			break;
	if (ret->what == WHAT_VERDICT && word[len] != '>')
		return parse_verdict(word + len, ret, err);
	if (ret->what >= WHAT_VERDICT || word[len] == '=')
		return err_set(err, -EINVAL,
			       "--fail-on: '%.60s' is not one of: used, blocks, growth, with "
			       ">LIMIT behind it, or verdict, with =WORD; and context: before "
			       "it",
			       text);
	if (!strcmp(word + len, ">0"))
		return 0;
	return word[len] ? quantity_size(word + len + 1, "--fail-on", &ret->limit, err) : 0;
}

/* ---- what counts --------------------------------------------------------------------- */

/* False: no memory. */
static bool count(const struct expect_capture *capture, uint32_t id, uint64_t bytes,
		  uint64_t blocks, struct counted *c)
{
	const struct verdict *v = verdicts_of(capture->snapshot->verdicts, id);
	struct suppress_pattern *pattern;
	struct sum *sum;

	if (!suppress_find(capture->suppressions, capture->snapshot, capture->names, id,
			   &pattern))
		return false;
	if (!pattern && start_up_is_constructed(capture->snapshot, id)) {
		c->known.bytes += bytes;
		c->known.blocks += blocks;
		return true;
	}
	if (!pattern)
		return vec_push(&c->results->contexts,
				((struct expect_context){
					id, bytes, blocks,
					v && v->word >= VERDICT_GROWS ? v->per_hour : 0,
					v ? v->word : VERDICT_WORDS}));
	pattern->contexts++;
	pattern->bytes += bytes;
	pattern->blocks += blocks;
	sum = pattern->is_known ? &c->known : &c->suppressed;
	sum->bytes += bytes;
	sum->blocks += blocks;
	return true;
}

static bool count_all(const struct expect_capture *capture, struct counted *c)
{
	const struct snapshot *s = capture->snapshot;
	const struct diff *diff = capture->diff;
	bool ok = true;

	for (size_t i = 0; diff && ok && i < diff->grown; i++) {
		const struct diff_context *d = &diff->at[i];

		ok = count(capture, d->id, d->bytes > 0 ? (uint64_t)d->bytes : 0,
			   d->blocks > 0 ? (uint64_t)d->blocks : 0, c);
	}
	for (uint32_t id = 0; !diff && ok && id < s->context_count; id++)
		if (report_in_use_blocks(&s->contexts[id]))
			ok = count(capture, id, report_in_use_bytes(&s->contexts[id]),
				   report_in_use_blocks(&s->contexts[id]), c);
	return ok;
}

/* ---- what is said -------------------------------------------------------------------- */

static void say(const struct expect_capture *capture, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct expect_capture *capture, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	capture->say(capture->say_arg, text);
}

static void say_sum(const struct expect_capture *capture, const char *what,
		    const struct sum *sum)
{
	if (sum->blocks || sum->bytes)
		say(capture, "%s: %" PRIu64 " byte%s in %" PRIu64 " block%s", what, sum->bytes,
		    sum->bytes == 1 ? "" : "s", sum->blocks, sum->blocks == 1 ? "" : "s");
}

static void say_patterns(const struct expect_capture *capture)
{
	for (size_t i = 0; i < capture->suppressions->patterns.len; i++) {
		const struct suppress_pattern *p = &capture->suppressions->patterns.at[i];

		if (p->is_broad)
			say(capture,
			    "suppression in line %u is too broad, and not used: %.200s",
			    p->line, p->text);
		else if (!p->is_known && !p->contexts)
			say(capture, "suppression in line %u fits nothing: %.200s", p->line,
			    p->text);
	}
}

/* The function at fault: the first that is no way into the allocator. */
static const char *function_of(const struct expect_capture *capture, uint32_t id)
{
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(capture->snapshot, id, frames, ARRAY_SIZE(frames), &end);

	for (size_t i = 0; i < count; i++) {
		const struct named_frame *named = names_find(capture->names, frames[i]);
		uint32_t folded = named ? names_count_folded(capture->names, named) : 0;

		if (named && folded < named->count &&
		    names_line(capture->names, named, folded).name.function)
			return names_line(capture->names, named, folded).name.function;
	}
	return "unknown";
}

/* What the verdict on the process adds to those on its contexts: that of its course, where none of
 * them has it. */
static uint64_t of_process(const struct expect_capture *capture,
			   const struct expect_results *results, const struct expectation *e,
			   const struct expect_context *all)
{
	const struct verdicts *v = capture->snapshot->verdicts;
	uint64_t value = expect_amount(results, e, all);

	if (value || !v || v->process.contexts || capture->diff)
		return value;
	if (e->what == WHAT_VERDICT)
		return v->process.word == e->word;
	if (e->what == WHAT_GROWTH && v->process.word == VERDICT_GROWS)
		return (uint64_t)v->process.per_hour;
	return value;
}

/* What all have together, or the one that has most. */
static void measure(const struct expect_capture *capture, const struct expect_results *results,
		    const struct expectation *e, struct expect_result *ret)
{
	struct expect_context all = {.word = VERDICT_WORDS};
	uint64_t most = 0;

	*ret = (struct expect_result){.expectation = e};
	for (size_t i = 0; i < results->contexts.len; i++) {
		const struct expect_context *one = &results->contexts.at[i];
		uint64_t value = expect_amount(results, e, one);

		all.bytes += one->bytes;
		all.blocks += one->blocks;
		all.per_hour += one->per_hour;
		if (one->word == e->word)
			all.word = e->word;
		if (value > most) {
			most = value;
			ret->context = one->id;
		}
	}
	ret->value = e->of_context ? most : of_process(capture, results, e, &all);
	ret->met = ret->value <= e->limit;
}

/* Whether anybody knows. */
static int check_known(const struct expect_capture *capture, const struct expect_results *results,
		       const struct expectation *e, struct err *err)
{
	const struct verdicts *v = capture->snapshot->verdicts;

	if (e->what == WHAT_VERDICT && !v)
		return err_set(err, -EINVAL, "--fail-on=%.60s: there are no verdicts", e->text);
	if (e->what != WHAT_GROWTH || results->seconds > 0)
		return 0;
	if (capture->diff)
		return err_set(err, -EINVAL,
			       "--fail-on=%.60s needs an earlier file of the same capture",
			       e->text);
	/* (a JSON report of an earlier memtrace says growth only in words) */
	if (!v || (v->process.said && v->process.word >= VERDICT_GROWS && v->process.per_hour <= 0))
		return err_set(err, -EINVAL,
			       "--fail-on=%.60s needs a snapshot, or an earlier file of the same "
			       "capture",
			       e->text);
	if (v->process.word == VERDICT_TOO_EARLY)
		say(capture, "--fail-on=%.60s: it is too early to tell", e->text);
	return 0;
}

static void say_verdict(const struct expect_capture *capture, const struct expectation *e,
			const struct expect_result *result)
{
	if (result->context)
		say(capture, "--fail-on=%.60s: #%" PRIu32 " %.200s: %s", e->text,
		    result->context, function_of(capture, result->context),
		    verdict_name(e->word));
	else
		say(capture, "--fail-on=%.60s: the process: %s", e->text, verdict_name(e->word));
}

static int check_one(const struct expect_capture *capture, const struct expect_results *results,
		     const struct expectation *e, struct expect_result *ret, struct err *err)
{
	int failed = check_known(capture, results, e, err);

	if (failed)
		return failed;
	measure(capture, results, e, ret);
	if (ret->met)
		return 0;
	if (e->what == WHAT_VERDICT)
		say_verdict(capture, e, ret);
	else if (e->of_context)
		say(capture, "--fail-on=%.60s: #%" PRIu32 " %.200s: %" PRIu64 " %s", e->text,
		    ret->context, function_of(capture, ret->context), ret->value,
		    expect_unit(e, ret->value));
	else
		say(capture, "--fail-on=%.60s: %" PRIu64 " %s", e->text, ret->value,
		    expect_unit(e, ret->value));
	return 0;
}

int expect_evaluate(const struct expect_capture *capture, const struct expectation *expectations,
		    size_t count, struct expect_results *ret, struct err *err)
{
	struct counted counted = {.results = ret};
	const struct diff *diff = capture->diff;
	int e = 0;

	*ret = (struct expect_results){.seconds = diff && !diff->apart ? diff->seconds : 0};
	ret->at = calloc(count + 1, sizeof(*ret->at));
	if (!ret->at || !count_all(capture, &counted)) {
		expect_results_deinit(ret);
		return err_set(err, -ENOMEM, "out of memory for what is expected");
	}
	say_sum(capture, "not counted, of starting up", &counted.known);
	say_sum(capture, "not counted, suppressed", &counted.suppressed);
	say_patterns(capture);
	for (size_t i = 0; i < count && !e; i++) {
		e = check_one(capture, ret, &expectations[i], &ret->at[i], err);
		ret->failed += !e && !ret->at[i].met;
	}
	ret->count = count;
	if (e)
		expect_results_deinit(ret);
	return e;
}

void expect_results_deinit(struct expect_results *results)
{
	free(results->at);
	vec_deinit(&results->contexts);
	*results = (struct expect_results){0};
}
