/* How long a look may take; see leak_limit.h. */
#include "cli/leak_limit.h"

#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"

static bool stands_too_long(const struct leak_scan *scan)
{
	const struct leak_scan_options *options = &scan->options;

	return scan->look->stopped && options->max_pause_ms && !options->at_end &&
	       clock_ns() - scan->look->since > (int64_t)options->max_pause_ms * 1000000;
}

bool leak_limit_goes_on(const struct leak_scan *scan)
{
	struct detacher *detacher = scan->options.detacher;

	if (detacher && (detacher_is_cancelled(detacher) || atomic_load(&detacher->left)))
		return false;
	return !stands_too_long(scan);
}

int leak_limit_tell(const struct leak_scan *scan, int rc, struct err *err)
{
	if (rc != -ECANCELED || !stands_too_long(scan))
		return rc;
	return err_set(err, -EBUSY,
		       "the look was given up: the process can't be copied (%.200s), and has stood for "
		       "the %" PRIu64 " ms that --max-pause allows",
		       scan->look->picture->why, scan->options.max_pause_ms);
}
