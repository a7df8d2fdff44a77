/* Inside the page: what html.c puts together. */
#ifndef MEMTRACE_HTML_PARTS_H
#define MEMTRACE_HTML_PARTS_H

#include "report/export/stacks.h"

/* web/page.css and web/page.js, as they are (html_web.S). */
extern const char html_css[], html_js[];
extern const uint32_t html_css_len, html_js_len;

/* What the page says of itself that it does not know, beside what the totals say. */
struct html_doubts {
	uint64_t stacks, cut, guessed; /* call stacks; of them */
};

/* A row for each call stack, ranked, and what an earlier -n left out as the last. */
int html_stacks(const struct exports *exports, FILE *out, struct html_doubts *ret,
		struct err *err) MUST_CHECK;

/* In use and RSS over time.  False: there is no course to draw. */
bool html_charts(const struct course *course, FILE *out);

void html_modules(const struct exports *exports, FILE *out);
void html_threads(const struct snapshot *s, FILE *out);

#endif
