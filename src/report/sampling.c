/* See sampling.h. */
#include "report/sampling.h"

#include <inttypes.h>

#include "base/scope.h"
#include "report/print.h"

static void print_bytes(FILE *out, uint64_t bytes)
{
	if (!print_size(out, bytes))
		print_count(out, bytes, "byte");
}

bool sampling_sentences(FILE *out, const struct snapshot *s)
{
	const struct snapshot_sampling *is = &s->sampling;

	if (is->coarsest) {
		fputs("Numbers are estimates, by a sample: of allocations below ", out);
		print_bytes(out, is->coarsest);
		fputs(" those were counted in which a point lies, one each ", out);
		print_bytes(out, is->coarsest);
		fputs(is->bytes == is->coarsest	? "."
		      : is->bytes		? " at times, closer at others."
						: " at times, all at others.",
		      out);
	}
	if (is->min_size) {
		fputs(is->coarsest ? " Allocations below " : "Allocations below ", out);
		print_bytes(out, is->min_size);
		fprintf(out, " were not counted (%" PRIu64 " of them).", is->small);
	}
	if (is->coarsest || is->min_size)
		fputs(" Frees of what was not counted are in no count either, of blocks from before "
		      "the attach among them.",
		      out);
	return is->coarsest || is->min_size;
}

void sampling_paragraph(FILE *out, const struct snapshot *s)
{
	scope_free char *text = NULL;
	size_t len;
	FILE *side = open_memstream(&text, &len);
	bool any = side && sampling_sentences(side, s);

	if (side)
		fclose(side);
	if (any && text)
		print_wrapped(out, text);
}

void sampling_about(FILE *out, const struct snapshot *s)
{
	if (sampling_estimates(s))
		fputs("about ", out);
}

void sampling_line(FILE *out, const struct snapshot *s)
{
	if (sampling_estimates(s))
		fputs("(estimates, by a sample)\n", out);
}

void sampling_json(FILE *out, const struct snapshot *s)
{
	const struct snapshot_sampling *is = &s->sampling;

	if (!is->coarsest && !is->min_size)
		return;
	fprintf(out,
		",\n  \"sampling\": {\"estimates\": %s, \"coarsest_bytes\": %" PRIu64
		", \"bytes\": %" PRIu64 ", \"min_size\": %" PRIu64 ", \"not_counted\": %" PRIu64 "}",
		is->coarsest ? "true" : "false", is->coarsest, is->bytes, is->min_size, is->small);
}
