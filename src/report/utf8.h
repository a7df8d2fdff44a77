/*
 * Strings of the target: bytes that somebody else wrote, on their way to a
 * terminal or into JSON.
 */
#ifndef MEMTRACE_UTF8_H
#define MEMTRACE_UTF8_H

#include <stdio.h>

#include "base/types.h"

/* The length of the well-formed UTF-8 sequence that s begins with, its code point
 * in *code; 0 when there is none (at the NUL, or a byte that is not UTF-8). */
size_t utf8_next(const char *s, uint32_t *code);

/* Whether a code point is no character to be seen, and must not reach a terminal. */
bool utf8_is_control(uint32_t code);

/* How many columns s takes when utf8_print() wrote it (one per code point). */
size_t utf8_columns(const char *s);

/* Writes s such that it can't command a terminal: control characters, those that turn the
 * direction of writing, and what is not UTF-8, each byte as \xNN. */
void utf8_print(FILE *out, const char *s);

/* The same for a form in which some characters have a meaning: as() says what is written for
 * the ASCII character at `at`, in the midst of s; `arg` is passed on. */
void utf8_print_as(FILE *out, const char *s, char (*as)(const char *at, const void *arg),
		   const void *arg);

#endif
