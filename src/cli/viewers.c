/*
 * A static memtrace is for a device and must be small; memtrace-fs, where there is room, makes
 * the same of its snapshots.
 */
#include "cli/viewers.h"

#include "report/export/viewers.h"
#include "report/start_up.h"

report_form_fn *const *viewers(void)
{
#ifdef MEMTRACE_SMALL
	return NULL;
#else
	return report_viewers;
#endif
}

viewers_pages_fn *viewers_pages(void)
{
#ifdef MEMTRACE_SMALL
	return NULL;
#else
	return html_pages;
#endif
}

report_start_up_fn *viewers_start_up(void)
{
#ifdef MEMTRACE_SMALL
	return NULL;
#else
	return start_up_find;
#endif
}
