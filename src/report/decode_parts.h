/* The inside of decoding: decode_json.c finds the frames in the lines of a report, decode.c
 * asks for their names and puts them in. */
#ifndef MEMTRACE_DECODE_PARTS_H
#define MEMTRACE_DECODE_PARTS_H

#include "base/vec.h"
#include "heap/frame_table.h"
#include "heap/verdicts.h"
#include "report/decode.h"
#include "report/job.h"

enum decode_kind {
	DECODE_PLAIN,	/* copied */
	DECODE_DROPPED, /* not copied: a further line of a frame */
	DECODE_FRAME,	/* version 1: one of a call stack */
	DECODE_SHARED,	/* one of the list of frames */
	DECODE_MODULE, /* JSON: "symbols_from" is put in */
};

struct decode_line {
	char *text; /* without its newline */
	enum decode_kind kind;
	frame_t frame;	   /* DECODE_FRAME, DECODE_SHARED */
	bool first;	   /* of its stack */
	uint32_t instance; /* DECODE_MODULE */
	char *function;	   /* the name it had already, or NULL */
	size_t end;	   /* JSON: where what follows the object begins */
};

struct decode {
	VEC(struct decode_line) lines;
	VEC(struct snapshot_module) modules; /* paths are ours */
	unsigned version;		     /* of the report's form; 0: it does not say */
	size_t frames;
};

/* As many modules as frames have numbers for; frames of others are copied as they stand. */
enum { DECODE_MAX_MODULES = FRAME_INSTANCES - 1 };

/* Fills in the lines and what each of them is.  0, -ENOMEM, -EINVAL: it is no JSON. */
int decode_json(struct decode *decode, const char *text, struct err *err) MUST_CHECK;
/* The same, but of a line only whether it is an object in the place of a frame or module. */
int decode_layout(struct decode *decode, const char *text, struct err *err) MUST_CHECK;

/* Where the value of a member begins in the line; NULL: there is none. */
const char *decode_value(const char *line, const char *member);
/* The string that a value is, malloc'ed; NULL: it is null, or no string, or no memory. */
char *decode_string(const char *value);

/* Behind the string, list or object at `at`; NULL: it never ends. */
const char *decode_behind(const char *at);
/* The next element, a string or an object, as a text of its own to be freed; NULL: there is no
 * further one.  *at: behind the "[" at first. */
char *decode_element(const char **at, bool *no_memory);

/* A frame's text without the list of what is inlined at it, to be freed; and behind that list's
 * "[" (inlined may be NULL). */
char *decode_frame_alone(const char *text, const char **inlined);

/* A number; 0: it is none, or below 0. */
uint64_t decode_number(const char *line, const char *member);
/* The address that "0x7f.." is; 0: it is none. */
uint64_t decode_address(const char *line, const char *member);
bool decode_is_true(const char *line, const char *member);
/* Seconds since 1970 of "2026-11-29T00:10:44.09Z"; 0: it is no time. */
double decode_time(const char *line, const char *member);

/* The text, which lives as long as `decoded` from now on; NULL for none, or without memory. */
const char *decoded_keep(struct decoded *decoded, char *text, bool *no_memory);

/* "verdict" and "evidence", as far as the line has them. */
void decode_verdict(struct decoded *to, const char *line, struct verdict *ret, bool *no_memory);

/* The contexts of a report while their lines are read. */
struct decode_contexts {
	struct decoded *to;
	double started;		  /* seconds since 1970, to be set before the first line */
	struct frame_table known; /* frames that have a name already */
	VEC(struct region_node) nodes;
	VEC(struct region_context) contexts;
	VEC(struct named_frame) frames;
	VEC(struct frame_line) lines;
	VEC(const struct decode_line *) shared; /* by number */
	VEC(frame_t) stack;			/* of the context being read */
	size_t line_begin;  /* of the lines of the frame being read */
	struct region_context context;
	VEC(struct verdict) verdicts; /* by id */
	struct verdict verdict;
	enum walk_end end;
	uint64_t id;
	bool in_context;
	bool no_memory, bad;
};

/* false: no memory; decode_contexts_hand_over() is to follow all the same. */
bool decode_contexts_begin(struct decode_contexts *c, struct decoded *to);
/* One of the list of frames; all of them, before a line of a context. */
void decode_contexts_frame(struct decode_contexts *c, const struct decode_line *line);
/* A line within the report's list. */
void decode_contexts_line(struct decode_contexts *c, const struct decode_line *line);
/* The list ends: what was read last is whole. */
void decode_contexts_end(struct decode_contexts *c);
/* Puts what was read into the snapshot and the names, whose it is from now on. */
void decode_contexts_hand_over(struct decode_contexts *c);

static inline bool decode_is_frame(const struct decode_line *line)
{
	return line->kind == DECODE_FRAME || line->kind == DECODE_SHARED;
}

/* What the lines say, as values; takes the modules out of `decode`.  0, -ENOMEM, -EINVAL. */
int decode_values(struct decode *decode, struct decoded *ret, struct err *err) MUST_CHECK;

#endif
