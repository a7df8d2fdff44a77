/* Progress: the clock is asked here, so that what works only counts. */
#include "report/progress.h"

#include <errno.h>

#include "base/clock.h"

enum { SILENT_MS = 1000, EVERY_MS = 100 };

void progress_init(struct progress *progress, const struct report_options *options)
{
	*progress = (struct progress){.options = options, .start = clock_ms()};
}

bool progress_step(struct progress *progress, const char *what, size_t done, size_t count)
{
	const struct report_options *options = progress->options;
	int64_t now;

	if (options->cancelled && options->cancelled(options->cancelled_arg))
		return false;
	if (!options->progress)
		return true;
	now = clock_ms();
	if (now - progress->start < SILENT_MS || now - progress->last < EVERY_MS)
		return true;
	progress->last = now;
	options->progress(options->progress_arg, what, done, count);
	return true;
}

int progress_cancelled(struct err *err)
{
	return err_set(err, -ECANCELED, "cancelled");
}

void progress_end(struct progress *progress)
{
	const struct report_options *options = progress->options;

	if (progress->last)
		options->progress(options->progress_arg, "", 0, 0);
	progress->last = 0;
}
