/*
 * Names, in four passes: gather (each node of the tree once, however many stacks
 * share it), sort (by module and offset), ask (a batch per module), render.
 *
 *   contexts --> nodes --> frames, distinct and sorted --> text, and where in it
 *                              |  ^
 *                   per module v  | resolved / symbol
 *                            resolver
 */
#include "report/names.h"

#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"
#include "report/fold.h"

/* What came out for a module. */
struct found {
	bool by_symbols; /* some name is from the dynamic symbols */
	bool by_local;	 /* some name is from report_names.local */
	bool nameless;	 /* some frame has no name */
};

struct names {
	const struct snapshot *snapshot;
	struct resolver *resolver, *local;
	const struct report_names *symbols;
	VEC(struct names_entry) entries; /* sorted: compare_frames() */
	VEC(struct names_line) lines;	 /* of the frame being rendered */
	struct found *found;		 /* by instance - 1 */
	char *text;
	size_t text_len;
};

/* By module, then offset; the flags last, so that the offsets of a module ascend. */
static int compare_frames(frame_t a, frame_t b)
{
	const frame_t flags = FRAME_EXACT | FRAME_GUESS;
	frame_t x = a & ~flags, y = b & ~flags;

	if (x == y) {
		x = a;
		y = b;
	}
	return x < y ? -1 : x > y;
}

static int compare_entries(const void *a, const void *b)
{
	const struct names_entry *x = a, *y = b;

	return compare_frames(x->frame, y->frame);
}

static int compare_offsets(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The frames of the contexts, each node once; then sorted, each frame once. */
static bool gather(struct names *names, const uint32_t *ids, size_t count)
{
	const struct snapshot *s = names->snapshot;
	bool *seen = calloc(s->node_count, sizeof(*seen));
	size_t kept = 0;

	if (!seen)
		return false;
	for (size_t i = 0; i < count; i++) {
		uint32_t node = s->contexts[ids[i]].node;

		for (; node >= WALK_ENDS && !seen[node]; node = s->nodes[node].parent) {
			struct names_entry entry = {.frame = s->nodes[node].frame};

			seen[node] = true;
			if (!vec_push(&names->entries, entry)) {
				free(seen);
				return false;
			}
		}
	}
	free(seen);
	if (!names->entries.len)
		return true;
	qsort(names->entries.at, names->entries.len, sizeof(*names->entries.at),
	      compare_entries);
	for (size_t i = 0; i < names->entries.len; i++)
		if (!kept || names->entries.at[kept - 1].frame != names->entries.at[i].frame)
			names->entries.at[kept++] = names->entries.at[i];
	names->entries.len = kept;
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

/* Hands the questions about the entries [begin, end), all of one module, over; to the local one
 * those that the other has no answer to. */
static void want(struct names *names, struct resolver *resolver, size_t begin, size_t end)
{
	uint32_t instance = frame_instance(names->entries.at[begin].frame);
	const struct snapshot_module *m = snapshot_module(names->snapshot, instance);
	uint64_t *offsets = m ? malloc((end - begin) * sizeof(*offsets)) : NULL;
	struct resolver_module module;
	size_t count = 0, kept = 0;

	if (!offsets)
		return;
	for (size_t i = begin; i < end; i++)
		if (resolver == names->resolver ||
		    !named_by(names->resolver, names->entries.at[i].frame))
			offsets[count++] = frame_lookup_offset(names->entries.at[i].frame);
	qsort(offsets, count, sizeof(*offsets), compare_offsets);
	for (size_t i = 0; i < count; i++)
		if (!kept || offsets[kept - 1] != offsets[i])
			offsets[kept++] = offsets[i];
	module = names_module(m, names->snapshot->pid);
	if (kept)
		resolver_want(resolver, &module, offsets, kept, NULL);
	free(offsets);
}

/* Asks for everything, then waits once.  A resolver that is lost on the way is no
 * failure of the report: what it does not know is shown as the target side knows it.  False:
 * nobody waits for it any more. */
static bool load(struct names *names, struct resolver *resolver, struct progress *progress)
{
	const struct names_entry *entries = names->entries.at;
	size_t end;

	if (!resolver)
		return true;
	for (size_t begin = 0; begin < names->entries.len; begin = end) {
		uint32_t instance = frame_instance(entries[begin].frame);

		end = begin + 1;
		while (end < names->entries.len &&
		       frame_instance(entries[end].frame) == instance)
			end++;
		if (instance != FRAME_NOWHERE)
			want(names, resolver, begin, end);
	}
	return resolver_wait(resolver, load_progress, progress, NULL) != -ECANCELED;
}

/* The symbol that the target side knows, for a line without a function. */
static void add_symbol(struct names *names, struct names_line *line)
{
	const struct report_names *symbols = names->symbols;

	if (line->function || !line->module || !symbols || !symbols->symbol)
		return;
	line->function = symbols->symbol(symbols->arg, line->module,
					 frame_lookup_offset(line->frame), &line->base);
	if (line->function)
		names->found[frame_instance(line->frame) - 1].by_symbols = true;
}

/* Fills names->lines with those of one frame; at least one. */
static bool collect_lines(struct names *names, frame_t frame)
{
	uint32_t instance = frame_instance(frame);
	struct names_line line = {.frame = frame,
				  .module = snapshot_module(names->snapshot, instance)};
	const struct resolved *known = NULL;
	struct names_line *last;

	vec_clear(&names->lines);
	if (line.module && names->resolver)
		known = resolver_find(names->resolver, instance, frame_lookup_offset(frame));
	if (line.module && names->local && !named_by(names->resolver, frame) &&
	    named_by(names->local, frame)) {
		known = named_by(names->local, frame);
		names->found[instance - 1].by_local = true;
	}
	for (size_t i = 0; known && i < known->count; i++) {
		line.function = known->frames[i].function;
		line.file = known->frames[i].file;
		line.line = known->frames[i].line;
		line.inlined = known->frames[i].inlined;
		if (!vec_push(&names->lines, line))
			return false;
	}
	if (!names->lines.len && !vec_push(&names->lines, line))
		return false;
	last = &names->lines.at[names->lines.len - 1];
	add_symbol(names, last);
	if (last->module && !last->function)
		names->found[instance - 1].nameless = true;
	return true;
}

static void count_folded(struct names *names, struct names_entry *entry)
{
	size_t folded = 0;

	while (folded < names->lines.len && fold_is_allocator(names->lines.at[folded].function))
		folded++;
	entry->folded = (unsigned)folded;
	entry->all_folded = folded == names->lines.len;
}

static int render_all(struct names *names, struct progress *progress, names_render *render,
		      void *arg)
{
	FILE *out = open_memstream(&names->text, &names->text_len);
	size_t begin = 0;
	int failed = 0;

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < names->entries.len && !failed; i++) {
		struct names_entry *entry = &names->entries.at[i];
		off_t end;

		if (!progress_step(progress, "naming frames", i, names->entries.len))
			failed = -ECANCELED;
		else if (!collect_lines(names, entry->frame))
			failed = -ENOMEM;
		if (failed)
			break;
		count_folded(names, entry);
		render(out, names->lines.at, names->lines.len, arg);
		end = ftello(out);
		if (end < 0)
			failed = -ENOMEM;
		entry->begin = begin;
		entry->len = (size_t)end - begin;
		begin = (size_t)end;
	}
	if (ferror(out))
		failed = -ENOMEM;
	return fclose(out) && !failed ? -ENOMEM : failed;
}

int names_create(const struct snapshot *snapshot, struct resolver *resolver,
		 const struct report_names *symbols, const uint32_t *ids, size_t count,
		 struct progress *progress, names_render *render, void *arg, struct names **ret,
		 struct err *err)
{
	struct names *names = calloc(1, sizeof(*names));
	int failed = -ENOMEM;

	if (names) {
		names->snapshot = snapshot;
		names->resolver = resolver;
		names->symbols = symbols;
		names->local = symbols ? symbols->local : NULL;
		names->found = calloc(snapshot->module_count + 1, sizeof(*names->found));
		if (names->found && gather(names, ids, count))
			failed = load(names, names->resolver, progress) &&
						 load(names, names->local, progress)
					 ? 0
					 : -ECANCELED;
	}
	if (!failed)
		failed = render_all(names, progress, render, arg);
	if (failed) {
		names_destroy(names);
		if (failed == -ECANCELED)
			return progress_cancelled(err);
		return err_set(err, -ENOMEM, "out of memory for the names of %zu call stacks",
			       count);
	}
	*ret = names;
	return 0;
}

void names_destroy(struct names *names)
{
	if (!names)
		return;
	vec_deinit(&names->entries);
	vec_deinit(&names->lines);
	free(names->found);
	free(names->text);
	free(names);
}

const struct names_entry *names_find(const struct names *names, frame_t frame)
{
	struct names_entry key = {.frame = frame};

	if (!names->entries.len)
		return NULL;
	return bsearch(&key, names->entries.at, names->entries.len, sizeof(key),
		       compare_entries);
}

const char *names_text(const struct names *names, const struct names_entry *entry)
{
	return names->text + entry->begin;
}

static const struct found *found(const struct names *names, uint32_t instance)
{
	static const struct found nothing;

	return instance && instance <= names->snapshot->module_count
		       ? &names->found[instance - 1]
		       : &nothing;
}

bool names_used_symbols(const struct names *names, uint32_t instance)
{
	return found(names, instance)->by_symbols;
}

bool names_used_local(const struct names *names, uint32_t instance)
{
	return found(names, instance)->by_local;
}

bool names_are_missing(const struct names *names, uint32_t instance)
{
	return found(names, instance)->nameless;
}
