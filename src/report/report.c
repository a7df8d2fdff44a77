/*
 * A report, from the choice of contexts to the last byte.
 *
 *   snapshot --select--> ids --names--> values of each frame --text/json/folded--> out
 *            --all-------------names--> values of each frame --snapshot file, export/--> out
 */
#include "report/report.h"

#include <errno.h>
#include <stdlib.h>

#include "report/aggregate.h"
#include "report/job.h"
#include "report/leaks.h"
#include "report/start_up.h"
#include "report/top.h"

static int choose_one(const struct snapshot *snapshot, uint32_t context, uint32_t **ret,
		      size_t *count, struct err *err)
{
	if (snapshot->context_count <= 1) /* (the first is where stacks begin) */
		return err_set(err, -ENOENT, "there are no call stacks yet");
	if (context >= snapshot->context_count)
		return err_set(err, -ENOENT, "no call stack has the id %u (there are 1 to %u)",
			       context, snapshot->context_count - 1);
	*ret = malloc(sizeof(**ret));
	if (!*ret)
		return err_set(err, -ENOMEM, "out of memory");
	**ret = context;
	*count = 1;
	return 0;
}

#define FORMATS                                                                                    \
	[REPORT_TEXT] = "text", [REPORT_JSON] = "json", [REPORT_FOLDED] = "folded",                \
	[REPORT_PPROF] = "pprof", [REPORT_SPEEDSCOPE] = "speedscope",                              \
	[REPORT_HEAPTRACK] = "heaptrack", [REPORT_DHAT] = "dhat", [REPORT_MASSIF] = "massif",      \
	[REPORT_GPERFTOOLS] = "gperftools", [REPORT_HTML] = "html",                              \
	[REPORT_SNAPSHOT] = "snapshot"

const char *const report_formats[] = {FORMATS, NULL};
const char *const report_formats_of_files[] = {FORMATS, [REPORT_JUNIT] = "junit",
					       [REPORT_SARIF] = "sarif", NULL};

bool report_is_binary(enum report_format format)
{
	return format == REPORT_SNAPSHOT || format == REPORT_PPROF;
}

bool report_is_viewers(enum report_format format)
{
	return (format >= REPORT_PPROF && format <= REPORT_HTML) || report_is_results(format);
}

bool report_is_results(enum report_format format)
{
	return format == REPORT_JUNIT || format == REPORT_SARIF;
}

static report_form_fn *const writers[] = {
	[REPORT_TEXT] = text_write,
	[REPORT_JSON] = json_write,
	[REPORT_FOLDED] = folded_write,
	[REPORT_SNAPSHOT] = snapshot_form_write,
};

/* They are sorted: how many have lost blocks. */
static size_t count_lost(const struct findings *findings, const uint32_t *ids, size_t count)
{
	size_t lost = 0;

	while (lost < count && ids[lost] < findings->context_count &&
	       (findings_gone(&findings->contexts[ids[lost]].sums) ||
		findings->contexts[ids[lost]].sums.perhaps.blocks))
		lost++;
	return lost;
}

/* Nothing but what changed. */
static bool is_diff(const struct report_options *options)
{
	return options->diff && options->format != REPORT_HTML;
}

/* They are sorted by growth. */
static int choose_changed(const struct report_options *options, uint32_t **ret, size_t *count,
			  struct err *err)
{
	const struct diff *diff = options->diff;

	*count = options->all ? diff->count : diff->grown;
	*ret = malloc((*count + 1) * sizeof(**ret));
	if (!*ret)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < *count; i++)
		(*ret)[i] = diff->at[i].id;
	return 0;
}

/* Of what was mapped: all of it, or one call stack's; and whose frames get names. */
static int choose_mapped(struct report_job *job, struct mapped_sum **sums, uint32_t **named,
			 struct err *err)
{
	const struct snapshot *s = job->snapshot;
	const struct report_options *options = job->options;
	size_t count = 0;

	if (!mapped_sums(s->mappings, s->mapping_count, sums, &count))
		return err_set(err, -ENOMEM, "memory is short");
	for (size_t i = 0; options->context && i < count; i++)
		if ((*sums)[i].context == options->context)
			(*sums)[0] = (*sums)[i];
	if (options->context)
		count = count && (*sums)[0].context == options->context;
	*named = malloc((job->shown + count + 1) * sizeof(**named));
	if (!*named)
		return err_set(err, -ENOMEM, "memory is short");
	job->mapped = *sums;
	job->mapped_count = count;
	job->mapped_shown = options->count && options->count < count ? options->count : count;
	for (size_t i = 0; i < job->shown; i++)
		(*named)[i] = job->ids[i];
	for (size_t i = 0; i < job->mapped_shown; i++)
		(*named)[job->shown + i] = (*sums)[i].context;
	job->named = *named;
	job->named_count = job->shown + job->mapped_shown;
	return 0;
}

/* Blocks of starting up are told apart where the report is on what is in use. */
static bool tells_start_up(const struct report_options *options)
{
	return options->start_up && !options->context && !options->leaks_only && !options->top &&
	       !options->tree && !options->by && !options->diff &&
	       (options->format == REPORT_TEXT || options->format == REPORT_JSON ||
		options->format == REPORT_HTML);
}

static int find_start_up(struct report_job *job, uint32_t *ids, struct start_up *ret,
			 struct err *err)
{
	const struct report_options *options = job->options;
	int failed = tells_start_up(options) ? options->start_up(job, ids, ret, err) : 0;

	if (!failed && ret->is)
		job->start_up = ret;
	return failed;
}

static int write_form(struct report_job *job, FILE *out, struct err *err)
{
	const struct report_options *options = job->options;

	if (options->top)
		return top_write(job, out, err);
	if (options->tree)
		return tree_write(job, out, err);
	if (options->by)
		return by_write(job, out, err);
	if (is_diff(options))
		return diff_write(job, out, err);
	if (!report_is_viewers(options->format))
		return writers[options->format](job, out, err);
	if (!options->viewers)
		return err_set(err, -ENOTSUP,
			       "this memtrace is a small one: save a snapshot, and 'memtrace-fs "
			       "--report FILE --format=%s' makes it of that",
			       report_formats[options->format]);
	return options->viewers[options->format](job, out, err);
}

int report_write(const struct snapshot *snapshot, struct resolver *resolver,
		 const struct report_names *names, const struct report_options *options,
		 FILE *out, struct err *err)
{
	struct snapshot shown = *snapshot;
	struct report_job job = {
		.snapshot = &shown,
		.resolver = resolver,
		.symbols = names,
		.options = options,
	};
	uint32_t *ids = NULL, *named = NULL;
	struct mapped_sum *sums = NULL;
	struct start_up start_up = {0};
	int failed;

	if (options->no_command)
		shown.command = NULL;
	if (options->context)
		failed = choose_one(snapshot, options->context, &ids, &job.count, err);
	else if (is_diff(options))
		failed = choose_changed(options, &ids, &job.count, err);
	else
		failed = snapshot_select(snapshot, options->order, options->all, &ids,
					 &job.count, err);
	if (failed)
		return failed;
	if (options->findings && !options->findings_earlier && !options->context)
		leaks_sort(options->findings, ids, job.count);
	if (options->top)
		top_sort(options->top, snapshot, ids, job.count);
	if (options->findings && options->leaks_only)
		job.count = count_lost(options->findings, ids, job.count);
	progress_init(&job.progress, options);
	if (options->old && !options->context)
		filter_ages(&job, ids);
	if ((options->in || options->not_in) && !options->context)
		failed = filter_contexts(&job, ids, err);
	if (!failed)
		failed = find_start_up(&job, ids, &start_up, err);
	job.ids = ids;
	job.shown = options->count && options->count < job.count ? options->count : job.count;
	if (!failed && snapshot->mapping_count && !options->leaks_only && !options->diff)
		failed = choose_mapped(&job, &sums, &named, err);
	errno = 0;
	if (!failed)
		failed = write_form(&job, out, err);
	if (!failed && fflush(out))
		failed = report_check(out, err);
	progress_end(&job.progress);
	free(start_up.is);
	free(sums);
	free(named);
	free(ids);
	return failed;
}
