/*
 * The pages of several processes in one file: each is whole, a document within this one, under a line
 * that says whose it is; opening one closes the other, by no script.  What is not open is not read.
 *
 * A document within another is bound by that one's policy, too, so both have the same.
 */
#include "report/export/html_data.h"
#include "report/export/html_text.h"
#include "report/export/viewers.h"
#include "report/print.h"

/* As the value of an attribute in quotes: it comes out as it was. */
static void print_document(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '&')
			fputs("&amp;", out);
		else if (text[i] == '"')
			fputs("&quot;", out);
		else
			putc(text[i], out);
	}
}

static void print_process(FILE *out, const struct process_report *p)
{
	fprintf(out, "<details name=\"process\"><summary>%d ", p->pid);
	html_print(out, p->name);
	fputs(": ", out);
	print_count(out, p->bytes, "byte");
	fputs(" in ", out);
	print_count(out, p->blocks, "block");
	print_size_beside(out, p->bytes);
	fprintf(out, "</summary>\n<iframe loading=\"lazy\" width=\"100%%\" height=\"900\" title=\"%d\" srcdoc=\"",
		p->pid);
	print_document(out, p->text, p->len);
	fputs("\"></iframe></details>\n", out);
}

void html_pages(const struct process_report *reports, size_t count, FILE *out)
{
	html_head(out);
	fprintf(out, "%zu processes</title>\n<style>", count);
	fwrite(html_css, 1, html_css_len, out);
	fputs("</style></head>\n<body>\n<h1>", out);
	fprintf(out, "%zu processes</h1>\n", count);
	for (size_t i = 0; i < count; i++)
		print_process(out, &reports[i]);
	fputs("</body></html>\n", out);
}
