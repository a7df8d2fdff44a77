/*
 * The heap profile of gperftools (what its HeapProfiler writes; google-pprof and Go's pprof
 * read it): counters and addresses of each call stack, and the mappings, by which the reader
 * finds names itself, in the files of its own machine.
 *
 *   heap profile:  40:  552 [ 111:  967] @ heapprofile
 *         5:      265 [    10:      530] @ 0x7f0000009f00 0x555500001140 ...
 *
 *   MAPPED_LIBRARIES:
 *   555500000000-555500010000 r-xp 00000000 00:00 0 /src/demo
 *
 * The leaf is an address, the others are return addresses.  There is no place for why a stack
 * ends.  A module is one mapping here, of its file from the beginning on (where a linker has
 * put text at an address that is not its place in the file plus a constant, as lld does,
 * google-pprof is off by the difference).
 */
#include <inttypes.h>

#include "report/export/stacks.h"
#include "report/export/viewers.h"

struct gperftools {
	struct exports exports;
	FILE *out;
};

static void write_counters(FILE *out, uint64_t blocks, uint64_t bytes, uint64_t allocs,
			   uint64_t allocated)
{
	fprintf(out, "%6" PRIu64 ": %8" PRIu64 " [%6" PRIu64 ": %8" PRIu64 "] @", blocks, bytes,
		allocs, allocated);
}

static bool write_stack(void *arg, const struct export_stack *stack)
{
	struct gperftools *g = arg;
	const struct snapshot *s = g->exports.snapshot;

	write_counters(g->out, stack->blocks, stack->bytes, stack->counters.allocs,
		       stack->counters.allocated_bytes);
	for (size_t i = 0; i < stack->count; i++) {
		const struct snapshot_module *m =
			snapshot_module(s, frame_instance(stack->frames[i]));

		fprintf(g->out, " 0x%08" PRIx64,
			(m ? m->bias : 0) + frame_offset(stack->frames[i]));
	}
	if (!stack->count)
		fputs(" 0x00000000", g->out);
	putc('\n', g->out);
	return true;
}

static void write_mappings(struct gperftools *g)
{
	const struct snapshot *s = g->exports.snapshot;

	fputs("\nMAPPED_LIBRARIES:\n", g->out);
	for (size_t i = 0; i < s->module_count; i++) {
		const struct snapshot_module *m = &s->modules[i];

		if (!m->id.path || m->end <= m->begin)
			continue;
		fprintf(g->out, "%08" PRIx64 "-%08" PRIx64 " r-xp 00000000 00:00 0 ", m->begin,
			m->end);
		exports_print(g->out, m->id.path, '\0', '\0');
		putc('\n', g->out);
	}
}

int gperftools_write(struct report_job *job, FILE *out, struct err *err)
{
	struct gperftools g = {.out = out};
	const struct region_totals *t = &job->snapshot->totals;
	int failed = exports_begin(job, &g.exports, err);

	if (failed)
		return failed;
	fputs("heap profile: ", out);
	write_counters(out, t->allocs - t->frees, t->allocated_bytes - t->freed_bytes,
		       t->allocs, t->allocated_bytes);
	fputs(" heapprofile\n", out);
	failed = exports_for_each(&g.exports, write_stack, &g, out, err);
	if (!failed) {
		write_mappings(&g);
		failed = report_check(out, err);
	}
	exports_end(&g.exports);
	return failed;
}
