/* What cxx_name.c reads, letter by letter, and the text that it makes. */
#ifndef MEMTRACE_CXX_TEXT_H
#define MEMTRACE_CXX_TEXT_H

#include <stdbool.h>
#include <stddef.h>

enum {
	CXX_MAX_NAME = 4096, /* what is behind is not read */
	CXX_MAX_TEXT = 400,
	CXX_MAX_BACK = 128,
	CXX_MAX_DEPTH = 48,
	CXX_MAX_STEPS = 5000,
};

enum cxx_outcome { CXX_GOES_ON, CXX_CUT, CXX_NOT_READ };

/* What was seen at `at`, up to `end`: a type, or the beginning of a nested name. */
struct cxx_seen {
	const char *at, *end;
	bool nested;
};

struct cxx_reading {
	const char *at, *end;
	bool cut_off; /* the name may go on behind its end */
	enum cxx_outcome outcome;
	unsigned muted, again; /* prints nothing; reads what was read before */
	unsigned depth, steps;
	const char *arguments;	    /* of the template that the function is; NULL: it is none */
	const char *last_arguments; /* of the last name that had some */
	const char *of_function;    /* " const": of the function of the last name */
	const char *last;	    /* the last plain name, which a constructor has too */
	bool is_template, is_constructor; /* the last name ended with arguments; is one's */
	size_t back_count, len;
	struct cxx_seen back[CXX_MAX_BACK];
	char text[CXX_MAX_TEXT + 1];
};

/* Nothing is read or put any more; the first outcome stays. */
void cxx_fail(struct cxx_reading *r, enum cxx_outcome outcome);
/* What is there is not what can be: the name's end, if it was cut off. */
void cxx_not_read(struct cxx_reading *r);
/* One deeper (r->depth-- when done), and a step more.  False: that is too much. */
bool cxx_enter(struct cxx_reading *r);

void cxx_put(struct cxx_reading *r, const char *text);
void cxx_put_bytes(struct cxx_reading *r, const char *text, size_t len);
void cxx_put_number(struct cxx_reading *r, unsigned long n);

/* '\0' where nothing more is to be read. */
char cxx_peek(const struct cxx_reading *r);
/* Whether that is there: then it is behind us. */
bool cxx_take(struct cxx_reading *r, const char *text);
void cxx_need(struct cxx_reading *r, const char *text);
unsigned long cxx_number(struct cxx_reading *r);
/* "_" is 0, "0_" 1, and so on, by base 10 or 36. */
unsigned long cxx_index(struct cxx_reading *r, unsigned base);
/* "_0", "__10_": which one of those of its name in a function; there may be none. */
void cxx_discriminator(struct cxx_reading *r);
/* From `at` to here: what S_ and the like may mean. */
void cxx_remember(struct cxx_reading *r, const char *at, bool nested);

/* "5Cache", with its B5cxx11 */
void cxx_source_name(struct cxx_reading *r);
/* "K": of a type, or of the function whose this is; "" where there is none. */
const char *cxx_qualifiers(struct cxx_reading *r);
/* Sa, S_, S0_ .., not St; where it ends, in the text or at its NUL. */
bool cxx_is_back(const struct cxx_reading *r);
const char *cxx_back_end(const struct cxx_reading *r);
/* Of Sa, Ss ..: the second letter.  NULL: it is another one; so below. */
const char *cxx_standard(char which);
/* "i", "Dn" */
const char *cxx_builtin(struct cxx_reading *r);
/* "P": "*" */
const char *cxx_indirection(struct cxx_reading *r);
/* "v" alone, of a function: then it is behind us. */
bool cxx_no_parameters(struct cxx_reading *r);
/* Of a type that literals are written without; NULL: "(Type)" is written. */
const char *cxx_literal_suffix(struct cxx_reading *r);
/* "n5", of a literal */
void cxx_put_value(struct cxx_reading *r);

#endif
