/*
 * Words for the user.  Others may have had a hand in them (a path, what memtrace-fs says):
 * nothing in them commands the terminal.
 * stdout and stderr are often the same terminal or file: each is flushed before the other is
 * written to, so that the order is the true one.
 */
#include "cli/words.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/utf8.h"

enum { MAX_WORDS = 8192 };

void words_init(struct words *words, FILE *out, bool quiet)
{
	*words = (struct words){.out = out, .quiet = quiet};
	setvbuf(stderr, NULL, _IOFBF, BUFSIZ);
}

static void speak(struct words *words, const char *prefix, const char *format, va_list args)
{
	char text[MAX_WORDS];

	vsnprintf(text, sizeof(text), format, args);
	if (words->held) {
		fprintf(words->held, "%s%s\n", prefix, text);
		return;
	}
	words_begin(words);
	fflush(words->out);
	fputs(prefix, stderr);
	utf8_print(stderr, text);
	fputc('\n', stderr);
	words_end(words);
}

static void say_line(struct words *words, const char *line)
{
	words_begin(words);
	fflush(words->out);
	utf8_print(stderr, line);
	fputc('\n', stderr);
	words_end(words);
}

void words_say(struct words *words, const char *format, ...)
{
	va_list args;

	if (words->quiet)
		return;
	va_start(args, format);
	speak(words, "", format, args);
	va_end(args);
}

void words_warn(struct words *words, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	speak(words, "memtrace: ", format, args);
	va_end(args);
}

void words_hold(struct words *words)
{
	words_wait(words, "");
	words->held = open_memstream(&words->held_text, &words->held_len);
}

void words_release(struct words *words)
{
	char *line, *end;

	if (!words->held)
		return;
	fclose(words->held);
	words->held = NULL;
	for (line = words->held_text; line && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		say_line(words, line);
	}
	free(words->held_text);
	words->held_text = NULL;
}

static void wipe_progress(struct words *words)
{
	if (words->progress_shown)
		fputs("\r\033[K", stderr);
	words->progress_shown = false;
}

void words_begin(struct words *words)
{
	wipe_progress(words);
	fflush(stderr);
	console_hide(words->console);
}

void words_end(struct words *words)
{
	fflush(words->out);
	fflush(stderr);
	console_show(words->console);
}

void words_progress(void *arg, const char *what, size_t done, size_t count)
{
	char text[100];

	snprintf(text, sizeof(text), "%.40s: %zu of %zu", what, done, count);
	words_wait(arg, count ? text : "");
}

void words_wait(void *arg, const char *text)
{
	struct words *words = arg;
	char shown[79];

	wipe_progress(words);
	if (*text && !words->quiet && !words->held && isatty(STDERR_FILENO)) {
		snprintf(shown, sizeof(shown), "%s", text);
		fputs("\r\033[K", stderr);
		utf8_print(stderr, shown);
		words->progress_shown = true;
	}
	fflush(stderr);
}
