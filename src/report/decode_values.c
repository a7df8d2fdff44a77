/*
 * A JSON report as values: a snapshot of the contexts that it has, and what its frames were
 * called, so that a report of another form can be made of it (serve/offline.c).
 *
 *     lines of decode_json() --> process, totals --+
 *                            --> contexts, stacks -+--> struct snapshot
 *                            --> frames' names -------> struct frame_names
 *
 * What a JSON report does not say stays empty: which modules were unloaded; of the stacks that
 * -n left out the sum alone is known.  Numbers that contradict themselves are refused,
 * as in a snapshot file.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/scope.h"
#include "report/decode_parts.h"

struct values {
	struct decoded *to;
	struct snapshot *s;
	struct decode_contexts contexts;
	VEC(struct snapshot_missed) missed;
	VEC(struct snapshot_thread) threads;
	VEC(char *) arguments;
	double taken; /* seconds from the start */
	bool no_memory, bad;
};

/* ---- members ----------------------------------------------------------------------------- */

static bool is_member(const char *line, const char *name)
{
	size_t len = strlen(name);

	return line[2] == '"' && !strncmp(line + 3, name, len) && line[3 + len] == '"';
}

/* Calls take() with each element of the list that a line has. */
static void each_element(struct values *v, const char *line,
			 void (*take)(struct values *v, const char *element))
{
	const char *at = strchr(line, '[');
	char *element;

	for (at = at ? at + 1 : ""; (element = decode_element(&at, &v->no_memory));
	     free(element))
		take(v, element);
}

static void take_argument(struct values *v, const char *element)
{
	char *argument = decode_string(element);

	if (argument && !vec_push(&v->arguments, argument)) {
		v->no_memory = true;
		free(argument);
	}
}

static void take_missed(struct values *v, const char *element)
{
	struct snapshot_missed missed = {decode_string(decode_value(element, "module")),
					 decode_string(decode_value(element, "function")),
					 decode_string(decode_value(element, "reason"))};

	if (missed.module && missed.reason && vec_push(&v->missed, missed))
		return;
	snapshot_missed_deinit(&missed);
}

static void take_thread(struct values *v, const char *element)
{
	struct snapshot_thread thread = {
		.tid = (int)(decode_number(element, "tid") & 0x7fffffff),
		.allocs = decode_number(element, "allocs"),
		.frees = decode_number(element, "frees")};
	char *name = decode_string(decode_value(element, "name"));
	char *state = decode_string(decode_value(element, "state"));

	snprintf(thread.name, sizeof(thread.name), "%s", name ? name : "");
	snprintf(thread.state, sizeof(thread.state), "%s", state ? state : "");
	free(name);
	free(state);
	v->no_memory |= !vec_push(&v->threads, thread);
}

static void read_summary(struct values *v, const char *line)
{
	struct region_totals *t = &v->s->totals;
	uint64_t in_use = decode_number(line, "in_use_bytes");

	t->allocs = decode_number(line, "allocs");
	t->frees = decode_number(line, "frees");
	t->allocated_bytes = decode_number(line, "allocated_bytes");
	t->freed_bytes = t->allocated_bytes - in_use;
	t->peak_bytes = decode_number(line, "peak_bytes");
	t->frees_of_unknown = decode_number(line, "frees_of_unknown");
	t->lost_events = decode_number(line, "lost_events");
	t->overflow_blocks = decode_number(line, "overflow_blocks");
	v->bad |= t->frees > t->allocs || in_use > t->allocated_bytes;
}

static void read_left_out(struct values *v, const char *line)
{
	v->to->left_out = (struct report_left_out){
		.contexts = decode_number(line, "contexts"),
		.bytes = decode_number(line, "in_use_bytes"),
		.blocks = decode_number(line, "in_use_blocks"),
	};
}

static void read_verdict(struct values *v, const char *line)
{
	if (!v->s->verdicts)
		v->s->verdicts = calloc(1, sizeof(*v->s->verdicts));
	v->no_memory |= !v->s->verdicts;
	if (v->s->verdicts)
		decode_verdict(v->to, line, &v->s->verdicts->process, &v->no_memory);
}

static bool is_of_verdict(const char *line)
{
	return is_member(line, "verdict") || is_member(line, "evidence") ||
	       is_member(line, "bytes_per_hour") || is_member(line, "bytes_per_hour_range");
}

static void fill(char *to, size_t room, const char *line, const char *name)
{
	scope_free char *text = decode_string(decode_value(line, name));

	if (text)
		snprintf(to, room, "%s", text);
}

/* A member of the report itself. */
static void read_member(struct values *v, const char *line)
{
	const char *duration = decode_value(line, "duration");
	if (is_member(line, "pid"))
		v->s->pid = (int)(decode_number(line, "pid") & 0x7fffffff);
	else if (is_member(line, "memtrace"))
		v->to->version = decoded_keep(
			v->to, decode_string(decode_value(line, "memtrace")), &v->no_memory);
	else if (is_member(line, "command"))
		each_element(v, line, take_argument);
	else if (is_member(line, "started"))
		v->contexts.started = decode_time(line, "started");
	else if (is_member(line, "duration") && duration)
		v->taken = strtod(duration, NULL);
	else if (is_member(line, "running"))
		v->s->running = strstr(line, "true");
	else if (is_member(line, "rss_bytes"))
		v->s->resident_bytes = decode_number(line, "rss_bytes");
	else if (is_member(line, "allocator_bytes"))
		v->s->obtained_bytes = decode_number(line, "allocator_bytes");
	else if (is_member(line, "rss_start_bytes"))
		v->s->resident_at_start = decode_number(line, "rss_start_bytes");
	else if (is_member(line, "runtime_uses_malloc"))
		v->s->own_heap_off = strstr(line, "true");
	else if (is_member(line, "sampling"))
		v->s->sampling = (struct snapshot_sampling){
			.coarsest = decode_number(line, "coarsest_bytes"),
			.bytes = decode_number(line, "bytes"),
			.min_size = decode_number(line, "min_size"),
			.small = decode_number(line, "not_counted"),
		};
	else if (is_member(line, "summary"))
		read_summary(v, line);
	else if (is_member(line, "not_followed"))
		each_element(v, line, take_missed);
	else if (is_member(line, "threads"))
		each_element(v, line, take_thread);
	else if (is_member(line, "left_out"))
		read_left_out(v, line);
	else if (is_of_verdict(line))
		read_verdict(v, line);
	else if (is_member(line, "engine"))
		fill(v->s->engine, sizeof(v->s->engine), line, "engine");
	else if (is_member(line, "stopped_calls"))
		v->s->stopped_calls = decode_number(line, "stopped_calls");
	else if (is_member(line, "engine_reason"))
		fill(v->s->engine_reason, sizeof(v->s->engine_reason), line, "engine_reason");
}

/* Members and frames first: a context's times count from the report's `started`, and its stack
 * says numbers of frames, wherever those are. */
static void read_lines(struct values *v, const struct decode *decode)
{
	struct decode_contexts *c = &v->contexts;
	bool contexts = false, frames = false;

	for (size_t i = 0; i < decode->lines.len; i++) {
		const struct decode_line *line = &decode->lines.at[i];

		if (!strncmp(line->text, "  \"", 3)) {
			frames = is_member(line->text, "frames");
			read_member(v, line->text);
		} else if (frames) {
			decode_contexts_frame(c, line);
		}
	}
	for (size_t i = 0; i < decode->lines.len && !c->no_memory && !c->bad; i++) {
		const struct decode_line *line = &decode->lines.at[i];

		if (!strncmp(line->text, "  \"", 3)) {
			decode_contexts_end(c);
			contexts = is_member(line->text, "contexts");
		} else if (contexts) {
			decode_contexts_line(c, line);
		}
	}
	decode_contexts_end(c);
}

/* What else the report says of a module: behind the frames, as decode_json.c has marks in these
 * fields. */
static void read_module(struct values *v, const struct decode_line *line)
{
	struct snapshot_module *m = &v->s->modules[line->instance - 1];
	char *from = decode_string(decode_value(line->text, "unwind_from"));

	m->begin = decode_address(line->text, "begin");
	m->end = decode_address(line->text, "end");
	snprintf(m->unwind_from, sizeof(m->unwind_from), "%s", from ? from : "");
	free(from);
	v->to->names.sources[line->instance - 1] = decoded_keep(
		v->to, decode_string(decode_value(line->text, "symbols_from")), &v->no_memory);
}

static void read_modules(struct values *v, const struct decode *decode)
{
	size_t count = v->s->module_count;

	v->to->names.sources = calloc(count + 1, sizeof(*v->to->names.sources));
	v->to->names.module_count = v->to->names.sources ? count : 0;
	v->no_memory |= !v->to->names.sources;
	for (size_t i = 0; i < decode->lines.len && !v->no_memory; i++)
		if (decode->lines.at[i].kind == DECODE_MODULE &&
		    decode->lines.at[i].instance - 1 < count)
			read_module(v, &decode->lines.at[i]);
}

static struct timespec timespec_of(double seconds)
{
	bool sane =
		seconds > 0 && seconds < (sizeof(time_t) == 4 ? 2147483647.0 : 253402300799.0);
	double whole = sane ? (double)(uint64_t)seconds : 0;
	long hundredths = sane ? (long)((seconds - whole) * 100 + 0.5) : 0;

	return (struct timespec){.tv_sec = (time_t)whole + hundredths / 100,
				 .tv_nsec = hundredths % 100 * 10000000};
}

/* ---- the whole ------------------------------------------------------------------------- */

/* Puts what was read into the snapshot and the names, whose it is from now on. */
static void hand_over(struct values *v, struct decode *decode)
{
	struct snapshot *s = v->s;

	s->started = timespec_of(v->contexts.started);
	s->taken = timespec_of(v->contexts.started + v->taken);
	s->ticks_now = v->taken > 0 && v->taken < 4e7 ? (uint32_t)(v->taken * 100 + 0.5) : 0;
	s->command = v->arguments.at;
	s->missed = v->missed.at;
	s->missed_count = v->missed.len;
	s->threads = v->threads.at;
	s->thread_count = v->threads.len;
	s->modules = decode->modules.at;
	s->module_count = decode->modules.len;
	decode->modules.at = NULL;
	decode->modules.len = 0;
	read_modules(v, decode);
	decode_contexts_hand_over(&v->contexts);
}

int decode_values(struct decode *decode, struct decoded *ret, struct err *err)
{
	struct values v = {.to = ret};

	*ret = (struct decoded){0};
	v.s = ret->snapshot = calloc(1, sizeof(*ret->snapshot));
	if (!v.s)
		return err_set(err, -ENOMEM, "no memory for the report");
	v.no_memory = !decode_contexts_begin(&v.contexts, ret);
	if (!v.no_memory)
		read_lines(&v, decode);
	v.no_memory |= !vec_push(&v.arguments, NULL);
	hand_over(&v, decode);
	v.no_memory |= v.contexts.no_memory;
	v.bad |= v.contexts.bad;
	if (!v.no_memory && !v.bad)
		return 0;
	decoded_deinit(ret);
	return v.no_memory ? err_set(err, -ENOMEM, "no memory for the report")
			   : err_set(err, -EINVAL,
				     "the report is damaged: its counts contradict themselves");
}
