/* The table of them. */
#include "report/export/viewers.h"

report_form_fn *const report_viewers[] = {
	[REPORT_PPROF] = pprof_write,	      [REPORT_SPEEDSCOPE] = speedscope_write,
	[REPORT_HEAPTRACK] = heaptrack_write, [REPORT_DHAT] = dhat_write,
	[REPORT_MASSIF] = massif_write,	      [REPORT_GPERFTOOLS] = gperftools_write,
	[REPORT_HTML] = html_write,
	[REPORT_JUNIT] = junit_write,	      [REPORT_SARIF] = sarif_write,
};
