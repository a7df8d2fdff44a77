/* Inside report/: one report being written. */
#ifndef MEMTRACE_JOB_H
#define MEMTRACE_JOB_H

#include "report/names.h"

struct report_job {
	const struct snapshot *snapshot;
	struct resolver *resolver;	    /* may be NULL */
	const struct report_names *symbols; /* may be NULL */
	const struct report_options *options;
	struct progress progress;
	const uint32_t *ids; /* the contexts to speak of, in order */
	size_t count;	     /* of ids */
	size_t shown;	     /* so many of them are shown */
	const struct mapped_sum *mapped; /* what was mapped, by call stack */
	size_t mapped_count, mapped_shown;
	const struct start_up *start_up; /* blocks of starting up; or NULL: they are not told apart */
	const uint32_t *named; /* the contexts whose frames get names; NULL: ids[0..shown) */
	size_t named_count;
};

/* The deepest stack there is (-s has the maximum 512). */
enum { REPORT_MAX_FRAMES = 512 };

/* Each form: 0, -ENOMEM, or -errno of a failed write. */
int text_write(struct report_job *job, FILE *out, struct err *err) MUST_CHECK;
int diff_write(struct report_job *job, FILE *out, struct err *err) MUST_CHECK;
/* Its first sentences. */
void diff_head(FILE *out, const struct diff *diff);
int json_write(struct report_job *job, FILE *out, struct err *err) MUST_CHECK;
int folded_write(struct report_job *job, FILE *out, struct err *err) MUST_CHECK;
int snapshot_form_write(struct report_job *job, FILE *out,
			struct err *err) MUST_CHECK; /* a snapshot file */

/* A context's stack, and why it ends where it does: lines, four columns in. */
struct named;
void text_stack(FILE *out, const struct report_job *job, const struct named *names, uint32_t id);

/* Its verdict and what that rests on, if there is one. */
void text_verdict(FILE *out, const struct report_job *job, uint32_t id);
/* What a context had in use at the end of each generation, as one line; nothing where that is not
 * known. */
void sparkline_print(FILE *out, const struct report_job *job, uint32_t id);

/* One line of a frame, four columns in. */
void frames_render(FILE *out, const struct names_line *line,
		   const struct report_options *options);
/* Whether two are shown as the same: without -v. */
bool frames_look_same(const struct names_line *a, const struct names_line *b);

/* The same in JSON: an object, four columns in; of its members those that say where it is, and
 * ", " and each mark that it has.  And a string in quotes, or null; and "0x7f...". */
void json_frame(FILE *out, const struct names *names, const struct named_frame *named,
		const struct report_options *options);
/* One function of it, as it is in a stack that is spelled out. */
void json_frame_whole(FILE *out, const struct names_line *line,
		      const struct report_options *options);
void json_place(FILE *out, const struct frame_line *line);
const char *json_marks(const struct names_line *line, const struct report_options *options);
void json_string(FILE *out, const char *s);
void json_address(FILE *out, uint64_t address);
/* A code point as it may stand in any string: \uNNNN, beyond U+FFFF as a pair. */
enum { JSON_ESCAPE_SIZE = 13 };
const char *json_escape(uint32_t code, char buf[JSON_ESCAPE_SIZE]);

/* The names of the frames that a report shows.  0, -ENOMEM or -ECANCELED. */
int report_names_create(struct report_job *job, struct names **ret, struct err *err) MUST_CHECK;

/* What was mapped by calls that are followed: lines behind the call stacks; two members. */
void mapped_head(FILE *out, const struct mapped_sum *sum);
void mapped_text(FILE *out, const struct report_job *job, const struct named *names);
struct json_frames;
void mapped_json(FILE *out, const struct report_job *job, const struct json_frames *frames);
/* The frames of a JSON report in the order of their numbers. */
struct json_frames {
	struct names *names;
	uint32_t *numbers; /* + 1, by place in names_values() */
	const struct named_frame **order;
	uint32_t count;
};

/* 0, -ENOMEM or -ECANCELED. */
int json_frames_create(struct report_job *job, struct json_frames *ret, struct err *err) MUST_CHECK;
void json_frames_destroy(struct json_frames *frames);
/* "stack" and "stack_end" of a context, its last members. */
void json_stack(FILE *out, const struct report_job *job, const struct json_frames *frames,
		uint32_t id);
/* RFC 3339, UTC; to the second, or the hundredth of it.  And a time in ticks, as seconds. */
void json_time(FILE *out, const struct timespec *when, bool hundredths);
void json_ticks(FILE *out, const struct snapshot *s, uint32_t ticks);

/* What is not followed: lines behind the verdict; a member of the report. */
void not_followed_text(const struct snapshot *snapshot, FILE *out);
void not_followed_json(const struct snapshot *snapshot, FILE *out);
/* The same of what stays of memtrace in the process, where something does. */
void left_behind_text(const struct snapshot *snapshot, FILE *out);
void left_behind_json(const struct snapshot *snapshot, FILE *out);

/* 0 while all writes to out went well, else -errno; asked after each piece, while
 * errno is that of the failure. */
int report_check(FILE *out, struct err *err) MUST_CHECK;

static inline uint64_t report_in_use_bytes(const struct region_context *c)
{
	return c->allocated_bytes - c->freed_bytes;
}

static inline uint64_t report_in_use_blocks(const struct region_context *c)
{
	return c->allocs - c->frees;
}

/* Of the contexts that the report is about, those that -n leaves out, or left out before. */
struct report_left_out report_left_out(const struct report_job *job);

/* By the word that the JSON form has for it; WALK_FULL: unknown.  And that word. */
enum walk_end json_end_of(const char *word);
const char *json_word_of(enum walk_end end);

/* For how long the process was watched. */
static inline double report_seconds(const struct snapshot *s)
{
	double seconds = (double)(s->taken.tv_sec - s->started.tv_sec) +
			 (double)(s->taken.tv_nsec - s->started.tv_nsec) / 1e9;

	return seconds > 0 ? seconds : 0;
}

/* The hex digits of a module's build-id; "" without one. */
static inline const char *report_build_id(const struct snapshot_module *module,
					  char buf[MODULE_ID_HEX])
{
	return module_id_hex(module->id.build_id, module->id.build_id_len, buf);
}

#endif
