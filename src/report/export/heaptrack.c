/*
 * heaptrack's data file, version 2 (what its interpreter writes, read by heaptrack_print and
 * heaptrack_gui 1.1 and later): one record to a line, defined before it is used.
 *
 *   s TEXT                               a string, by number from 1; numbers are in hex
 *   i ADDRESS MODULE FUNCTION FILE LINE (FUNCTION FILE LINE)*   an instruction, innermost first
 *   t INSTRUCTION PARENT                 a call: the tree of stacks, 0 is its root
 *   a SIZE TRACE                         blocks that are alike, by number from 0
 *   + ALLOCATION                         a block
 *
 * heaptrack knows events, we know sums: a block in use is one event, nothing is said of those
 * that were freed, and all of it is at one time.  How large each block of a call stack is is
 * not known: they share its bytes evenly, and the sum is exact.  Frames that are only ways into
 * the allocator are left out, as heaptrack's own recorder does not see them.
 *
 * Its tools take a file whose name ends in .gz for gzip, and any other (but .zst) for text, and so
 * it is written.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/export/gzip.h"
#include "report/export/stacks.h"
#include "report/export/texts.h"
#include "report/export/viewers.h"

struct heaptrack {
	struct exports exports;
	FILE *out;
	struct texts strings;
	uint32_t *instruction_of; /* by frame's number; 0: not written yet */
	uint32_t *trace_of;	  /* by node; 0: not written yet */
	uint32_t instructions, traces;
	uint32_t cuts[WALK_ENDS +
		      1]; /* traces of what stands for missing frames; of all of it */
	uint64_t allocations;
	bool no_memory;
};

/* 0: there is none. */
static uint32_t string(struct heaptrack *h, const char *text)
{
	size_t count = h->strings.at.len;
	uint32_t number = 0;

	if (!text || !*text)
		return 0;
	if (!texts_add(&h->strings, text, strlen(text), &number))
		h->no_memory = true;
	if (h->strings.at.len > count) {
		fputs("s ", h->out);
		exports_print(h->out, text, '\0', '\0');
		putc('\n', h->out);
	}
	return number + 1;
}

/* What its lines need is defined before the record begins. */
static uint32_t instruction(struct heaptrack *h, frame_t frame)
{
	const struct named_frame *named = exports_frame(&h->exports, frame);
	uint32_t *number = &h->instruction_of[named - h->exports.values->frames];
	const struct snapshot_module *m;
	struct lines {
		uint32_t function, file, line;
	} * lines;

	if (*number)
		return *number;
	lines = calloc(named->count, sizeof(*lines));
	if (!lines) {
		h->no_memory = true;
		return 0;
	}
	for (uint32_t k = 0; k < named->count; k++) {
		struct names_line line = names_line(h->exports.names, named, k);
		char *label = exports_label(&line);

		h->no_memory |= !label;
		lines[k] = (struct lines){string(h, label), string(h, line.name.file),
					  line.name.line};
		free(label);
	}
	m = snapshot_module(h->exports.snapshot, frame_instance(frame));
	string(h, m ? m->id.path : NULL);
	fprintf(h->out, "i %" PRIx64 " %" PRIx32, exports_pc(&h->exports, frame),
		string(h, m ? m->id.path : NULL));
	for (uint32_t k = 0; k < named->count; k++)
		fprintf(h->out, " %" PRIx32 " %" PRIx32 " %" PRIx32, lines[k].function,
			lines[k].file, lines[k].line);
	putc('\n', h->out);
	free(lines);
	return *number = ++h->instructions;
}

static uint32_t write_trace(struct heaptrack *h, uint32_t instruction, uint32_t parent)
{
	fprintf(h->out, "t %" PRIx32 " %" PRIx32 "\n", instruction, parent);
	return ++h->traces;
}

/* What stands for missing frames, directly below the root; it has no address. */
static uint32_t cut_trace(struct heaptrack *h, const char *cut, uint32_t *trace)
{
	uint32_t name;

	if (*trace || !*cut)
		return *trace;
	name = string(h, cut);
	fprintf(h->out, "i 0 0 %" PRIx32 " 0 0\n", name);
	return *trace = write_trace(h, ++h->instructions, 0);
}

/* The trace of a stack whose frames from `skipped` on count. */
static uint32_t trace(struct heaptrack *h, const struct export_stack *stack, size_t skipped)
{
	const struct snapshot *s = h->exports.snapshot;
	uint32_t nodes[REPORT_MAX_FRAMES], node = stack->counters.node, parent;
	size_t count = 0;

	if (!stack->count)
		return cut_trace(h, stack->cut, &h->cuts[WALK_ENDS]);
	for (size_t i = 0; node >= WALK_ENDS && i < stack->count; i++) {
		if (i >= skipped)
			nodes[count++] = node;
		node = s->nodes[node].parent;
	}
	parent = cut_trace(h, stack->cut, &h->cuts[node < WALK_ENDS ? node : WALK_DEPTH]);
	while (count--) {
		node = nodes[count];
		if (!h->trace_of[node]) {
			uint32_t number = instruction(h, s->nodes[node].frame);

			h->trace_of[node] = write_trace(h, number, parent);
		}
		parent = h->trace_of[node];
	}
	return parent;
}

static void write_blocks(struct heaptrack *h, uint64_t size, uint64_t count, uint32_t trace)
{
	if (!count)
		return;
	fprintf(h->out, "a %" PRIx64 " %" PRIx32 "\n", size, trace);
	while (count-- && !ferror(h->out))
		fprintf(h->out, "+ %" PRIx64 "\n", h->allocations);
	h->allocations++;
}

static bool write_stack(void *arg, const struct export_stack *stack)
{
	struct heaptrack *h = arg;
	uint64_t rest;
	uint32_t number;

	if (!stack->blocks)
		return true;
	number = trace(h, stack, exports_skipped(&h->exports, stack));
	rest = stack->bytes % stack->blocks;
	write_blocks(h, stack->bytes / stack->blocks + 1, rest, number);
	write_blocks(h, stack->bytes / stack->blocks, stack->blocks - rest, number);
	return !h->no_memory;
}

static int write_all(struct heaptrack *h, struct err *err)
{
	const struct snapshot *s = h->exports.snapshot;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int failed;

	fputs("v 10400 2\nX", h->out);
	for (char **arg = s->command; arg && *arg; arg++) {
		putc(' ', h->out);
		exports_print(h->out, *arg, '\0', '\0');
	}
	/* (how much memory the machine has is not known here) */
	fprintf(h->out, "\nI %" PRIx64 " 0\nc 0\n", page);
	failed = exports_for_each(&h->exports, write_stack, h, h->out, err);
	fprintf(h->out, "R %" PRIx64 "\nc %" PRIx64 "\n", s->resident_bytes / page,
		(uint64_t)(report_seconds(s) * 1000));
	return failed ? failed : report_check(h->out, err);
}

static int write_plain(struct report_job *job, FILE *out, struct err *err)
{
	struct heaptrack h = {.out = out};
	int failed = exports_begin(job, &h.exports, err);

	if (failed)
		return failed;
	h.instruction_of = calloc(h.exports.values->frame_count + 1, sizeof(*h.instruction_of));
	h.trace_of = calloc((size_t)job->snapshot->node_count + 1, sizeof(*h.trace_of));
	failed = h.instruction_of && h.trace_of ? write_all(&h, err) : exports_no_memory(err);
	texts_deinit(&h.strings);
	free(h.instruction_of);
	free(h.trace_of);
	exports_end(&h.exports);
	return failed;
}

static bool ends_in_gz(const char *name)
{
	size_t len = name ? strlen(name) : 0;

	return len >= 3 && !strcmp(name + len - 3, ".gz");
}

int heaptrack_write(struct report_job *job, FILE *out, struct err *err)
{
	struct gzip *gzip;
	FILE *stream;
	int failed;

	if (!ends_in_gz(job->options->file))
		return write_plain(job, out, err);
	gzip = malloc(sizeof(*gzip));
	stream = gzip ? gzip_stream(gzip, out) : NULL;
	failed = stream ? write_plain(job, stream, err) : exports_no_memory(err);
	if (stream)
		fclose(stream);
	free(gzip);
	return failed ? failed : report_check(out, err);
}
