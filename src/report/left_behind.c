/*
 * What stays of memtrace in the process when it has been let go, in both forms: mostly nothing,
 * and then nothing is said.
 *
 *     left behind: memtrace's stubs stay in pid 4711, unused, ...
 */
#include "report/job.h"
#include "report/utf8.h"

void left_behind_text(const struct snapshot *snapshot, FILE *out)
{
	for (char **left = snapshot->left_behind; left && *left; left++) {
		fputs("left behind: ", out);
		utf8_print(out, *left);
		putc('\n', out);
	}
}

void left_behind_json(const struct snapshot *snapshot, FILE *out)
{
	if (!snapshot->left_behind)
		return;
	fputs("  \"left_behind\": [", out);
	for (char **left = snapshot->left_behind; *left; left++) {
		fputs(left > snapshot->left_behind ? ", " : "", out);
		json_string(out, *left);
	}
	fputs("],\n", out);
}
