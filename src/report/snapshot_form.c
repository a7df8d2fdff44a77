/*
 * The snapshot file of a report: every call stack, with what all frames are called here.
 * Somebody who has more debug files finds more names in it later; nobody has to.
 */
#include "heap/snapshot_file.h"
#include "report/job.h"

int snapshot_form_write(struct report_job *job, FILE *out, struct err *err)
{
	const struct report_options *options = job->options;
	struct names *names;
	int failed = names_create(job->snapshot, job->resolver, job->symbols, NULL,
				  job->snapshot->context_count, &job->progress, &names, err);

	if (failed)
		return failed;
	failed = snapshot_file_write(job->snapshot, names_values(names), options->version,
				     options->depth, out, err);
	names_destroy(names);
	return failed;
}
