/*
 * Call stacks on their way into other people's formats.  None of these has a place for "the
 * stack ends here because ...": a frame that says it stands there instead, as in collapsed
 * stacks.
 */
#include "report/export/stacks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/sampling.h"
#include "report/utf8.h"

int exports_begin(struct report_job *job, struct exports *ret, struct err *err)
{
	const struct snapshot *s = job->snapshot;
	struct names *names;
	int failed = names_create(s, job->resolver, job->symbols, NULL, s->context_count,
				  &job->progress, &names, err);

	if (!failed)
		*ret = (struct exports){job, s, names, names_values(names)};
	return failed;
}

void exports_end(struct exports *exports)
{
	names_destroy(exports->names);
}

int exports_no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory for the report");
}

bool exports_stack(const struct exports *exports, uint32_t id, struct export_stack *ret)
{
	const struct region_context *c = &exports->snapshot->contexts[id];
	enum walk_end end;

	if (!c->allocs)
		return false;
	ret->counters = *c;
	ret->bytes = report_in_use_bytes(c);
	ret->blocks = report_in_use_blocks(c);
	ret->count = snapshot_stack(exports->snapshot, id, ret->frames, ARRAY_SIZE(ret->frames),
				    &end);
	ret->cut[0] = '\0';
	if (end != WALK_ROOT || !ret->count)
		snprintf(ret->cut, sizeof(ret->cut), "[%s cut: %.14s]",
			 sampling_estimates(exports->snapshot) ? "estimates; stack" : "stack",
			 json_word_of(end));
	else if (sampling_estimates(exports->snapshot))
		snprintf(ret->cut, sizeof(ret->cut), "[estimates]");
	return true;
}

/* Of what an earlier -n left out, what is in use is known, and nothing else. */
static void left_out_stack(const struct report_left_out *left_out, struct export_stack *ret)
{
	*ret = (struct export_stack){
		.counters = {.allocs = left_out->blocks,
			     .allocated_bytes = left_out->bytes,
			     .peak_bytes = left_out->bytes},
		.bytes = left_out->bytes,
		.blocks = left_out->blocks,
		.cut = EXPORTS_LEFT_OUT,
	};
}

int exports_for_each(const struct exports *exports, export_stack_fn *each, void *arg, FILE *out,
		     struct err *err)
{
	const struct report_left_out *left_out = &exports->job->options->left_out;
	uint32_t count = exports->snapshot->context_count;
	struct export_stack stack;

	for (uint32_t id = 0; id < count; id++) {
		if (exports_stack(exports, id, &stack) && !each(arg, &stack))
			return exports_no_memory(err);
		if (!progress_step(&exports->job->progress, "writing", id, count))
			return progress_cancelled(err);
		if (out && ferror(out))
			return report_check(out, err);
	}
	if (!left_out->blocks)
		return 0;
	left_out_stack(left_out, &stack);
	return each(arg, &stack) ? 0 : exports_no_memory(err);
}

const struct named_frame *exports_frame(const struct exports *exports, frame_t frame)
{
	return names_find(exports->names, frame);
}

uint64_t exports_pc(const struct exports *exports, frame_t frame)
{
	const struct snapshot_module *module =
		snapshot_module(exports->snapshot, frame_instance(frame));

	return (module ? module->bias : 0) + frame_lookup_offset(frame);
}

char *exports_label(const struct names_line *l)
{
	const char *guess = !l->name.inlined && (l->frame & FRAME_GUESS) ? " (guessed)" : "";
	const char *module = l->module && l->module->id.path ? module_id_name(&l->module->id)
							     : "[no module]";
	char *label = NULL;
	int len = l->name.function && *l->name.function
			  ? asprintf(&label, "%s%s", l->name.function, guess)
			  : asprintf(&label, "%s+0x%" PRIx64 "%s", module,
				     frame_offset(l->frame), guess);

	return len < 0 ? NULL : label;
}

char *exports_place(const struct exports *exports, const struct names_line *l)
{
	uint64_t pc = exports_pc(exports, l->frame);
	char *label = exports_label(l), *place = NULL;
	int len = -1;

	if (label && l->name.file)
		len = asprintf(&place, "0x%" PRIX64 ": %s (%s:%" PRIu32 ")", pc, label,
			       l->name.file, l->name.line);
	else if (label)
		len = asprintf(&place, "0x%" PRIX64 ": %s (in %s)", pc, label,
			       l->module && l->module->id.path ? l->module->id.path
							       : "no module");
	free(label);
	return len < 0 ? NULL : place;
}

size_t exports_skipped(const struct exports *exports, const struct export_stack *stack)
{
	for (size_t i = 0; i < stack->count; i++) {
		const struct named_frame *named = exports_frame(exports, stack->frames[i]);

		if (names_count_folded(exports->names, named) < named->count)
			return i;
	}
	return 0;
}

static char but_not(const char *at, const void *arg)
{
	const char *exchange = arg;

	return *at == exchange[0] ? exchange[1] : *at;
}

void exports_print(FILE *out, const char *text, char not, char but)
{
	const char exchange[] = {not, but};

	utf8_print_as(out, text, but_not, exchange);
}
