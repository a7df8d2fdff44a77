/*
 *   call stacks in use, or grown --> not suppressed --> sums, and the largest --> each
 * expectation
 */
#include "report/expect.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/quantity.h"
#include "report/job.h"

enum what { WHAT_USED, WHAT_BLOCKS, WHAT_GROWTH };

static const char *const words[] = {
	[WHAT_USED] = "used", [WHAT_BLOCKS] = "blocks", [WHAT_GROWTH] = "growth"};

struct sum {
	uint64_t bytes, blocks;
};

/* What counts. */
struct counted {
	struct sum all;
	struct sum most;		  /* of any one call stack: each for itself */
	uint32_t most_bytes, most_blocks; /* whose */
	struct sum suppressed, known;
};

int expect_parse(const char *text, struct expectation *ret, struct err *err)
{
	static const char context[] = "context:";
	bool of_context = !strncmp(text, context, sizeof(context) - 1);
	const char *word = text + (of_context ? sizeof(context) - 1 : 0);
	size_t len = strcspn(word, ">");

	*ret = (struct expectation){.text = text, .of_context = of_context};
	for (; ret->what < ARRAY_SIZE(words); ret->what++)
		if (strlen(words[ret->what]) == len && !strncmp(word, words[ret->what], len))
			break;
	if (ret->what == ARRAY_SIZE(words))
		return err_set(err, -EINVAL,
			       "--fail-on: '%.60s' is not one of: used, blocks, growth; with "
			       ">LIMIT behind it, and context: before it",
			       text);
	if (!strcmp(word + len, ">0"))
		return 0;
	return word[len] ? quantity_size(word + len + 1, "--fail-on", &ret->limit, err) : 0;
}

/* ---- what counts --------------------------------------------------------------------- */

static void count_one(struct counted *c, uint32_t id, uint64_t bytes, uint64_t blocks)
{
	c->all.bytes += bytes;
	c->all.blocks += blocks;
	if (bytes > c->most.bytes) {
		c->most.bytes = bytes;
		c->most_bytes = id;
	}
	if (blocks > c->most.blocks) {
		c->most.blocks = blocks;
		c->most_blocks = id;
	}
}

/* False: no memory. */
static bool count(const struct expect_capture *capture, uint32_t id, uint64_t bytes,
		  uint64_t blocks, struct counted *c)
{
	struct suppress_pattern *pattern;
	struct sum *sum;

	if (!suppress_find(capture->suppressions, capture->snapshot, capture->names, id,
			   &pattern))
		return false;
	if (!pattern) {
		count_one(c, id, bytes, blocks);
		return true;
	}
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
	capture->say(text);
}

static void say_sum(const struct expect_capture *capture, const char *what,
		    const struct sum *sum)
{
	if (sum->blocks || sum->bytes)
		say(capture, "%s: %" PRIu64 " bytes in %" PRIu64 " blocks", what, sum->bytes,
		    sum->blocks);
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

static int check_one(const struct expect_capture *capture, const struct expectation *e,
		     const struct counted *c, bool *met, struct err *err)
{
	const struct sum *sum = e->of_context ? &c->most : &c->all;
	uint64_t value = e->what == WHAT_BLOCKS ? sum->blocks : sum->bytes;
	uint32_t id = e->what == WHAT_BLOCKS ? c->most_blocks : c->most_bytes;
	const char *unit = e->what == WHAT_BLOCKS ? "blocks" : "bytes";

	if (e->what == WHAT_GROWTH) {
		const struct diff *diff = capture->diff;

		if (!diff || diff->apart || diff->seconds <= 0)
			return err_set(err, -EINVAL,
				       "--fail-on=%.60s needs an earlier file of the same "
				       "capture",
				       e->text);
		value = (uint64_t)((double)value * 3600 / diff->seconds);
		unit = "bytes an hour";
	}
	*met = value <= e->limit;
	if (*met)
		return 0;
	if (e->of_context)
		say(capture, "--fail-on=%.60s: #%" PRIu32 " %.200s: %" PRIu64 " %s", e->text,
		    id, function_of(capture, id), value, unit);
	else
		say(capture, "--fail-on=%.60s: %" PRIu64 " %s", e->text, value, unit);
	return 0;
}

int expect_evaluate(const struct expect_capture *capture, const struct expectation *expectations,
		 size_t count, unsigned *failed, struct err *err)
{
	struct counted counted = {0};
	bool met = true;
	int e = 0;

	*failed = 0;
	if (!count_all(capture, &counted))
		return err_set(err, -ENOMEM, "out of memory for suppressions");
	say_sum(capture, "not counted, of starting up", &counted.known);
	say_sum(capture, "not counted, suppressed", &counted.suppressed);
	say_patterns(capture);
	for (size_t i = 0; i < count && !e; i++) {
		e = check_one(capture, &expectations[i], &counted, &met, err);
		*failed += !e && !met;
	}
	return e;
}
