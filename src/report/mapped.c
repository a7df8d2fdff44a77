/*
 * What the process has mapped by calls that are followed (--mmap), by call stack: it is no
 * allocator's, and in no count of blocks.
 *
 *     12 mappings (48.0 MiB), made while memtrace watched, are no allocator's:
 *
 *     1. #9  50331648 bytes in 12 mappings (48.0 MiB)
 *         make_arena() in /src/arena.c:41
 */
#include <inttypes.h>

#include "report/job.h"
#include "report/print.h"

static struct mapped_sum sum_up(const struct mapped_sum *sums, size_t count)
{
	struct mapped_sum sum = {0};

	for (size_t i = 0; i < count; i++) {
		sum.mappings += sums[i].mappings;
		sum.bytes += sums[i].bytes;
	}
	return sum;
}

void mapped_head(FILE *out, const struct mapped_sum *sum)
{
	fprintf(out, "#%" PRIu32 "  ", sum->context);
	print_count(out, sum->bytes, "byte");
	fputs(" in ", out);
	print_count(out, sum->mappings, "mapping");
	print_size_beside(out, sum->bytes);
	putc('\n', out);
}

static void print_one(FILE *out, const struct report_job *job, const struct named *names,
		      size_t rank)
{
	const struct mapped_sum *sum = &job->mapped[rank];

	fprintf(out, "\n%zu. ", rank + 1);
	mapped_head(out, sum);
	text_stack(out, job, names, sum->context);
}

static void print_rest(FILE *out, const struct report_job *job)
{
	size_t left = job->mapped_count - job->mapped_shown;
	struct mapped_sum rest = sum_up(job->mapped + job->mapped_shown, left);

	if (!left)
		return;
	fputs("\nand ", out);
	print_count(out, left, "more call stack");
	fputs(", ", out);
	print_count(out, rest.bytes, "byte");
	fputs(" in ", out);
	print_count(out, rest.mappings, "mapping");
	fputs(" (-n 0 shows all)\n", out);
}

void mapped_text(FILE *out, const struct report_job *job, const struct named *names)
{
	struct mapped_sum all = sum_up(job->mapped, job->mapped_count);

	if (!job->snapshot->maps_followed)
		return;
	putc('\n', out);
	fputs(all.mappings ? "Mapped while memtrace watched, and no allocator's:\n"
			   : "Nothing that was mapped while memtrace watched is there now.\n",
	      out);
	for (size_t i = 0; i < job->mapped_shown; i++)
		print_one(out, job, names, i);
	print_rest(out, job);
}

void mapped_json(FILE *out, const struct report_job *job, const struct json_frames *frames)
{
	struct mapped_sum all = sum_up(job->mapped, job->mapped_count);

	if (!job->snapshot->maps_followed)
		return;
	fprintf(out,
		"  \"mappings\": {\"in_use_mappings\": %" PRIu64 ", \"in_use_bytes\": %" PRIu64
		", \"contexts\": %zu},\n  \"mapping_contexts\": [",
		all.mappings, all.bytes, job->mapped_count);
	for (size_t i = 0; i < job->mapped_shown; i++) {
		const struct mapped_sum *sum = &job->mapped[i];

		fprintf(out,
			"%s    {\"id\":%" PRIu32 ",\"in_use_mappings\":%" PRIu64
			",\"in_use_bytes\":%" PRIu64 ",\"first_time\":",
			i ? ",\n" : "\n", sum->context, sum->mappings, sum->bytes);
		json_ticks(out, job->snapshot, sum->first_time);
		fputs(",\"last_time\":", out);
		json_ticks(out, job->snapshot, sum->last_time);
		json_stack(out, job, frames, sum->context);
	}
	fputs("],\n", out);
}
