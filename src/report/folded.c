/*
 * Collapsed stacks, as flamegraph.pl, speedscope and others read them: a line for each call
 * stack that has blocks in use, outermost function first, and its bytes in use.
 *
 *     __libc_start_call_main;main;multimalloc;malloc 265
 *     [stack cut: depth];main;parse;malloc 150
 *
 * The form has no escapes, and what has a meaning in it may be in a name: a semicolon becomes a
 * colon, what is no character to be seen \xNN, and a blank before a number at the end of a name
 * an underscore (flamegraph.pl takes two numbers at a line's end for a difference of two
 * profiles).  A name that begins with # would be a comment if it came first, and gets a
 * backslash.
 *
 * The values add up to what is in use, so every call stack is there, whatever -n says; what an
 * earlier -n left out is a line of its own.
 */
#include <inttypes.h>
#include <string.h>

#include "report/named.h"
#include "report/sampling.h"
#include "report/utf8.h"

static bool is_number(const char *s)
{
	return *s && s[strspn(s, "0123456789.")] == '\0';
}

/* Part of one name, so that it stays one. */
static char in_a_name(const char *at, const void *arg)
{
	(void)arg;
	return *at == ';' ? ':' : *at == ' ' && is_number(at + 1) ? '_' : *at;
}

/* One function of a stack, behind the semicolon that parts it from its caller. */
static void render(FILE *out, const struct names_line *l, const struct report_options *options)
{
	bool known = l->name.function && *l->name.function;
	const char *name = l->name.function;
	const struct module_id *id = l->module && l->module->id.path ? &l->module->id : NULL;

	(void)options;
	putc(';', out);
	if (!known)
		name = id ? module_id_name(id) : "[no module]";
	if (*name == '#')
		putc('\\', out);
	utf8_print_as(out, name, in_a_name, NULL);
	if (!known)
		fprintf(out, "+0x%" PRIx64, frame_offset(l->frame));
	if (!l->name.inlined && (l->frame & FRAME_GUESS))
		fputs(" (guessed)", out);
}

/* All functions of a frame, those inlined last; the first of a line without its semicolon. */
static void print_frame(FILE *out, const struct named *named, frame_t frame, bool *first)
{
	const struct named_frame *found = names_find(named->names, frame);
	const char *text;
	size_t len;

	for (uint32_t i = found ? found->count : 0; i--;) {
		text = rendered_text(named->text, found->first + i, 1, &len);
		fwrite(text + *first, 1, len - *first, out);
		*first = false;
	}
}

static void print_context(FILE *out, const struct report_job *job, const struct named *named,
			  uint32_t id)
{
	uint64_t bytes = report_in_use_bytes(&job->snapshot->contexts[id]);
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	bool first = true;
	size_t count = snapshot_stack(job->snapshot, id, frames, ARRAY_SIZE(frames), &end);

	if (!bytes) /* --all; or blocks of no bytes */
		return;
	if (sampling_estimates(job->snapshot)) {
		fputs("[estimates]", out);
		first = false;
	}
	if (end != WALK_ROOT || !count) {
		fprintf(out, "%s[stack cut: %s]", first ? "" : ";", json_word_of(end));
		first = false;
	}
	while (count)
		print_frame(out, named, frames[--count], &first);
	fprintf(out, " %" PRIu64 "\n", bytes);
}

int folded_write(struct report_job *job, FILE *out, struct err *err)
{
	uint64_t left_out = job->options->left_out.bytes;
	struct named named;
	int failed;

	job->shown = job->count;
	failed = named_create(job, render, &named, err);
	if (failed)
		return failed;
	for (size_t i = 0; i < job->shown && !failed; i++) {
		print_context(out, job, &named, job->ids[i]);
		if (progress_step(&job->progress, "writing", i, job->shown))
			failed = report_check(out, err);
		else
			failed = progress_cancelled(err);
	}
	if (!failed && left_out)
		fprintf(out, "[left out of the report] %" PRIu64 "\n", left_out);
	if (!failed)
		failed = report_check(out, err);
	named_destroy(&named);
	return failed;
}
