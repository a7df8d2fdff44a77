/*
 * A report, from the choice of contexts to the last byte.
 *
 *   snapshot --select--> ids --names--> values of each frame --text/json/folded--> out
 *            --all-------------names--> values of each frame --snapshot file--> out
 */
#include "report/report.h"

#include <errno.h>
#include <stdlib.h>

#include "report/job.h"
#include "report/leaks.h"

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

static int (*const writers[])(struct report_job *job, FILE *out, struct err *err) = {
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

int report_write(const struct snapshot *snapshot, struct resolver *resolver,
		 const struct report_names *names, const struct report_options *options,
		 FILE *out, struct err *err)
{
	struct report_job job = {
		.snapshot = snapshot,
		.resolver = resolver,
		.symbols = names,
		.options = options,
	};
	uint32_t *ids = NULL;
	int failed;

	if (options->context)
		failed = choose_one(snapshot, options->context, &ids, &job.count, err);
	else if (options->diff)
		failed = choose_changed(options, &ids, &job.count, err);
	else
		failed = snapshot_select(snapshot, options->order, options->all, &ids,
					 &job.count, err);
	if (failed)
		return failed;
	if (options->findings && !options->context)
		leaks_sort(options->findings, ids, job.count);
	if (options->leaks_only)
		job.count = count_lost(options->findings, ids, job.count);
	job.ids = ids;
	job.shown = options->count && options->count < job.count ? options->count : job.count;
	progress_init(&job.progress, options);
	errno = 0;
	failed = (options->diff ? diff_write : writers[options->format])(&job, out, err);
	if (!failed && fflush(out))
		failed = report_check(out, err);
	progress_end(&job.progress);
	free(ids);
	return failed;
}
