/*
 * HTML (the living standard, 13.1): in text and in quoted attributes five characters mean
 * something.  What turns the direction of writing, or can't be seen, is shown as in a text
 * report: a name must not pretend to be another one.
 */
#include "report/export/html_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/print.h"
#include "report/utf8.h"

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void html_print(FILE *out, const char *text)
{
	char one[5];

	for (size_t len; *text; text += len) {
		const char *means = entity(*text);
		uint32_t code;

		len = utf8_next(text, &code);
		len = len ? len : 1;
		memcpy(one, text, len);
		one[len] = '\0';
		if (means)
			fputs(means, out);
		else
			utf8_print(out, one);
	}
}

/* (a backslash of utf8_print()'s own is one more that is to be escaped) */
static void print_hidden(FILE *out, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		fprintf(out, "\\\\x%02x", (unsigned char)bytes[i]);
}

void html_data_string(FILE *out, const char *text)
{
	putc('"', out);
	for (size_t len; *text; text += len) {
		uint32_t code = 0;

		len = utf8_next(text, &code);
		if (!len || utf8_is_control(code))
			print_hidden(out, text, len = len ? len : 1);
		else if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (int)code);
		else if (code == '<' || code == '>' || code == '&')
			fprintf(out, "\\u%04x", (unsigned)code);
		else
			fwrite(text, 1, len, out);
	}
	putc('"', out);
}

void html_size(FILE *out, uint64_t bytes)
{
	if (!print_size(out, bytes))
		print_count(out, bytes, "byte");
}

void html_time(FILE *out, const struct timespec *when)
{
	char text[40];
	struct tm tm;

	if (gmtime_r(&when->tv_sec, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm))
		fputs(text, out);
}

void html_cell_count(FILE *out, uint64_t value)
{
	fprintf(out, "<td data-v=\"%" PRIu64 "\">%" PRIu64, value, value);
}

void html_cell_size(FILE *out, uint64_t bytes)
{
	fprintf(out, "<td data-v=\"%" PRIu64 "\" title=\"%" PRIu64 " bytes\">", bytes, bytes);
	html_size(out, bytes);
}

void html_cell_text(FILE *out, const char *text)
{
	fputs("<td>", out);
	html_print(out, text ? text : "");
}

int html_words_begin(struct html_words *words, struct err *err)
{
	*words = (struct html_words){0};
	words->side = open_memstream(&words->text, &words->len);
	return words->side ? 0 : err_set(err, -ENOMEM, "out of memory for the report");
}

static int finish(struct html_words *words, struct err *err)
{
	if (!fclose(words->side))
		return 0;
	free(words->text);
	return err_set(err, -ENOMEM, "out of memory for the report");
}

/* Lines, each within <element> if there is one, else with `between` them. */
static void print_lines(char *text, const char *element, char between, FILE *out)
{
	char *rest, *line = strtok_r(text, "\n", &rest);

	while (line) {
		if (element)
			fprintf(out, "<%s>", element);
		html_print(out, line);
		if (element)
			fprintf(out, "</%s>\n", element);
		line = strtok_r(NULL, "\n", &rest);
		if (line && !element)
			putc(between, out);
	}
}

int html_words_paragraph(struct html_words *words, const char *element, FILE *out,
			 struct err *err)
{
	int failed = finish(words, err);

	if (failed)
		return failed;
	if (words->len) {
		fprintf(out, "<%s>", element);
		print_lines(words->text, NULL, ' ', out);
		fprintf(out, "</%s>\n", element);
	}
	free(words->text);
	return 0;
}

int html_words_lines(struct html_words *words, const char *element, FILE *out, struct err *err)
{
	int failed = finish(words, err);

	if (failed)
		return failed;
	print_lines(words->text, element, '\n', out);
	free(words->text);
	return 0;
}

int html_words_pre(struct html_words *words, FILE *out, struct err *err)
{
	int failed = finish(words, err);

	if (failed)
		return failed;
	fputs("<pre>", out);
	print_lines(words->text, NULL, '\n', out);
	fputs("</pre>\n", out);
	free(words->text);
	return 0;
}
