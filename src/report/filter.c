/*
 * --min-age, --in and --not: of the call stacks of a report, those that pass through something, or do not.
 *
 * What is named may be a function, a file or a module, of any frame: NAME is a pattern of
 * glob_matches() for the whole name, or for what people call it (without arguments, template
 * arguments and scopes; without directories).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/glob.h"
#include "base/scope.h"
#include "heap/births.h"
#include "report/aggregate.h"

static bool is(const char *pattern, const char *text)
{
	return text && glob_matches(pattern, text);
}

static const char *last_part(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

/* "ns::List<int>::insert(int)": as "insert", "ns::List<int>::insert". */
static bool is_function(const char *pattern, const char *function)
{
	scope_free char *own = function ? strndup(function, strcspn(function, "(")) : NULL;
	char *scope = own;
	int depth = 0;

	if (is(pattern, function) || is(pattern, own))
		return true;
	for (char *at = own; at && *at; at++) {
		depth += (*at == '<') - (*at == '>');
		if (!depth && at[0] == ':' && at[1] == ':')
			scope = at + 2;
	}
	return scope != own && is(pattern, scope);
}

bool filter_is_named(const struct names_line *line, const char *pattern)
{
	const char *module = line->module ? line->module->id.path : NULL;

	return is_function(pattern, line->name.function) || is(pattern, line->name.file) ||
	       is(pattern, last_part(line->name.file)) || is(pattern, module) ||
	       is(pattern, last_part(module));
}

static bool passes(const struct snapshot *s, const struct names *names, uint32_t id,
		   const char *pattern)
{
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(s, id, frames, ARRAY_SIZE(frames), &end);

	for (size_t i = 0; i < count; i++) {
		const struct named_frame *named = names_find(names, frames[i]);

		for (uint32_t k = 0; named && k < named->count; k++) {
			const struct names_line line = names_line(names, named, k);

			if (filter_is_named(&line, pattern))
				return true;
		}
	}
	return false;
}

void filter_ages(struct report_job *job, uint32_t *ids)
{
	const struct report_options *o = job->options;
	size_t kept = 0;

	for (size_t i = 0; i < job->count; i++)
		if (ids[i] < o->old_count && o->old[ids[i]].sure + o->old[ids[i]].unsure)
			ids[kept++] = ids[i];
	job->count = kept;
}

int filter_contexts(struct report_job *job, uint32_t *ids, struct err *err)
{
	const struct report_options *o = job->options;
	struct names *names;
	size_t kept = 0;
	int failed = names_create(job->snapshot, job->resolver, job->symbols, ids, job->count,
				  &job->progress, &names, err);

	if (failed)
		return failed;
	for (size_t i = 0; i < job->count; i++)
		if ((!o->in || passes(job->snapshot, names, ids[i], o->in)) &&
		    (!o->not_in || !passes(job->snapshot, names, ids[i], o->not_in)))
			ids[kept++] = ids[i];
	job->count = kept;
	names_destroy(names);
	return 0;
}
