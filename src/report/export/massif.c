/*
 * The output file of valgrind's massif (massif/ms_main.c), for ms_print and massif-visualizer:
 * what is in use as a tree from the allocation up to its callers.
 *
 *   n2: 552 (heap allocation functions) malloc/new/new[], --alloc-fns, etc.
 *    n1: 265 0x55550000113F: multimalloc (demo.c:28)
 *     n0: 265 0x5555000011FF: main (demo.c:50)
 *
 * A line says how many children follow it, so call stacks are sorted by their frames, from the
 * leaf on, and each level of the tree is a run of neighbours.  Children below a thousandth of
 * all are one line, as massif has it below a hundredth.
 *
 * Snapshots before the last are the totals of the course, where somebody has one.  "Extra" is, as in
 * massif's own, what the allocator needs beside what was asked for: all that it has of the kernel
 * by its books and that no block has, where they could be read, else 0.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/export/stacks.h"
#include "report/export/viewers.h"
#include "report/sampling.h"

enum { MASSIF_SHARE = 1000, MASSIF_SNAPSHOTS = 100 };

/* A call stack on its way up. */
struct leaf {
	uint32_t node; /* that is to be written next; < WALK_ENDS: why it ends */
	uint64_t bytes;
};
enum { LEFT_OUT = UINT32_MAX }; /* as node */

/* Those that are alike so far: leaves [begin, end). */
struct group {
	size_t begin, end;
	uint64_t bytes;
};
VEC_TYPE(groups, struct group);

struct massif {
	struct exports exports;
	FILE *out;
	VEC(struct leaf) leaves;
	uint64_t bytes;	 /* of all */
	unsigned number; /* of snapshots */
	bool no_memory;
};

static bool add_leaf(void *arg, const struct export_stack *stack)
{
	struct massif *m = arg;
	struct leaf leaf = {stack->counters.node, stack->bytes};

	if (!stack->bytes)
		return true;
	if (!strcmp(stack->cut, EXPORTS_LEFT_OUT))
		leaf.node = LEFT_OUT;
	for (size_t i = exports_skipped(&m->exports, stack); i; i--)
		leaf.node = m->exports.snapshot->nodes[leaf.node].parent;
	m->bytes += stack->bytes;
	return vec_push(&m->leaves, leaf);
}

static bool is_root(uint32_t node)
{
	return node < WALK_ENDS || node == LEFT_OUT;
}

/* Roots first; by frames otherwise. */
static int compare_nodes(const struct region_node *nodes, uint32_t a, uint32_t b)
{
	if (is_root(a) || is_root(b))
		return is_root(a) && is_root(b) ? (a > b) - (a < b) : is_root(b) - is_root(a);
	return frame_order(nodes[a].frame, nodes[b].frame);
}

static int compare_leaves(const void *x, const void *y, void *arg)
{
	const struct region_node *nodes = arg;
	uint32_t a = ((const struct leaf *)x)->node, b = ((const struct leaf *)y)->node;
	int order = 0;

	while (a != b && !order) {
		order = compare_nodes(nodes, a, b);
		if (order || is_root(a))
			break;
		a = nodes[a].parent;
		b = nodes[b].parent;
	}
	return order;
}

static int compare_groups(const void *x, const void *y)
{
	const struct group *a = x, *b = y;

	return a->bytes != b->bytes ? (a->bytes < b->bytes) - (a->bytes > b->bytes)
				    : (a->begin > b->begin) - (a->begin < b->begin);
}

/* ---- the tree ------------------------------------------------------------------------ */

static void print_indent(struct massif *m, unsigned depth, size_t children, uint64_t bytes)
{
	fprintf(m->out, "%*sn%zu: %" PRIu64 " ", (int)depth, "", children, bytes);
}

static void print_place(struct massif *m, const struct named_frame *named, uint32_t k)
{
	struct names_line line = names_line(m->exports.names, named, k);
	char *place = exports_place(&m->exports, &line);

	if (place)
		exports_print(m->out, place, '#', '@'); /* (# would begin a comment) */
	else
		m->no_memory = true;
	free(place);
	putc('\n', m->out);
}

/* What is small among the children, as one. */
struct rest {
	size_t count;
	uint64_t bytes;
};

/* The runs of leaves whose next frame is the same: large ones in *ret, largest first. */
static struct rest split(struct massif *m, const struct group *g, bool top, struct groups *ret)
{
	const struct region_node *nodes = m->exports.snapshot->nodes;
	struct rest rest = {0};
	size_t end;

	for (size_t i = g->begin; i < g->end; i = end) {
		struct group child = {i, i, 0};
		uint32_t node = m->leaves.at[i].node;

		for (end = i;
		     end < g->end && !compare_nodes(nodes, node, m->leaves.at[end].node); end++)
			child.bytes += m->leaves.at[end].bytes;
		child.end = end;
		if (node == WALK_ROOT && !top)
			continue;
		if (child.bytes < m->bytes / MASSIF_SHARE) {
			rest.count++;
			rest.bytes += child.bytes;
		} else if (!vec_push(ret, child)) {
			m->no_memory = true;
		}
	}
	if (ret->len)
		qsort(ret->at, ret->len, sizeof(*ret->at), compare_groups);
	return rest;
}

static void write_group(struct massif *m, const struct group *g, unsigned depth);

static void write_children(struct massif *m, const struct groups *children, struct rest rest,
			   unsigned depth)
{
	for (size_t i = 0; i < children->len; i++)
		write_group(m, &children->at[i], depth);
	if (!rest.count)
		return;
	print_indent(m, depth, 0, rest.bytes);
	fprintf(m->out, "in %zu place%s, all below massif's threshold (0.10%%)\n", rest.count,
		rest.count == 1 ? "" : "s");
}

/* A frame with all its lines, and who called it. */
static void write_group(struct massif *m, const struct group *g, unsigned depth)
{
	const struct region_node *nodes = m->exports.snapshot->nodes;
	uint32_t node = m->leaves.at[g->begin].node;
	const struct named_frame *named;
	struct groups children = {};
	struct rest rest;

	if (is_root(node)) {
		print_indent(m, depth, 0, g->bytes);
		if (node == LEFT_OUT)
			fputs("0x0: " EXPORTS_LEFT_OUT "\n", m->out);
		else
			fprintf(m->out, "0x0: [stack cut: %s]\n",
				json_word_of((enum walk_end)node));
		return;
	}
	named = exports_frame(&m->exports, nodes[node].frame);
	for (uint32_t k = 0; k + 1 < named->count; k++) {
		print_indent(m, depth++, 1, g->bytes);
		print_place(m, named, k);
	}
	for (size_t i = g->begin; i < g->end; i++)
		m->leaves.at[i].node = nodes[m->leaves.at[i].node].parent;
	rest = split(m, g, false, &children);
	print_indent(m, depth, children.len + !!rest.count, g->bytes);
	print_place(m, named, named->count - 1);
	write_children(m, &children, rest, depth + 1);
	vec_deinit(&children);
}

static void write_tree(struct massif *m)
{
	const struct group all = {0, m->leaves.len, m->bytes};
	struct groups children = {};
	struct rest rest;

	if (m->leaves.len)
		qsort_r(m->leaves.at, m->leaves.len, sizeof(*m->leaves.at), compare_leaves,
			m->exports.snapshot->nodes);
	rest = split(m, &all, true, &children);
	print_indent(m, 0, children.len + !!rest.count, all.bytes);
	fputs("(heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n", m->out);
	write_children(m, &children, rest, 1);
	vec_deinit(&children);
}

/* ---- snapshots ----------------------------------------------------------------------- */

static void write_snapshot(struct massif *m, double seconds, uint64_t bytes, uint64_t obtained,
			   const char *tree)
{
	fprintf(m->out,
		"#-----------\nsnapshot=%u\n#-----------\ntime=%" PRIu64 "\nmem_heap_B=%" PRIu64
		"\nmem_heap_extra_B=%" PRIu64 "\nmem_stacks_B=0\nheap_tree=%s\n",
		m->number++, (uint64_t)(seconds * 1000), bytes,
		obtained > bytes ? obtained - bytes : 0, tree);
}

/* Those before the last one. */
static void write_course(struct massif *m, double end)
{
	const struct course *course = m->exports.job->options->course;
	struct course_row rows[MASSIF_SNAPSHOTS];
	size_t count = course ? course_rows(course, ARRAY_SIZE(rows), rows) : 0;

	for (size_t i = 0; i < count && rows[i].seconds < end; i++)
		write_snapshot(m, rows[i].seconds, rows[i].point.in_use,
			       rows[i].point.obtained, "empty");
}

static int write_all(struct massif *m, struct err *err)
{
	const struct snapshot *s = m->exports.snapshot;
	const struct course *course = m->exports.job->options->course;
	double end = report_seconds(s);
	int failed = exports_for_each(&m->exports, add_leaf, m, NULL, err);

	if (failed)
		return failed;
	fprintf(m->out, "desc: memtrace %s, process %d%s\ncmd:", m->exports.job->options->version,
		s->pid,
		sampling_estimates(m->exports.snapshot) ? " (estimates, by a sample)" : "");
	for (char **arg = s->command; arg && *arg; arg++) {
		putc(' ', m->out);
		exports_print(m->out, *arg, '#', '@');
	}
	fputs("\ntime_unit: ms\n", m->out);
	write_course(m, end);
	write_snapshot(m, end, m->bytes,
		       course && course->count ? course->points[course->count - 1].obtained : 0,
		       "detailed");
	write_tree(m);
	return m->no_memory ? exports_no_memory(err) : report_check(m->out, err);
}

int massif_write(struct report_job *job, FILE *out, struct err *err)
{
	struct massif m = {.out = out};
	int failed = exports_begin(job, &m.exports, err);

	if (failed)
		return failed;
	failed = write_all(&m, err);
	vec_deinit(&m.leaves);
	exports_end(&m.exports);
	return failed;
}
