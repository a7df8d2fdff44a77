/*
 * report --by=function, file, module: who is it that allocates what is in use?  Of each call stack
 * the first frame behind the way into the allocator counts.  --by=thread: by what the threads run,
 * main() or what they were started with: a block does not know which of them it was.
 *
 *      48%  12.2 KiB in 130 blocks, 3 call stacks: handle()
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"
#include "base/vec.h"
#include "report/aggregate.h"
#include "report/fold.h"
#include "report/print.h"
#include "report/sampling.h"
#include "report/utf8.h"

struct entry {
	const char *name;
	uint64_t bytes, blocks, stacks;
};

static const char *name_of(const struct names_line *line, enum report_by by)
{
	const char *module = line->module ? module_id_name(&line->module->id) : NULL;
	const char *name = by == REPORT_BY_FUNCTION ? line->name.function
			   : by == REPORT_BY_FILE   ? line->name.file
						    : module;

	return name ? name : module ? module : "(no module)";
}

bool aggregate_who(const struct report_job *job, const struct names *names, uint32_t id,
		   struct names_line *ret)
{
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(job->snapshot, id, frames, ARRAY_SIZE(frames), &end);

	for (size_t i = 0; i < count; i++) {
		const struct named_frame *named = names_find(names, frames[i]);
		uint32_t folded = named ? names_count_folded(names, named) : 0;

		if (!named || folded == named->count)
			continue;
		*ret = names_line(names, named, folded);
		return true;
	}
	return false;
}

/* What runs in a thread: the outermost function that is the program's. */
static const char *thread_of(const struct report_job *job, const struct names *names,
			     uint32_t id)
{
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(job->snapshot, id, frames, ARRAY_SIZE(frames), &end);

	for (size_t i = end == WALK_ROOT ? count : 0; i--;) {
		const struct named_frame *named = names_find(names, frames[i]);
		struct names_line line;

		if (!named)
			continue;
		line = names_line(names, named, named->count - 1);
		if (!line.name.function || !fold_is_runtime(line.name.function))
			return name_of(&line, REPORT_BY_FUNCTION);
	}
	return end == WALK_ROOT ? "(unknown)" : "(the stack is cut)";
}

static const char *who(const struct report_job *job, const struct names *names, uint32_t id)
{
	struct names_line line;

	if (job->options->by == REPORT_BY_THREAD)
		return thread_of(job, names, id);
	return aggregate_who(job, names, id, &line) ? name_of(&line, job->options->by)
						    : "(unknown)";
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static int by_bytes(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return order_u64(y->bytes, x->bytes) ?: by_name(a, b);
}

/* Those of one name in one; how many are left. */
static size_t merge(struct entry *at, size_t count)
{
	size_t kept = 0;

	qsort(at, count, sizeof(*at), by_name);
	for (size_t i = 0; i < count; i++) {
		if (kept && !strcmp(at[kept - 1].name, at[i].name)) {
			at[kept - 1].bytes += at[i].bytes;
			at[kept - 1].blocks += at[i].blocks;
			at[kept - 1].stacks++;
		} else {
			at[kept++] = at[i];
		}
	}
	qsort(at, kept, sizeof(*at), by_bytes);
	return kept;
}

void aggregate_print(FILE *out, uint64_t bytes, uint64_t blocks, uint64_t whole)
{
	print_percent(out, bytes, whole);
	fputs("  ", out);
	if (!print_size(out, bytes))
		print_count(out, bytes, "byte");
	fputs(" in ", out);
	print_count(out, blocks, "block");
}

static void print(FILE *out, const struct report_job *job, const struct entry *at, size_t count)
{
	const struct region_totals *t = &job->snapshot->totals;
	unsigned max = job->options->count;

	sampling_line(out, job->snapshot);
	for (size_t i = 0; i < count && (!max || i < max); i++) {
		aggregate_print(out, at[i].bytes, at[i].blocks,
				t->allocated_bytes - t->freed_bytes);
		fputs(", ", out);
		print_count(out, at[i].stacks, "call stack");
		fputs(": ", out);
		utf8_print(out, at[i].name);
		putc('\n', out);
	}
	if (max && count > max)
		fprintf(out, "and %zu more (-n 0 shows all)\n", count - max);
	if (!count)
		fputs("Nothing is in use.\n", out);
}

int by_write(struct report_job *job, FILE *out, struct err *err)
{
	VEC(struct entry) entries = {0};
	struct names *names;
	bool ok = true;
	int failed = names_create(job->snapshot, job->resolver, job->symbols, job->ids,
				  job->count, &job->progress, &names, err);

	if (failed)
		return failed;
	for (size_t i = 0; i < job->count && ok; i++) {
		const struct region_context *c = &job->snapshot->contexts[job->ids[i]];

		ok = vec_push(&entries,
			      ((struct entry){who(job, names, job->ids[i]),
					      report_in_use_bytes(c), report_in_use_blocks(c),
					      1}));
	}
	if (ok)
		print(out, job, entries.at,
		      entries.len ? merge(entries.at, entries.len) : 0);
	vec_deinit(&entries);
	names_destroy(names);
	return ok ? report_check(out, err) : err_set(err, -ENOMEM, "out of memory");
}
