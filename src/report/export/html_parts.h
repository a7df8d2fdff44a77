/* Inside the page: what html.c puts together. */
#ifndef MEMTRACE_HTML_PARTS_H
#define MEMTRACE_HTML_PARTS_H

#include "report/export/stacks.h"

/* web/dist/page.css and page.js, as they are, and what a policy calls them (html_web.S). */
/* How each page begins: the policy, and "<title>memtrace: ". */
void html_head(FILE *out);

extern const char html_css[], html_js[], html_css_hash[], html_js_hash[];
extern const uint32_t html_css_len, html_js_len;

/* What the page says of itself that it does not know, beside what the totals say. */
struct html_doubts {
	uint64_t stacks, cut, guessed; /* call stacks; of them */
};

void html_doubts(const struct exports *exports, struct html_doubts *ret);

/* A row for each of the first call stacks, ranked, and what an earlier -n left out as the last. */
int html_stacks(const struct exports *exports, FILE *out, struct err *err) MUST_CHECK;

/* In use and RSS over time.  False: there is no course to draw. */
bool html_charts(const struct course *course, FILE *out);

void html_marks(const struct marks *marks, FILE *out); /* NULL is allowed */
void html_modules(const struct exports *exports, FILE *out);
void html_threads(const struct snapshot *s, FILE *out);

#endif
