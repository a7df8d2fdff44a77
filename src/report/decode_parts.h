/* The inside of decoding: decode_json.c finds the frames in the lines of a report, decode.c
 * asks for their names and puts them in. */
#ifndef MEMTRACE_DECODE_PARTS_H
#define MEMTRACE_DECODE_PARTS_H

#include "base/vec.h"
#include "report/decode.h"
#include "report/job.h"

enum decode_kind {
	DECODE_PLAIN,	/* copied */
	DECODE_DROPPED, /* not copied: a further line of a frame */
	DECODE_FRAME,
	DECODE_MODULE, /* JSON: "symbols_from" is put in */
};

struct decode_line {
	char *text; /* without its newline */
	enum decode_kind kind;
	frame_t frame;	   /* DECODE_FRAME */
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

/* What the lines say, as values; takes the modules out of `decode`.  0, -ENOMEM, -EINVAL. */
int decode_values(struct decode *decode, struct decoded *ret, struct err *err) MUST_CHECK;

#endif
