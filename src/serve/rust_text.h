/* A Rust v0 symbol as it is read, and the name as it is printed: both are bounded. */
#ifndef MEMTRACE_RUST_TEXT_H
#define MEMTRACE_RUST_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUST_TEXT_MAX = 16 << 10 }; /* bytes of output */

struct rust_text {
	const char *text; /* behind "_R" */
	size_t len, at;
	char *out;
	size_t out_len;
	bool bad;
	bool mute; /* read, don't print */
	int depth;
	uint64_t binders; /* lifetimes bound around here */
};

struct rust_name {
	const char *text;
	size_t len;
	bool punycode;
	uint64_t disambiguator;
};

/* Output; nothing once it is bad or mute. */
void rust_text_put(struct rust_text *v, const char *text, size_t len);
void rust_text_print(struct rust_text *v, const char *text);
void rust_text_number(struct rust_text *v, uint64_t number);
void rust_text_name(struct rust_text *v, struct rust_name name);

/* Input.  peek: '\0' at the end; eat: whether the next was c, and then it is taken; next: bad
 * at the end. */
char rust_text_peek(const struct rust_text *v);
bool rust_text_eat(struct rust_text *v, char c);
char rust_text_next(struct rust_text *v);

/* Counts nesting; false (and bad) when it is too deep. */
bool rust_text_enter(struct rust_text *v);
void rust_text_leave(struct rust_text *v);

/* Base 62: "_" is 0, digits then "_" are their value + 1. */
uint64_t rust_text_base62(struct rust_text *v);
/* The same behind a tag, which may be absent: then 0. */
uint64_t rust_text_tagged62(struct rust_text *v, char tag);

/* [s base-62] [u] length [_] bytes.  Bad where there is none. */
struct rust_name rust_text_identifier(struct rust_text *v);
/* The same without the number. */
struct rust_name rust_text_bare(struct rust_text *v);

#endif
