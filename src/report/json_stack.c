/* What a call stack of whatever kind has in JSON: its frames, why they end, times. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "report/job.h"
#include "report/named.h"

/* By enum walk_end; these words are part of the format. */
static const char *const end_words[] = {
	[WALK_ROOT] = "root",
	[WALK_DEPTH] = "depth",
	[WALK_NO_DATA] = "no-unwind-data",
	[WALK_NO_MODULE] = "no-module",
	[WALK_UNREADABLE] = "unreadable",
	[WALK_LOOP] = "loop",
	[WALK_FULL] = "unknown",
	[WALK_LOST] = "lost",
	[WALK_NO_CODE] = "no-code",
};
_Static_assert(ARRAY_SIZE(end_words) == WALK_ENDS, "a word for each end");

const char *json_word_of(enum walk_end end)
{
	return end_words[end];
}

enum walk_end json_end_of(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(end_words); i++)
		if (!strcmp(word, end_words[i]))
			return (enum walk_end)i;
	return WALK_FULL;
}

/* RFC 3339, UTC; to the second, or the hundredth of it. */
void json_time(FILE *out, const struct timespec *when, bool hundredths)
{
	struct tm tm;

	if (!gmtime_r(&when->tv_sec, &tm)) {
		fputs("null", out);
		return;
	}
	fprintf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (hundredths)
		fprintf(out, ".%02ld", when->tv_nsec / 10000000);
	fputs("Z\"", out);
}

void json_ticks(FILE *out, const struct snapshot *s, uint32_t ticks)
{
	uint32_t ago = ticks < s->ticks_now ? s->ticks_now - ticks : 0;
	struct timespec when = s->taken;

	when.tv_sec -= ago / 100;
	when.tv_nsec -= (long)(ago % 100) * 10000000;
	if (when.tv_nsec < 0) {
		when.tv_nsec += 1000000000;
		when.tv_sec--;
	}
	json_time(out, &when, true);
}

void json_stack(FILE *out, const struct report_job *job, const struct named *names, uint32_t id)
{
	frame_t frames[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(job->snapshot, id, frames, ARRAY_SIZE(frames), &end);

	fputs(",\n     \"stack\": [", out);
	for (size_t i = 0; i < count; i++) {
		const struct named_frame *named = names_find(names->names, frames[i]);

		for (uint32_t k = 0; named && k < named->count; k++) {
			size_t len;
			const char *text =
				rendered_text(names->text, named->first + k, 1, &len);

			fputs(i || k ? ",\n" : "\n", out);
			fwrite(text, 1, len, out);
		}
	}
	fprintf(out, "],\n     \"stack_end\": \"%s\"}", end_words[end]);
}
