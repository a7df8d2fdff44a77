/*
 * Line editing by libedit, through the functions it shares with readline.  They call
 * back without an argument: hence the static state.
 */
#include "cli/editing.h"

#ifdef HAVE_LIBEDIT

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <editline/readline.h>

#include "cli/commands.h"

enum { MAX_HISTORY = 500 };

static editing_line *on_line;
static void *on_line_arg;
static size_t completion_start; /* of the word that is being completed */

static void take_line(char *line)
{
	rl_callback_handler_remove();
	if (!line)
		fputc('\n', rl_outstream);
	else if (line[strspn(line, " \t")])
		add_history(line);
	on_line(on_line_arg, line);
	free(line);
}

/* The next completion of a word, malloc'ed as libedit wants it; state 0: the first. */
static char *next_completion(const char *word, int state)
{
	static size_t i;
	const char *found;

	i = state ? i + 1 : 0;
	found = commands_complete(rl_line_buffer, completion_start, strlen(word), i);
	return found ? strdup(found) : NULL;
}

static char **complete(const char *word, int start, int end)
{
	(void)end;
	completion_start = (size_t)start;
	rl_attempted_completion_over = 1; /* no file names */
	return rl_completion_matches(word, next_completion);
}

bool editing_start(FILE *out, editing_line *line, void *arg)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(fileno(out)))
		return false;
	if (!term || !*term || !strcmp(term, "dumb"))
		return false;
	on_line = line;
	on_line_arg = arg;
	rl_readline_name = "memtrace";
	rl_instream = stdin;
	rl_outstream = out;
	rl_catch_signals = 0; /* they come by a descriptor: signals.c */
	rl_initialize();
	using_history();
	stifle_history(MAX_HISTORY);
	rl_attempted_completion_function = complete;
	return true;
}

void editing_prompt(const char *prompt)
{
	rl_callback_handler_install(prompt, take_line);
}

void editing_read(void)
{
	rl_callback_read_char();
}

void editing_show(void)
{
	rl_forced_update_display();
}

void editing_resize(void)
{
	rl_resize_terminal();
}

void editing_drop(void)
{
	rl_callback_handler_remove();
}

#else

bool editing_start(FILE *out, editing_line *line, void *arg)
{
	(void)out;
	(void)line;
	(void)arg;
	return false;
}

void editing_prompt(const char *prompt)
{
	(void)prompt;
}

void editing_read(void)
{
}

void editing_show(void)
{
}

void editing_resize(void)
{
}

void editing_drop(void)
{
}

#endif
