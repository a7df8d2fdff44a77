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

#include "heap/frame_table.h"
#include "report/decode_parts.h"

/* Numbers of contexts beyond are nobody's. */
enum { MAX_CONTEXT = 1 << 22 };

struct values {
	struct decoded *to;
	struct snapshot *s;
	struct err *err;
	struct frame_table known; /* frames that have a name already */
	VEC(struct region_node) nodes;
	VEC(struct region_context) contexts;
	VEC(struct named_frame) frames;
	VEC(struct frame_line) lines;
	VEC(struct snapshot_missed) missed;
	VEC(struct snapshot_thread) threads;
	VEC(char *) arguments;
	VEC(frame_t) stack; /* of the context being read */
	size_t line_begin;  /* of the lines of the frame being read */
	struct region_context context;
	enum walk_end end;
	uint64_t id;
	bool in_context;
	double started, taken;
	bool no_memory, bad;
};

/* A text that lives as long as the result; NULL for none. */
static const char *keep(struct values *v, char *text)
{
	if (!text || vec_push(&v->to->texts, text))
		return text;
	v->no_memory = true;
	free(text);
	return NULL;
}

static uint64_t number(const char *line, const char *member)
{
	const char *value = decode_value(line, member);

	return value && *value != '-' ? strtoull(value, NULL, 10) : 0;
}

/* Seconds since 1970 of "2026-11-29T00:10:44.09Z"; 0: it is no time. */
static double time_of(const char *line, const char *member)
{
	const char *value = decode_value(line, member);
	unsigned hundredths = 0;
	struct tm tm = {0};

	if (!value || sscanf(value, "\"%4d-%2d-%2dT%2d:%2d:%2d.%2u", &tm.tm_year, &tm.tm_mon,
			     &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &hundredths) < 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (double)timegm(&tm) + hundredths / 100.0;
}

/* ---- contexts -------------------------------------------------------------------------- */

/* In 1/100 s since the start, as far as the report goes. */
static uint32_t ticks_of(const struct values *v, const char *line, const char *member)
{
	double when = time_of(line, member) - v->started;

	return when > 0 && when < 4e7 ? (uint32_t)(when * 100 + 0.5) : 0;
}

/* What a line says of a context. */
static void read_counts(struct values *v, const char *line)
{
	struct region_context *c = &v->context;
	char *end;

	if (decode_value(line, "id"))
		v->id = number(line, "id");
	if (decode_value(line, "allocs"))
		c->allocs = number(line, "allocs");
	if (decode_value(line, "frees"))
		c->frees = number(line, "frees");
	if (decode_value(line, "allocated_bytes"))
		c->allocated_bytes = number(line, "allocated_bytes");
	if (decode_value(line, "in_use_bytes")) /* subtracted when all is read */
		c->freed_bytes = number(line, "in_use_bytes");
	if (decode_value(line, "peak_bytes"))
		c->peak_bytes = number(line, "peak_bytes");
	if (decode_value(line, "first_time"))
		c->first_time = ticks_of(v, line, "first_time");
	if (decode_value(line, "last_time"))
		c->last_time = ticks_of(v, line, "last_time");
	end = decode_string(decode_value(line, "stack_end"));
	if (end)
		v->end = json_end_of(end);
	free(end);
}

/* Nodes from the outermost frame on; the leaf's number, or that of the end. */
static uint32_t add_stack(struct values *v)
{
	uint32_t parent = v->end;

	for (size_t i = v->stack.len; i--;) {
		struct region_node node = {.frame = v->stack.at[i], .parent = parent};

		parent = (uint32_t)v->nodes.len;
		if (!vec_push(&v->nodes, node)) {
			v->no_memory = true;
			break;
		}
	}
	return parent;
}

static void end_context(struct values *v)
{
	struct region_context *c = &v->context;
	const struct region_context none = {.node = WALK_LOST};

	if (!v->in_context)
		return;
	v->in_context = false;
	if (v->id >= MAX_CONTEXT || c->frees > c->allocs ||
	    c->freed_bytes > c->allocated_bytes) {
		v->bad = true;
		return;
	}
	c->freed_bytes = c->allocated_bytes - c->freed_bytes;
	c->node = add_stack(v);
	while (!v->no_memory && v->contexts.len <= v->id)
		v->no_memory |= !vec_push(&v->contexts, none);
	if (!v->no_memory)
		v->contexts.at[v->id] = *c;
}

static void begin_context(struct values *v)
{
	end_context(v);
	v->context = (struct region_context){0};
	v->in_context = true;
	v->end = WALK_FULL;
	v->id = 0;
	vec_clear(&v->stack);
}

/* One line of a frame: a function inlined there, or the real one, which ends it. */
static void read_frame(struct values *v, const struct decode_line *from)
{
	struct frame_line line = {0};
	bool last = from->kind == DECODE_FRAME;

	if (!last && from->kind != DECODE_DROPPED)
		return;
	if (last && !vec_push(&v->stack, from->frame))
		v->no_memory = true;
	if (last && frame_table_find(&v->known, from->frame) != UINT32_MAX) {
		v->lines.len = v->line_begin; /* it is known from another stack */
		return;
	}
	line.function = keep(v, decode_string(decode_value(from->text, "function")));
	line.file = keep(v, decode_string(decode_value(from->text, "file")));
	line.line = (uint32_t)number(from->text, "line");
	line.inlined = !last;
	/* Without a file it is a symbol, which people may read otherwise. */
	line.symbol = line.file || line.inlined ? NULL : line.function;
	v->no_memory |= !vec_push(&v->lines, line);
	if (last) {
		struct named_frame named = {from->frame, (uint32_t)v->line_begin,
					    (uint32_t)(v->lines.len - v->line_begin)};

		v->no_memory |= !vec_push(&v->frames, named) ||
				!frame_table_add(&v->known, from->frame);
		v->line_begin = v->lines.len;
	}
}

static void read_context_line(struct values *v, const struct decode_line *line)
{
	if (!strncmp(line->text, "    {", 5))
		begin_context(v);
	if (!v->in_context)
		return;
	if (!strncmp(line->text, "      {", 7))
		read_frame(v, line);
	else
		read_counts(v, line->text);
}

/* ---- the rest -------------------------------------------------------------------------- */

static bool is_member(const char *line, const char *name)
{
	size_t len = strlen(name);

	return line[2] == '"' && !strncmp(line + 3, name, len) && line[3 + len] == '"';
}

/* Behind the string or object at `at`; NULL: it never ends. */
static const char *behind(const char *at)
{
	bool string = false;
	size_t depth = 0;

	for (; *at; at++) {
		if (string && *at == '\\' && at[1])
			at++;
		else if (*at == '"')
			string = !string;
		else if (!string && (*at == '{' || *at == '['))
			depth++;
		else if (!string && (*at == '}' || *at == ']') && depth)
			depth--;
		else
			continue;
		if (!string && !depth)
			return at + 1;
	}
	return NULL;
}

/* Calls take() with each element, as a text of its own, of the list that a line has. */
static void each_element(struct values *v, const char *line,
			 void (*take)(struct values *v, const char *element))
{
	const char *at = strchr(line, '['), *end;

	for (at = at ? at + 1 : ""; *at == '"' || *at == '{'; at = end + strspn(end, ", ")) {
		char *element;

		end = behind(at);
		if (!end)
			return;
		element = strndup(at, (size_t)(end - at));
		v->no_memory |= !element;
		if (element)
			take(v, element);
		free(element);
	}
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
	struct snapshot_thread thread = {.tid = (int)(number(element, "tid") & 0x7fffffff),
					 .allocs = number(element, "allocs"),
					 .frees = number(element, "frees")};
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
	uint64_t in_use = number(line, "in_use_bytes");

	t->allocs = number(line, "allocs");
	t->frees = number(line, "frees");
	t->allocated_bytes = number(line, "allocated_bytes");
	t->freed_bytes = t->allocated_bytes - in_use;
	t->peak_bytes = number(line, "peak_bytes");
	t->frees_of_unknown = number(line, "frees_of_unknown");
	t->lost_events = number(line, "lost_events");
	t->overflow_blocks = number(line, "overflow_blocks");
	v->bad |= t->frees > t->allocs || in_use > t->allocated_bytes;
}

static void read_left_out(struct values *v, const char *line)
{
	v->to->left_out = (struct report_left_out){
		.contexts = number(line, "contexts"),
		.bytes = number(line, "in_use_bytes"),
		.blocks = number(line, "in_use_blocks"),
	};
}

/* A member of the report itself. */
static void read_member(struct values *v, const char *line)
{
	const char *duration = decode_value(line, "duration");
	char *engine;

	if (is_member(line, "pid"))
		v->s->pid = (int)(number(line, "pid") & 0x7fffffff);
	else if (is_member(line, "memtrace"))
		v->to->version = keep(v, decode_string(decode_value(line, "memtrace")));
	else if (is_member(line, "command"))
		each_element(v, line, take_argument);
	else if (is_member(line, "started"))
		v->started = time_of(line, "started");
	else if (is_member(line, "duration") && duration)
		v->taken = strtod(duration, NULL);
	else if (is_member(line, "running"))
		v->s->running = strstr(line, "true");
	else if (is_member(line, "rss_bytes"))
		v->s->resident_bytes = number(line, "rss_bytes");
	else if (is_member(line, "rss_start_bytes"))
		v->s->resident_at_start = number(line, "rss_start_bytes");
	else if (is_member(line, "summary"))
		read_summary(v, line);
	else if (is_member(line, "not_followed"))
		each_element(v, line, take_missed);
	else if (is_member(line, "threads"))
		each_element(v, line, take_thread);
	else if (is_member(line, "left_out"))
		read_left_out(v, line);
	else if (is_member(line, "engine") &&
		 (engine = decode_string(decode_value(line, "engine")))) {
		snprintf(v->s->engine, sizeof(v->s->engine), "%s", engine);
		free(engine);
	}
}

/* Members first: a context's times count from the report's `started`, wherever that stands. */
static void read_lines(struct values *v, const struct decode *decode)
{
	bool contexts = false;

	for (size_t i = 0; i < decode->lines.len; i++)
		if (!strncmp(decode->lines.at[i].text, "  \"", 3))
			read_member(v, decode->lines.at[i].text);
	for (size_t i = 0; i < decode->lines.len && !v->no_memory && !v->bad; i++) {
		const struct decode_line *line = &decode->lines.at[i];

		if (!strncmp(line->text, "  \"", 3)) {
			end_context(v);
			contexts = is_member(line->text, "contexts");
		} else if (contexts) {
			read_context_line(v, line);
		}
	}
	end_context(v);
}

/* "0x7f.." */
static uint64_t address(const char *line, const char *member)
{
	const char *value = decode_value(line, member);

	return value && *value == '"' ? strtoull(value + 1, NULL, 16) : 0;
}

/* What else the report says of a module: behind the frames, as decode_json.c has marks in these
 * fields. */
static void read_module(struct values *v, const struct decode_line *line)
{
	struct snapshot_module *m = &v->s->modules[line->instance - 1];
	char *from = decode_string(decode_value(line->text, "unwind_from"));

	m->begin = address(line->text, "begin");
	m->end = address(line->text, "end");
	snprintf(m->unwind_from, sizeof(m->unwind_from), "%s", from ? from : "");
	free(from);
	v->to->names.sources[line->instance - 1] =
		keep(v, decode_string(decode_value(line->text, "symbols_from")));
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

static bool begin(struct values *v)
{
	const struct region_context lost = {.node = WALK_LOST};
	const struct region_node none = {0};
	bool ok = vec_push(&v->contexts, lost);

	for (int i = 0; ok && i < WALK_ENDS; i++)
		ok = vec_push(&v->nodes, none);
	return ok;
}

static int compare_named(const void *a, const void *b)
{
	const struct named_frame *x = a, *y = b;

	return frame_order(x->frame, y->frame);
}

/* Puts what was read into the snapshot and the names, whose it is from now on. */
static void hand_over(struct values *v, struct decode *decode)
{
	struct snapshot *s = v->s;

	if (v->frames.len)
		qsort(v->frames.at, v->frames.len, sizeof(*v->frames.at), compare_named);
	s->started = timespec_of(v->started);
	s->taken = timespec_of(v->started + v->taken);
	s->ticks_now = v->taken > 0 && v->taken < 4e7 ? (uint32_t)(v->taken * 100 + 0.5) : 0;
	s->nodes = v->nodes.at;
	s->node_count = (uint32_t)v->nodes.len;
	s->contexts = v->contexts.at;
	s->context_count = (uint32_t)v->contexts.len;
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
	v->to->names = (struct frame_names){
		.sources = v->to->names.sources,
		.module_count = v->to->names.module_count,
		.frames = v->frames.at,
		.frame_count = v->frames.len,
		.lines = v->lines.at,
		.line_count = v->lines.len,
	};
}

int decode_values(struct decode *decode, struct decoded *ret, struct err *err)
{
	struct values v = {.to = ret, .err = err};

	*ret = (struct decoded){0};
	v.s = ret->snapshot = calloc(1, sizeof(*ret->snapshot));
	v.no_memory = !v.s || !begin(&v);
	if (!v.no_memory)
		read_lines(&v, decode);
	v.no_memory |= !vec_push(&v.arguments, NULL);
	if (v.s)
		hand_over(&v, decode);
	frame_table_deinit(&v.known);
	vec_deinit(&v.stack);
	if (!v.no_memory && !v.bad)
		return 0;
	decoded_deinit(ret);
	return v.no_memory ? err_set(err, -ENOMEM, "no memory for the report")
			   : err_set(err, -EINVAL,
				     "the report is damaged: its counts contradict themselves");
}

void decoded_deinit(struct decoded *decoded)
{
	snapshot_destroy(decoded->snapshot);
	free(decoded->names.frames);
	free(decoded->names.lines);
	free(decoded->names.sources);
	for (size_t i = 0; i < decoded->texts.len; i++)
		free(decoded->texts.at[i]);
	vec_deinit(&decoded->texts);
	*decoded = (struct decoded){0};
}
