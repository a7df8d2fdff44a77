/*
 * A report as one HTML file that needs nothing else: no network (its own policy forbids it, and
 * any script but its own), no script to be read.  Readers come with one question, so the verdict
 * is the headline, and what is not known comes before any number.
 *
 *   verdict, process --> not known --> totals --> history --> call stacks --> modules, threads
 *   --> the data of all of it (html_data.c) --> the script, which puts what moves in the place of
 *   the tables (web/)
 */
#include <inttypes.h>
#include <stdlib.h>

#include "heap/verdicts.h"
#include "report/export/html_data.h"
#include "report/export/html_text.h"
#include "report/export/viewers.h"
#include "report/head.h"
#include "report/print.h"
#include "report/sampling.h"

struct page {
	struct exports exports;
	const struct snapshot *snapshot;
	const struct course *course;
	struct html_doubts doubts;
	FILE *out;
};

void html_head(FILE *out)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ",
	      out);
	fprintf(out, "style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'\">\n",
		html_css_hash, html_js_hash);
	fputs("<meta name=\"viewport\" content=\"width=device-width\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>memtrace: ",
	      out);
}

static void write_title(struct page *p)
{
	const struct snapshot *s = p->snapshot;

	html_head(p->out);
	html_print(p->out, s->command && *s->command ? *s->command : "process");
	fprintf(p->out, " (pid %d)</title>\n<style>", s->pid);
	fwrite(html_css, 1, html_css_len, p->out);
	fputs("</style></head>\n<body>\n", p->out);
}

static int write_comparison(struct page *p, struct err *err)
{
	const struct diff *diff = p->exports.job->options->diff;
	struct html_words words;
	int failed = diff ? html_words_begin(&words, err) : 0;

	if (failed || !diff)
		return failed;
	diff_head(words.side, diff);
	return html_words_paragraph(&words, "p", p->out, err);
}

static int write_verdict(struct page *p, struct err *err)
{
	struct html_words words;
	int failed = html_words_begin(&words, err);

	if (failed)
		return failed;
	head_verdict(words.side, p->exports.job);
	if (p->snapshot->sampling.coarsest || p->snapshot->sampling.min_size)
		putc(' ', words.side);
	sampling_sentences(words.side, p->snapshot);
	failed = html_words_paragraph(&words, "h1", p->out, err);
	if (!failed)
		failed = write_comparison(p, err);
	if (!failed)
		failed = html_words_begin(&words, err);
	if (failed)
		return failed;
	head_process(words.side, p->snapshot, true);
	return html_words_paragraph(&words, "p", p->out, err);
}

static void say_stacks(FILE *out, const struct html_doubts *d, uint64_t left_out)
{
	if (d->cut)
		fprintf(out, "how %" PRIu64 " of %" PRIu64 " call stacks begin: each says why\n",
			d->cut, d->stacks);
	if (d->guessed)
		fprintf(out,
			"whether the frames marked (guessed) are true, in %" PRIu64
			" of %" PRIu64 " call stacks\n",
			d->guessed, d->stacks);
	if (left_out)
		fprintf(out,
			"the call stacks that the report had left out of which this was made "
			"(%" PRIu64 ")\n",
			left_out);
}

static void say_unknown(FILE *out, const struct page *p)
{
	const struct snapshot *s = p->snapshot;

	fputs("what was allocated before ", out);
	html_time(out, &s->started);
	fputs(": it is in no count\n", out);
	not_followed_text(s, out);
	left_behind_text(s, out);
	head_remarks(out, p->exports.job, p->exports.names);
	say_stacks(out, &p->doubts, p->exports.job->options->left_out.contexts);
	if (!s->verdicts)
		fputs("whether it grows: the capture has no verdicts\n", out);
	if (s->mapping_count) {
		print_count(out, s->mapping_count, "mapping");
		fputs(" by the program itself (--mmap), which this page does not show; a text "
		      "report does\n",
		      out);
	}
}

static int write_unknown(struct page *p, struct err *err)
{
	struct html_words words;
	int failed = html_words_begin(&words, err);

	if (failed)
		return failed;
	say_unknown(words.side, p);
	fputs("<section id=\"unknown\"><h2>What is not known</h2>\n<ul>\n", p->out);
	failed = html_words_lines(&words, "li", p->out, err);
	fputs("</ul></section>\n", p->out);
	return failed;
}

static int write_totals(struct page *p, struct err *err)
{
	struct html_words words;
	int failed = html_words_begin(&words, err);

	if (failed)
		return failed;
	report_totals(p->snapshot, words.side);
	fputs("<section id=\"totals\"><h2>Totals</h2>\n", p->out);
	failed = html_words_pre(&words, p->out, err);
	if (!failed)
		failed = html_words_begin(&words, err);
	if (failed)
		return failed;
	head_growth(words.side, p->snapshot);
	failed = html_words_paragraph(&words, "p", p->out, err);
	fputs("</section>\n", p->out);
	return failed;
}

static void write_history(struct page *p)
{
	fputs("<section id=\"history\"><h2>History</h2>\n<div class=\"plain\">\n", p->out);
	if (!html_charts(p->course, p->out))
		fputs("<p>Not known: the capture has none, or was too short.</p>\n", p->out);
	html_marks(p->exports.job->options->marks, p->out);
	fputs("</div></section>\n", p->out);
}

static void write_end(struct page *p)
{
	html_modules(&p->exports, p->out);
	html_threads(p->snapshot, p->out);
	fputs("<footer>Taken ", p->out);
	html_time(p->out, &p->snapshot->taken);
	fputs(" by memtrace ", p->out);
	html_print(p->out, p->exports.job->options->version ? p->exports.job->options->version
							    : "of an unknown version");
	fputs(".</footer>\n", p->out);
}

/* (the policy has the hash of each: what stands between the tags is the file's, and no more) */
static void write_script(struct page *p)
{
	fputs("<script>", p->out);
	fwrite(html_js, 1, html_js_len, p->out);
	fputs("</script></body></html>\n", p->out);
}

static int write_page(struct page *p, struct err *err)
{
	int failed;

	html_doubts(&p->exports, &p->doubts);
	write_title(p);
	failed = write_verdict(p, err);
	if (!failed)
		failed = write_unknown(p, err);
	if (!failed)
		failed = write_totals(p, err);
	if (failed)
		return failed;
	write_history(p);
	fputs("<section id=\"stacks\"><h2>Call stacks</h2>\n<div class=\"plain\">\n", p->out);
	failed = html_stacks(&p->exports, p->out, err);
	fputs("</div></section>\n", p->out);
	if (failed)
		return failed;
	write_end(p);
	failed = html_data(&p->exports, p->course, p->out, err);
	write_script(p);
	return failed ? failed : report_check(p->out, err);
}

int html_write(struct report_job *job, FILE *out, struct err *err)
{
	const struct verdicts *verdicts = job->snapshot->verdicts;
	struct page p = {.snapshot = job->snapshot, .out = out};
	int failed = exports_begin(job, &p.exports, err);

	if (failed)
		return failed;
	p.course = job->options->course ? job->options->course
		   : verdicts		? verdicts->course
					: NULL;
	failed = write_page(&p, err);
	exports_end(&p.exports);
	return failed;
}
