/* The frames of a report, with their names as values and as text. */
#ifndef MEMTRACE_NAMED_H
#define MEMTRACE_NAMED_H

#include "report/job.h"
#include "report/rendered.h"

struct named {
	struct names *names;
	struct rendered *text;
};

/* Of the contexts that the job shows.  0, -ENOMEM or -ECANCELED. */
int named_create(struct report_job *job, rendered_line_fn *write, struct named *ret,
		 struct err *err) MUST_CHECK;
void named_destroy(struct named *named);

#endif
