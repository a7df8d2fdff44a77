/*
 * A question about single blocks, or the whole heap, answered in text: of a picture that is there,
 * on this machine or, for memtrace-fs, on another one.
 */
#ifndef MEMTRACE_INQUIRY_H
#define MEMTRACE_INQUIRY_H

#include "heap/question.h"
#include "heap/survey.h"
#include "report/path.h"

struct inquiry {
	enum question_kind kind; /* WHY, WHO, BLOCK, HEAP */
	taddr_t address;	 /* or */
	uint32_t context;	 /* WHY: of most of its blocks */
	struct survey_input survey; /* HEAP */
	const char *other;	    /* HEAP: see heap_text() */
	size_t rows;		    /* HEAP */
};

/* What the answer leads to: a block, and the call stack to be shown; 0: none. */
struct inquiry_found {
	taddr_t address;
	uint32_t context;
};

/* memory: where the words of a block are read.  -ENOENT: there is no such block. */
int inquiry_answer(FILE *out, const struct inquiry *inquiry, const struct path_names *names,
		   struct leak *leak, struct memory *memory, struct inquiry_found *ret,
		   struct err *err) MUST_CHECK;

#endif
