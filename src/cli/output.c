/*
 * Words for the user.  Others may have had a hand in them (a path, what memtrace-fs says):
 * nothing in them commands the terminal.
 * stdout and stderr are often the same terminal or file: each is flushed before the other is
 * written to, so that the order is the true one.
 */
#include "cli/output.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/utf8.h"

enum { MAX_WORDS = 8192 };

void output_init(struct output *output, FILE *out, bool quiet)
{
	*output = (struct output){.out = out, .quiet = quiet};
	setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
}

bool output_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *value = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !(value && *value); i++)
		value = getenv(names[i]);
	return value && (strcasestr(value, "UTF-8") || strcasestr(value, "UTF8"));
}

static void speak(struct output *output, const char *prefix, const char *format, va_list args)
{
	char text[MAX_WORDS];

	vsnprintf(text, sizeof(text), format, args);
	if (output->held) {
		fprintf(output->held, "%s%s\n", prefix, text);
		return;
	}
	output_begin(output);
	fflush(output->out);
	fputs(prefix, stderr);
	utf8_print(stderr, text);
	fputc('\n', stderr);
	output_end(output);
}

static void log_line(struct output *output, const char *line)
{
	output_begin(output);
	fflush(output->out);
	utf8_print(stderr, line);
	fputc('\n', stderr);
	output_end(output);
}

void output_log(struct output *output, const char *format, ...)
{
	va_list args;

	if (output->quiet)
		return;
	va_start(args, format);
	speak(output, "", format, args);
	va_end(args);
}

void output_warn(struct output *output, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	speak(output, "memtrace: ", format, args);
	va_end(args);
}

void output_hold(struct output *output)
{
	output_wait(output, "");
	output->held = open_memstream(&output->held_text, &output->held_len);
}

void output_release(struct output *output)
{
	char *line, *end;

	if (!output->held)
		return;
	fclose(output->held);
	output->held = NULL;
	for (line = output->held_text; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		log_line(output, line);
	}
	free(output->held_text);
	output->held_text = NULL;
}

static void wipe_progress(struct output *output)
{
	if (output->progress_shown)
		fputs("\r\033[K", stderr);
	output->progress_shown = false;
}

void output_begin(struct output *output)
{
	wipe_progress(output);
	fflush(stderr);
	console_hide(output->console);
}

void output_end(struct output *output)
{
	fflush(output->out);
	fflush(stderr);
	console_show(output->console);
}

void output_progress(void *arg, const char *what, size_t done, size_t count)
{
	char text[100];

	snprintf(text, sizeof(text), "%.40s: %zu of %zu", what, done, count);
	output_wait(arg, count ? text : "");
}

void output_wait(void *arg, const char *text)
{
	struct output *output = arg;
	char shown[79];

	wipe_progress(output);
	if (*text && !output->quiet && !output->held && isatty(STDERR_FILENO)) {
		snprintf(shown, sizeof(shown), "%s", text);
		fputs("\r\033[K", stderr);
		utf8_print(stderr, shown);
		output->progress_shown = true;
	}
	fflush(stderr);
}
