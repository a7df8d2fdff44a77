/*
 * tree: what is in use by call stacks that are merged where they agree, from the outermost
 * function on, or with --callers from who allocates; with a NAME from there on.
 *
 *     100%  120.0 KiB in 900 blocks  main()
 *       98%  117.6 KiB in 880 blocks  request()
 *         60%  72.0 KiB in 700 blocks  parse()
 *
 * A function that is on the way already is the same line again, so that recursion is folded;
 * the standard library of C++, the way into the allocator and the start of a program are left
 * out.  What is below a half of a percent is left out, and that is said.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "report/aggregate.h"
#include "report/fold.h"
#include "report/print.h"
#include "report/sampling.h"
#include "report/utf8.h"

enum { PER_MILLE = 5, MAX_LINES = 400, MAX_DEPTH = 60 };

struct node { /* [0] is the root, which is nobody's child */
	const char *name;
	uint32_t parent, child, next;
	uint64_t bytes, blocks;
};

struct tree {
	VEC(struct node) nodes;
	VEC(const char *) path; /* of the stack being added, outermost first */
	bool no_memory;
};

static void add_to_path(struct tree *t, const struct names_line *line, bool *found,
			const char *from)
{
	const char *name = line->name.function;

	if (from && filter_is_named(line, from))
		*found = true;
	if (name && fold_is_runtime(name))
		return;
	if (!name)
		name = line->module ? module_id_name(&line->module->id) : "(no module)";
	if (from && !*found)
		return;
	t->no_memory |= !vec_push(&t->path, name);
}

/* The functions of a stack, in the order of the tree: from `from` on. */
static bool make_path(struct tree *t, const struct report_job *job, const struct names *names,
		      uint32_t id)
{
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(job->snapshot, id, frames, ARRAY_SIZE(frames), &end);
	bool callers = job->options->callers, found = !job->options->tree_from;

	vec_clear(&t->path);
	for (size_t i = 0; i < count; i++) {
		const struct named_frame *named =
			names_find(names, frames[callers ? i : count - 1 - i]);

		for (uint32_t k = 0; named && k < named->count; k++) {
			const struct names_line line =
				names_line(names, named, callers ? k : named->count - 1 - k);

			add_to_path(t, &line, &found, job->options->tree_from);
		}
	}
	return found && !t->no_memory;
}

/* The one of that name above, itself included: recursion. */
static uint32_t above(const struct tree *t, uint32_t at, const char *name)
{
	while (at && strcmp(t->nodes.at[at].name, name) != 0)
		at = t->nodes.at[at].parent;
	return at;
}

static uint32_t child_of(struct tree *t, uint32_t at, const char *name)
{
	uint32_t child = t->nodes.at[at].child;
	uint32_t fresh = (uint32_t)t->nodes.len;

	while (child && strcmp(t->nodes.at[child].name, name) != 0)
		child = t->nodes.at[child].next;
	if (child)
		return child;
	if (!vec_push(&t->nodes, ((struct node){.name = name,
						.parent = at,
						.next = t->nodes.at[at].child}))) {
		t->no_memory = true;
		return at;
	}
	t->nodes.at[at].child = fresh;
	return fresh;
}

static void add(struct tree *t, const struct region_context *c)
{
	uint64_t bytes = report_in_use_bytes(c), blocks = report_in_use_blocks(c);
	uint32_t at = 0;

	for (size_t i = 0; i < t->path.len && !t->no_memory; i++) {
		uint32_t again = above(t, at, t->path.at[i]);

		at = again ? again : child_of(t, at, t->path.at[i]);
	}
	/* once for each that is on the way at the end: those of a recursion are counted once */
	for (uint32_t up = at;; up = t->nodes.at[up].parent) {
		t->nodes.at[up].bytes += bytes;
		t->nodes.at[up].blocks += blocks;
		if (!up)
			return;
	}
}

static const struct node *largest(const struct tree *t, uint32_t parent, uint64_t below_bytes,
				  uint32_t below)
{
	const struct node *best = NULL;

	for (uint32_t i = t->nodes.at[parent].child; i; i = t->nodes.at[i].next) {
		const struct node *n = &t->nodes.at[i];
		bool is_next = n->bytes < below_bytes || (n->bytes == below_bytes && i < below);

		if (is_next && (!best || n->bytes > best->bytes ||
				(n->bytes == best->bytes && n > best)))
			best = n;
	}
	return best;
}

/* A node's children, by size; *lines: that may be printed yet; true: something was left out. */
static bool print_below(FILE *out, const struct tree *t, uint32_t parent, int depth,
			unsigned *lines)
{
	uint64_t whole = t->nodes.at[0].bytes;
	const struct node *n = largest(t, parent, UINT64_MAX, 0);
	bool left_out = false;

	for (; n; n = largest(t, parent, n->bytes, (uint32_t)(n - t->nodes.at))) {
		if (!*lines || depth > MAX_DEPTH ||
		    (double)n->bytes * 1000 < (double)whole * PER_MILLE)
			return true;
		--*lines;
		fprintf(out, "%*s", 2 * depth, "");
		aggregate_print(out, n->bytes, n->blocks, whole);
		fputs("  ", out);
		utf8_print(out, n->name);
		putc('\n', out);
		left_out |= print_below(out, t, (uint32_t)(n - t->nodes.at), depth + 1, lines);
	}
	return left_out;
}

static void print(FILE *out, const struct tree *t, const struct report_options *options)
{
	unsigned lines = options->count ? options->count : MAX_LINES;

	if (t->nodes.len == 1)
		fputs(options->tree_from ? "Nothing in use was allocated there.\n"
					 : "Nothing is in use.\n",
		      out);
	else if (print_below(out, t, 0, 0, &lines))
		fprintf(out, "and what is below 0.5%%, or more than %u lines\n",
			options->count ? options->count : MAX_LINES);
}

int tree_write(struct report_job *job, FILE *out, struct err *err)
{
	struct tree t = {.no_memory = false};
	struct names *names;
	int failed = names_create(job->snapshot, job->resolver, job->symbols, job->ids,
				  job->count, &job->progress, &names, err);

	if (failed)
		return failed;
	t.no_memory = !vec_push(&t.nodes, ((struct node){.name = ""}));
	for (size_t i = 0; i < job->count && !t.no_memory; i++)
		if (make_path(&t, job, names, job->ids[i]) && t.path.len)
			add(&t, &job->snapshot->contexts[job->ids[i]]);
	if (!t.no_memory)
		sampling_line(out, job->snapshot);
	if (!t.no_memory)
		print(out, &t, job->options);
	vec_deinit(&t.nodes);
	vec_deinit(&t.path);
	names_destroy(names);
	return t.no_memory ? err_set(err, -ENOMEM, "out of memory") : report_check(out, err);
}
