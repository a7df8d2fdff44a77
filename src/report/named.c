/* Names first, all of them; text of them last. */
#include "report/named.h"

int report_names_create(struct report_job *job, struct names **ret, struct err *err)
{
	return names_create(job->snapshot, job->resolver, job->symbols,
			    job->named ? job->named : job->ids,
			    job->named ? job->named_count : job->shown, &job->progress, ret,
			    err);
}

int named_create(struct report_job *job, rendered_line_fn *write, struct named *ret,
		 struct err *err)
{
	int failed = report_names_create(job, &ret->names, err);

	if (failed)
		return failed;
	failed = rendered_create(ret->names, write, job->options, &job->progress, &ret->text,
				 err);
	if (failed)
		names_destroy(ret->names);
	return failed;
}

void named_destroy(struct named *named)
{
	rendered_destroy(named->text);
	names_destroy(named->names);
}
