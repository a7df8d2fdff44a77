/*
 * Names, in three passes: gather (each node of the tree once, however many stacks
 * share it), sort (by module and offset), ask (a batch per module).
 *
 *   contexts --> nodes --> frames, distinct and sorted --> lines of each
 *                              |  ^
 *                   per module v  | resolved / what a file says / symbol
 *                            resolver
 */
#include "report/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"
#include "heap/frame_table.h"
#include "report/fold.h"

/* What came out for a module. */
struct found {
	bool by_resolver; /* some name is from the resolver */
	bool by_symbols;  /* some name is from the dynamic symbols */
	bool by_local;	  /* some name is from report_names.local */
	bool by_file;	  /* some name is from report_names.known */
	bool generated;	  /* some name is from what wrote the code */
	bool nameless;	  /* some frame has no name */
};

struct names {
	const struct snapshot *snapshot;
	struct resolver *resolver, *local;
	const struct report_names *symbols;
	struct frame_table table;
	VEC(struct named_frame) frames; /* by number in the table */
	VEC(struct frame_line) lines;
	const char **sources; /* by instance - 1; NULL until found */
	struct found *found;  /* by instance - 1 */
	struct frame_names values;
};

static int compare_offsets(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool gather_stack(struct names *names, uint32_t node, bool *seen)
{
	const struct snapshot *s = names->snapshot;

	for (; node >= WALK_ENDS && !seen[node]; node = s->nodes[node].parent) {
		seen[node] = true;
		if (!frame_table_add(&names->table, s->nodes[node].frame))
			return false;
	}
	return true;
}

/* The frames of the contexts, each node once; then sorted, each frame once. */
static bool gather(struct names *names, const uint32_t *ids, size_t count)
{
	const struct snapshot *s = names->snapshot;
	bool *seen = calloc((size_t)s->node_count + 1, sizeof(*seen));
	bool ok = seen != NULL;

	for (size_t i = 0; ok && ids && i < count; i++)
		ok = gather_stack(names, s->contexts[ids[i]].node, seen);
	for (uint32_t node = WALK_ENDS; ok && !ids && node < s->node_count; node++)
		ok = frame_table_add(&names->table, s->nodes[node].frame);
	free(seen);
	if (!ok || !vec_reserve(&names->frames, (size_t)names->table.count + 1))
		return false;
	frame_table_sort(&names->table);
	for (uint32_t i = 0; i < names->table.count; i++)
		names->frames.at[i] = (struct named_frame){.frame = names->table.frames[i]};
	names->frames.len = names->table.count;
	return true;
}

static bool load_progress(void *arg, size_t done, size_t count)
{
	return progress_step(arg, "looking up names", done, count);
}

struct resolver_module names_module(const struct snapshot_module *m, int pid)
{
	return (struct resolver_module){
		.instance = m->instance,
		.id = m->id,
		.pid = pid,
	};
}

/* What this resolver says about a frame of a module, if that is a name. */
static const struct resolved *named_by(const struct resolver *resolver, frame_t frame)
{
	const struct resolved *known = resolver ? resolver_find(resolver, frame_instance(frame),
								frame_lookup_offset(frame))
						: NULL;

	return known && known->count && known->frames[known->count - 1].function ? known : NULL;
}

/* Hands the questions about the frames [begin, end), all of one module, over; to the local one
 * those that the other has no answer to. */
static void want(struct names *names, struct resolver *resolver, size_t begin, size_t end)
{
	uint32_t instance = frame_instance(names->frames.at[begin].frame);
	const struct snapshot_module *m = snapshot_module(names->snapshot, instance);
	uint64_t *offsets = m && !generated_is_module(&m->id)
				    ? malloc((end - begin) * sizeof(*offsets))
				    : NULL;
	struct resolver_module module;
	size_t count = 0, kept = 0;

	if (!offsets)
		return;
	for (size_t i = begin; i < end; i++)
		if (resolver == names->resolver ||
		    !named_by(names->resolver, names->frames.at[i].frame))
			offsets[count++] = frame_lookup_offset(names->frames.at[i].frame);
	qsort(offsets, count, sizeof(*offsets), compare_offsets);
	for (size_t i = 0; i < count; i++)
		if (!kept || offsets[kept - 1] != offsets[i])
			offsets[kept++] = offsets[i];
	module = names_module(
		m, names->symbols && names->symbols->elsewhere ? 0 : names->snapshot->pid);
	if (kept)
		err_ignore(resolver_want(resolver, &module, offsets, kept, NULL));
	free(offsets);
}

/* Asks for everything, then waits once.  A resolver that is lost on the way is no
 * failure of the report: what it does not know is shown as the target side knows it.  False:
 * nobody waits for it any more. */
static bool load(struct names *names, struct resolver *resolver, struct progress *progress)
{
	const struct named_frame *frames = names->frames.at;
	size_t end;

	if (!resolver)
		return true;
	for (size_t begin = 0; begin < names->frames.len; begin = end) {
		uint32_t instance = frame_instance(frames[begin].frame);

		end = begin + 1;
		while (end < names->frames.len && frame_instance(frames[end].frame) == instance)
			end++;
		if (instance != FRAME_NOWHERE)
			want(names, resolver, begin, end);
	}
	return resolver_wait(resolver, load_progress, progress, NULL) != -ECANCELED;
}

/* Asks both resolvers. */
static int ask(struct names *names, struct progress *progress)
{
	return load(names, names->resolver, progress) && load(names, names->local, progress)
		       ? 0
		       : -ECANCELED;
}

/* ---- answers ------------------------------------------------------------------------- */

static bool add_resolved(struct names *names, const struct resolved *known)
{
	for (size_t i = 0; known && i < known->count; i++) {
		const struct resolved_frame *from = &known->frames[i];
		struct frame_line line = {.function = from->function,
					  .file = from->file,
					  .line = from->line,
					  .inlined = from->inlined};

		if (!vec_push(&names->lines, line))
			return false;
	}
	return true;
}

/* What the snapshot file says of it, where that is a name; NULL: nothing. */
static const struct named_frame *named_by_file(const struct frame_names *file, frame_t frame)
{
	const struct named_frame *named = file ? frame_names_find(file, frame) : NULL;

	return named && named->count && file->lines[named->first + named->count - 1].function
		       ? named
		       : NULL;
}

/* The lines of a frame by whoever has a name for it; by nobody: what the first one asked
 * said, if anything (a file and line without a function). */
static bool add_known(struct names *names, frame_t frame)
{
	const struct frame_names *file = names->symbols ? names->symbols->known : NULL;
	struct found *found = &names->found[frame_instance(frame) - 1];
	const struct named_frame *named;
	struct frame_line generated = {
		.function = generated_find(&names->snapshot->generated, frame)};

	if (generated.function) {
		found->generated = true;
		return vec_push(&names->lines, generated);
	}
	if (named_by(names->resolver, frame)) {
		found->by_resolver = true;
		return add_resolved(names, named_by(names->resolver, frame));
	}
	if (named_by(names->local, frame)) {
		found->by_local = true;
		return add_resolved(names, named_by(names->local, frame));
	}
	named = named_by_file(file, frame);
	if (!named)
		return !names->resolver ||
		       add_resolved(names, resolver_find(names->resolver, frame_instance(frame),
							 frame_lookup_offset(frame)));
	found->by_file = true;
	for (uint32_t i = 0; i < named->count; i++)
		if (!vec_push(&names->lines, file->lines[named->first + i]))
			return false;
	return true;
}

/* The symbol that the target side knows, for a line without a function. */
static void add_symbol(struct names *names, const struct snapshot_module *module, frame_t frame,
		       struct frame_line *line)
{
	const struct report_names *symbols = names->symbols;

	if (line->function || !symbols || !symbols->symbol)
		return;
	line->function = line->symbol =
		symbols->symbol(symbols->arg, module, frame_lookup_offset(frame), &line->base);
	if (line->function)
		names->found[frame_instance(frame) - 1].by_symbols = true;
}

/* The lines of one frame; at least one; on request without where they are. */
static bool find_lines(struct names *names, struct named_frame *named, bool no_lines)
{
	uint32_t instance = frame_instance(named->frame);
	const struct snapshot_module *module = snapshot_module(names->snapshot, instance);
	const struct frame_line none = {0};
	struct frame_line *last;

	named->first = (uint32_t)names->lines.len;
	if (module && !add_known(names, named->frame))
		return false;
	if (names->lines.len == named->first && !vec_push(&names->lines, none))
		return false;
	named->count = (uint32_t)names->lines.len - named->first;
	last = &names->lines.at[names->lines.len - 1];
	for (uint32_t i = named->first; no_lines && i < names->lines.len; i++) {
		names->lines.at[i].file = NULL;
		names->lines.at[i].line = 0;
	}
	if (module && !generated_is_module(&module->id))
		add_symbol(names, module, named->frame, last);
	if (module && !last->function)
		names->found[instance - 1].nameless = true;
	return true;
}

/* What the snapshot file says of where the names of a module were from. */
static const char *source_by_file(const struct names *names, uint32_t instance)
{
	const struct frame_names *file = names->symbols ? names->symbols->known : NULL;

	return file && file->sources && instance <= file->module_count
		       ? file->sources[instance - 1]
		       : NULL;
}

static const char *source_of(const struct names *names, uint32_t instance)
{
	const struct found *found = &names->found[instance - 1];
	const char *source =
		names->resolver ? resolver_source(names->resolver, instance) : NULL;
	bool nowhere = !source || !strcmp(source, RESOLVER_NOWHERE);

	if (found->generated)
		return "what its runtime wrote down";
	if (found->by_local)
		return resolver_source(names->local, instance);
	if (!found->by_resolver && (found->by_file || nowhere) &&
	    source_by_file(names, instance))
		return source_by_file(names, instance);
	if (!source && found->by_symbols)
		return "dynamic symbols";
	return source;
}

static int find_all(struct names *names, struct progress *progress)
{
	for (size_t i = 0; i < names->frames.len; i++) {
		if (!progress_step(progress, "naming frames", i, names->frames.len))
			return -ECANCELED;
		if (!find_lines(names, &names->frames.at[i], progress->options->no_lines))
			return -ENOMEM;
	}
	for (size_t i = 0; i < names->snapshot->module_count; i++)
		names->sources[i] = source_of(names, (uint32_t)i + 1);
	names->values = (struct frame_names){
		.frames = names->frames.at,
		.frame_count = names->frames.len,
		.lines = names->lines.at,
		.line_count = names->lines.len,
		.sources = names->sources,
		.module_count = names->snapshot->module_count,
	};
	return 0;
}

/* ---- the whole ----------------------------------------------------------------------- */

static struct names *names_begin(const struct snapshot *snapshot, struct resolver *resolver,
				 const struct report_names *symbols)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return NULL;
	names->snapshot = snapshot;
	names->resolver = resolver;
	names->symbols = symbols;
	names->local = symbols ? symbols->local : NULL;
	names->found = calloc(snapshot->module_count + 1, sizeof(*names->found));
	names->sources = calloc(snapshot->module_count + 1, sizeof(*names->sources));
	if (names->found && names->sources)
		return names;
	names_destroy(names);
	return NULL;
}

int names_create(const struct snapshot *snapshot, struct resolver *resolver,
		 const struct report_names *symbols, const uint32_t *ids, size_t count,
		 struct progress *progress, struct names **ret, struct err *err)
{
	struct names *names = names_begin(snapshot, resolver, symbols);
	int failed = names && gather(names, ids, count) ? 0 : -ENOMEM;

	if (!failed)
		failed = ask(names, progress);
	if (!failed)
		failed = find_all(names, progress);
	if (!failed) {
		*ret = names;
		return 0;
	}
	names_destroy(names);
	if (failed == -ECANCELED)
		return progress_cancelled(err);
	return err_set(err, -ENOMEM, "out of memory for the names of %zu call stacks", count);
}

void names_destroy(struct names *names)
{
	if (!names)
		return;
	frame_table_deinit(&names->table);
	vec_deinit(&names->frames);
	vec_deinit(&names->lines);
	free(names->sources);
	free(names->found);
	free(names);
}

/* ---- asked --------------------------------------------------------------------------- */

const struct frame_names *names_values(const struct names *names)
{
	return &names->values;
}

const struct named_frame *names_find(const struct names *names, frame_t frame)
{
	uint32_t i = frame_table_find(&names->table, frame);

	return i < names->frames.len ? &names->frames.at[i] : NULL;
}

struct names_line names_line(const struct names *names, const struct named_frame *named,
			     uint32_t i)
{
	return (struct names_line){
		.frame = named->frame,
		.module = snapshot_module(names->snapshot, frame_instance(named->frame)),
		.name = names->values.lines[named->first + i],
	};
}

uint32_t names_count_folded(const struct names *names, const struct named_frame *named)
{
	uint32_t count = 0;

	while (count < named->count &&
	       fold_is_allocator(names->values.lines[named->first + count].function))
		count++;
	return count;
}

static bool is_module(const struct names *names, uint32_t instance)
{
	return instance && instance <= names->snapshot->module_count;
}

const char *names_source(const struct names *names, uint32_t instance)
{
	return is_module(names, instance) ? names->sources[instance - 1] : NULL;
}

bool names_are_missing(const struct names *names, uint32_t instance)
{
	return is_module(names, instance) && names->found[instance - 1].nameless;
}
