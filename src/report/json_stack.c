/*
 * What a call stack of whatever kind has in JSON: frames or their numbers, why they end, times.
 *
 * Frames are numbered as they are met, the worst call stack first: those that most stacks have
 * in common, and a reader looks at, have small numbers.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/job.h"

/* Up to so many call stacks have their frames themselves, too: simpler to read, as in version 1. */
enum { SPELLED = 1000 };

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
	[WALK_ALONE] = "nobody-there",
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

/* Seconds since `started`. */
void json_ticks(FILE *out, const struct snapshot *s, uint32_t ticks)
{
	uint32_t ago = ticks < s->ticks_now ? s->ticks_now - ticks : 0;
	double since = report_seconds(s) - ago / 100.0;

	fprintf(out, "%.2f", since > 0 ? since : 0);
}

/* Numbers those frames of a context that have none yet. */
static void number_stack(struct json_frames *f, const struct snapshot *s, uint32_t id)
{
	frame_t stack[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(s, id, stack, ARRAY_SIZE(stack), &end);

	for (size_t i = 0; i < count; i++) {
		const struct named_frame *named = names_find(f->names, stack[i]);
		size_t k = named ? (size_t)(named - names_values(f->names)->frames) : 0;

		if (!named || f->numbers[k])
			continue;
		f->order[f->count++] = named;
		f->numbers[k] = f->count;
	}
}

int json_frames_create(struct report_job *job, struct json_frames *ret, struct err *err)
{
	const uint32_t *ids = job->named ? job->named : job->ids;
	size_t count = job->named ? job->named_count : job->shown, frames;
	int failed;

	*ret = (struct json_frames){0};
	failed = report_names_create(job, &ret->names, err);
	if (failed)
		return failed;
	frames = names_values(ret->names)->frame_count + 1;
	ret->numbers = calloc(frames, sizeof(*ret->numbers));
	ret->order = calloc(frames, sizeof(*ret->order));
	if (!ret->numbers || !ret->order) {
		json_frames_destroy(ret);
		return err_set(err, -ENOMEM, "out of memory for %zu frames", frames);
	}
	for (size_t i = 0; i < count; i++)
		number_stack(ret, job->snapshot, ids[i]);
	return 0;
}

void json_frames_destroy(struct json_frames *f)
{
	free(f->numbers);
	free(f->order);
	names_destroy(f->names);
}

/* As in version 1, a function on a line. */
static void spell(FILE *out, const struct report_job *job, const struct json_frames *f,
		  const struct named_frame *named, const char *before)
{
	for (uint32_t i = 0; i < named->count; i++) {
		const struct names_line line = names_line(f->names, named, i);

		fputs(i ? ",\n" : before, out);
		json_frame_whole(out, &line, job->options);
	}
}

void json_stack(FILE *out, const struct report_job *job, const struct json_frames *f,
		uint32_t id)
{
	frame_t stack[REPORT_MAX_FRAMES];
	enum walk_end end;
	size_t count = snapshot_stack(job->snapshot, id, stack, ARRAY_SIZE(stack), &end);
	bool spelled = job->shown <= SPELLED, first = true;

	fputs(spelled ? ",\n     \"stack\": [" : ",\"stack\":[", out);
	for (size_t i = 0; i < count; i++) {
		const struct named_frame *named = names_find(f->names, stack[i]);

		if (!named)
			continue;
		if (spelled)
			spell(out, job, f, named, first ? "\n" : ",\n");
		else
			fprintf(out, "%s%" PRIu32, first ? "" : ",",
				f->numbers[named - names_values(f->names)->frames] - 1);
		first = false;
	}
	fprintf(out, spelled ? "],\n     \"stack_end\": \"%s\"}" : "],\"stack_end\":\"%s\"}",
		end_words[end]);
}
