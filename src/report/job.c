/* What every form of a report asks about its job. */
#include "report/job.h"

#include <errno.h>

int report_check(FILE *out, struct err *err)
{
	int code;

	if (!ferror(out))
		return 0;
	code = errno ? -errno : -EIO;
	return err_sys(err, code, "the report can't be written");
}

struct report_left_out report_left_out(const struct report_job *job)
{
	struct report_left_out sum = job->options->left_out;

	sum.contexts += job->count - job->shown;
	for (size_t i = job->shown; i < job->count; i++) {
		sum.bytes += report_in_use_bytes(&job->snapshot->contexts[job->ids[i]]);
		sum.blocks += report_in_use_blocks(&job->snapshot->contexts[job->ids[i]]);
	}
	return sum;
}
