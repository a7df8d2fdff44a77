/* A context's stack in text, and why it ends where it does. */
#include <inttypes.h>
#include <string.h>

#include "report/job.h"
#include "report/named.h"
#include "report/stack.h"
#include "report/utf8.h"

/* The last frame's module, as the words about a stack's end name it. */
static void print_last_module(FILE *out, const struct snapshot *s, const frame_t *frames,
			      size_t count)
{
	const struct snapshot_module *m =
		count ? snapshot_module(s, frame_instance(frames[count - 1])) : NULL;

	utf8_print(out, m && m->id.path ? module_id_name(&m->id) : "the last frame");
}

/* A module that has unwind data says nothing of this function, so its debug package won't. */
static void print_no_data(FILE *out, const struct snapshot *s, const frame_t *frames, size_t count)
{
	const struct snapshot_module *m =
		count ? snapshot_module(s, frame_instance(frames[count - 1])) : NULL;
	bool has_some = m && strstr(m->unwind_from, "_frame");

	fputs(has_some ? "no unwind data for this function of " : "no unwind data in ", out);
	print_last_module(out, s, frames, count);
	if (!has_some)
		fputs(": install its debug package or give --debug-dir", out);
}

/* Why the stack ends where it does, and what to do about it. */
static void print_end(FILE *out, const struct report_job *job, const frame_t *frames,
		      size_t count, enum walk_end end)
{
	size_t depth = job->options->depth ? job->options->depth : count;

	if (end == WALK_ROOT)
		return;
	fputs("    ... ", out);
	switch (end) {
	case WALK_DEPTH:
		fprintf(out, "stack cut: deeper than %zu frames (%s)", depth,
			depth < REPORT_MAX_FRAMES ? "-s N keeps more" : "the maximum");
		break;
	case WALK_NO_DATA:
		print_no_data(out, job->snapshot, frames, count);
		break;
	case WALK_NO_MODULE:
		fputs("stack ends in generated code, which has no unwind data", out);
		break;
	case WALK_UNREADABLE:
		fputs("stack ends here: the memory beyond can't be read", out);
		break;
	case WALK_LOOP:
		fputs("stack ends here: it is damaged, or the unwind data of ", out);
		print_last_module(out, job->snapshot, frames, count);
		fputs(" is wrong", out);
		break;
	case WALK_NO_CODE:
		fputs("stack ends here: what follows is no code address", out);
		break;
	case WALK_ALONE:
		fputs("stack ends here: memtrace was not there, and had not met what follows", out);
		break;
	case WALK_LOST:
		fputs("call stacks that memtrace had no memory to keep", out);
		break;
	default:
		fputs("stack ends here for a reason unknown", out);
		break;
	}
	putc('\n', out);
}

void text_stack(FILE *out, const struct report_job *job, const struct named *names, uint32_t id)
{
	const struct report_options *options = job->options;
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(job->snapshot, id, frames, ARRAY_SIZE(frames), &end);

	stack_print(out, names, frames, count, options->verbose || options->context);
	print_end(out, job, frames, count, end);
}
