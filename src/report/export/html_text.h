/*
 * Text on its way into a page.  Every byte of it may be the target's: nothing but these writes
 * what the page's author has not written.
 */
#ifndef MEMTRACE_HTML_TEXT_H
#define MEMTRACE_HTML_TEXT_H

#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "base/types.h"

/* As text, or as the value of an attribute in quotes; what is no character to be seen is \xNN. */
void html_print(FILE *out, const char *text);

/* The same as a string of JSON within a <script>: nothing in it can end that (RFC 8259, 7). */
void html_data_string(FILE *out, const char *text);

/* "1.5 MiB", "53 bytes". */
void html_size(FILE *out, uint64_t bytes);
/* "2026-11-29 12:17:36 UTC" */
void html_time(FILE *out, const struct timespec *when);
/* A cell of a table: `value` is what a column is sorted by. */
void html_cell_count(FILE *out, uint64_t value);
void html_cell_size(FILE *out, uint64_t bytes);
void html_cell_text(FILE *out, const char *text); /* NULL: empty */

/* What other parts of a report say, written to `side` first. */
struct html_words {
	FILE *side;
	char *text;
	size_t len;
};

int html_words_begin(struct html_words *words, struct err *err) MUST_CHECK;
/* Each ends it, and writes nothing where nothing was said: one element, lines joined ... */
int html_words_paragraph(struct html_words *words, const char *element, FILE *out,
			 struct err *err) MUST_CHECK;
/* ... an element for each line ... */
int html_words_lines(struct html_words *words, const char *element, FILE *out,
		     struct err *err) MUST_CHECK;
/* ... and <pre>. */
int html_words_pre(struct html_words *words, FILE *out, struct err *err) MUST_CHECK;

#endif
