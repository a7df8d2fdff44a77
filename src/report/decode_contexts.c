/*
 * The contexts of a JSON report: their counts, and their stacks as nodes; and the frames of
 * these, each once, with what it was called.
 */
#include <stdlib.h>
#include <string.h>

#include "report/decode_parts.h"

/* Numbers of contexts beyond are nobody's. */
enum { MAX_CONTEXT = 1 << 22 };

static const char *keep(struct decode_contexts *c, char *text)
{
	return decoded_keep(c->to, text, &c->no_memory);
}

bool decode_contexts_begin(struct decode_contexts *c, struct decoded *to)
{
	const struct region_context lost = {.node = WALK_LOST};
	const struct region_node none = {0};
	bool ok;

	*c = (struct decode_contexts){.to = to};
	ok = vec_push(&c->contexts, lost);

	for (int i = 0; ok && i < WALK_ENDS; i++)
		ok = vec_push(&c->nodes, none);
	return ok;
}

/* In 1/100 s since the start, as far as the report goes; version 1 has the time of day. */
static uint32_t ticks_of(const struct decode_contexts *c, const char *line, const char *member)
{
	const char *value = decode_value(line, member);
	double when = value && *value == '"' ? decode_time(line, member) - c->started
		      : value		     ? strtod(value, NULL)
					     : 0;

	return when > 0 && when < 4e7 ? (uint32_t)(when * 100 + 0.5) : 0;
}

/* "stack": [5,0,3] */
static void read_numbers(struct decode_contexts *c, const char *line)
{
	const char *at = decode_value(line, "stack");
	char *end;

	if (!at || *at != '[')
		return;
	for (at++; *at >= '0' && *at <= '9'; at = end + strspn(end, ", ")) {
		unsigned long number = strtoul(at, &end, 10);

		if (number >= c->shared.len) {
			c->bad = true;
			return;
		}
		if (c->shared.at[number]->kind == DECODE_SHARED &&
		    !vec_push(&c->stack, c->shared.at[number]->frame))
			c->no_memory = true;
	}
}

/* What a line says of a context. */
static void read_counts(struct decode_contexts *c, const char *line)
{
	struct region_context *counts = &c->context;
	char *end;

	if (decode_value(line, "id"))
		c->id = decode_number(line, "id");
	if (decode_value(line, "allocs"))
		counts->allocs = decode_number(line, "allocs");
	if (decode_value(line, "frees"))
		counts->frees = decode_number(line, "frees");
	if (decode_value(line, "allocated_bytes"))
		counts->allocated_bytes = decode_number(line, "allocated_bytes");
	if (decode_value(line, "in_use_bytes")) /* subtracted when all is read */
		counts->freed_bytes = decode_number(line, "in_use_bytes");
	if (decode_value(line, "peak_bytes"))
		counts->peak_bytes = decode_number(line, "peak_bytes");
	if (decode_value(line, "first_time"))
		counts->first_time = ticks_of(c, line, "first_time");
	if (decode_value(line, "last_time"))
		counts->last_time = ticks_of(c, line, "last_time");
	decode_verdict(c->to, line, &c->verdict, &c->no_memory);
	read_numbers(c, line);
	end = decode_string(decode_value(line, "stack_end"));
	if (end)
		c->end = json_end_of(end);
	free(end);
}

/* Nodes from the outermost frame on; the leaf's number, or that of the end. */
static uint32_t add_stack(struct decode_contexts *c)
{
	uint32_t parent = c->end;

	for (size_t i = c->stack.len; i--;) {
		struct region_node node = {.frame = c->stack.at[i], .parent = parent};

		parent = (uint32_t)c->nodes.len;
		if (!vec_push(&c->nodes, node)) {
			c->no_memory = true;
			break;
		}
	}
	return parent;
}

void decode_contexts_end(struct decode_contexts *c)
{
	struct region_context *counts = &c->context;
	const struct region_context none = {.node = WALK_LOST};
	const struct verdict unknown = {.said = ""};

	if (!c->in_context)
		return;
	c->in_context = false;
	if (c->id >= MAX_CONTEXT || counts->frees > counts->allocs ||
	    counts->freed_bytes > counts->allocated_bytes) {
		c->bad = true;
		return;
	}
	counts->freed_bytes = counts->allocated_bytes - counts->freed_bytes;
	counts->node = add_stack(c);
	while (!c->no_memory && c->contexts.len <= c->id)
		c->no_memory |= !vec_push(&c->contexts, none);
	while (!c->no_memory && c->verdicts.len <= c->id)
		c->no_memory |= !vec_push(&c->verdicts, unknown);
	if (!c->no_memory) {
		c->contexts.at[c->id] = *counts;
		c->verdicts.at[c->id] = c->verdict;
	}
}

static void begin_context(struct decode_contexts *c)
{
	decode_contexts_end(c);
	c->context = (struct region_context){0};
	c->verdict = (struct verdict){.said = ""};
	c->in_context = true;
	c->end = WALK_FULL;
	c->id = 0;
	vec_clear(&c->stack);
}

/* What is at a frame, or was inlined there. */
static void add_line(struct decode_contexts *c, const char *text, bool inlined)
{
	struct frame_line line = {0};

	line.function = keep(c, decode_string(decode_value(text, "function")));
	line.file = keep(c, decode_string(decode_value(text, "file")));
	line.line = (uint32_t)decode_number(text, "line");
	line.inlined = inlined;
	/* Without a file it is a symbol, which people may read otherwise. */
	line.symbol = line.file || inlined ? NULL : line.function;
	c->no_memory |= !vec_push(&c->lines, line);
}

/* Its lines are there. */
static void end_frame(struct decode_contexts *c, frame_t frame)
{
	struct named_frame named = {frame, (uint32_t)c->line_begin,
				    (uint32_t)(c->lines.len - c->line_begin)};

	c->no_memory |= !vec_push(&c->frames, named) || !frame_table_add(&c->known, frame);
	c->line_begin = c->lines.len;
}

/* One line of a frame: a function inlined there, or the real one, which ends it. */
static void read_frame(struct decode_contexts *c, const struct decode_line *from)
{
	bool last = from->kind == DECODE_FRAME;

	if (!last && from->kind != DECODE_DROPPED)
		return;
	if (last && !vec_push(&c->stack, from->frame))
		c->no_memory = true;
	if (last && frame_table_find(&c->known, from->frame) != UINT32_MAX) {
		c->lines.len = c->line_begin; /* it is known from another stack */
		return;
	}
	add_line(c, from->text, !last);
	if (last)
		end_frame(c, from->frame);
}

void decode_contexts_frame(struct decode_contexts *c, const struct decode_line *line)
{
	const char *inlined;
	char *element, *own;

	if (strncmp(line->text, "    {", 5))
		return;
	c->no_memory |= !vec_push(&c->shared, line);
	if (line->kind != DECODE_SHARED ||
	    frame_table_find(&c->known, line->frame) != UINT32_MAX)
		return;
	own = decode_frame_alone(line->text, &inlined);
	if (!own) {
		c->no_memory = true;
		return;
	}
	for (; (element = decode_element(&inlined, &c->no_memory)); free(element))
		add_line(c, element, true);
	add_line(c, own, false);
	end_frame(c, line->frame);
	free(own);
}

void decode_contexts_line(struct decode_contexts *c, const struct decode_line *line)
{
	if (!strncmp(line->text, "    {", 5))
		begin_context(c);
	if (!c->in_context)
		return;
	if (!strncmp(line->text, "      {", 7))
		read_frame(c, line);
	else
		read_counts(c, line->text);
}

static int compare_named(const void *a, const void *b)
{
	const struct named_frame *x = a, *y = b;

	return frame_order(x->frame, y->frame);
}

void decode_contexts_hand_over(struct decode_contexts *c)
{
	struct snapshot *s = c->to->snapshot;
	struct frame_names *names = &c->to->names;

	if (c->frames.len)
		qsort(c->frames.at, c->frames.len, sizeof(*c->frames.at), compare_named);
	s->nodes = c->nodes.at;
	s->node_count = (uint32_t)c->nodes.len;
	s->contexts = c->contexts.at;
	s->context_count = (uint32_t)c->contexts.len;
	names->frames = c->frames.at;
	names->frame_count = c->frames.len;
	names->lines = c->lines.at;
	names->line_count = c->lines.len;
	if (s->verdicts) {
		s->verdicts->at = c->verdicts.at;
		s->verdicts->count = (uint32_t)c->verdicts.len;
	} else {
		vec_deinit(&c->verdicts);
	}
	frame_table_deinit(&c->known);
	vec_deinit(&c->stack);
	vec_deinit(&c->shared);
}
