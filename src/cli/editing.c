/*
 * Line editing by libedit, through the functions it shares with readline.  They call
 * back without an argument: hence the static state.
 *
 * Its callback interface takes a key a call, but a key may be many bytes (Esc and what
 * follows it, a search by Ctrl-R), which it reads inside that call.  So it reads through
 * a function of ours, which keeps the session going while it waits.
 */
#include "cli/editing.h"

#ifdef HAVE_LIBEDIT

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <editline/readline.h>

#include "cli/commands.h"
#include "cli/history.h"

enum { MAX_HISTORY = 500 };

static editing_key *next_key;
static editing_line *on_line;
static void *user_arg;
static bool reading;		/* libedit is at work, and may be waiting in read_key() */
static bool dropped;		/* the line is to end when it is done */
static size_t prompt_len;	/* its columns */
static size_t completion_start; /* of the word that is being completed */

static void remember(const char *line)
{
	add_history(line);
	history_append(line);
}

static void recall(const char *line)
{
	add_history(line);
}

static void take_line(char *line)
{
	rl_callback_handler_remove();
	if (!line)
		fputc('\n', rl_outstream);
	else if (line[strspn(line, " \t")])
		remember(line);
	on_line(user_arg, line);
	free(line);
}

static int read_key(FILE *in)
{
	(void)in;
	return next_key(user_arg);
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

bool editing_start(FILE *out, editing_key *key, editing_line *line, void *arg)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(fileno(out)))
		return false;
	if (!term || !*term || !strcmp(term, "dumb"))
		return false;
	next_key = key;
	on_line = line;
	user_arg = arg;
	rl_readline_name = "memtrace";
	rl_instream = stdin;
	rl_outstream = out;
	rl_getc_function = read_key;
	rl_catch_signals = 0; /* they come by a descriptor: signals.c */
	rl_initialize();
	using_history();
	stifle_history(MAX_HISTORY);
	history_load(recall);
	rl_attempted_completion_function = complete;
	return true;
}

void editing_prompt(const char *prompt)
{
	dropped = false;
	prompt_len = strlen(prompt);
	rl_callback_handler_install(prompt, take_line);
}

void editing_read(void)
{
	reading = true;
	rl_callback_read_char();
	reading = false;
	if (dropped)
		rl_callback_handler_remove();
}

/* Rows between the one that the prompt is in and the one of the cursor: a long line takes
 * several.  Where the cursor is libedit says only of a line that is not empty. */
static size_t rows_above(void)
{
#ifdef HAVE_RL_COPY_TEXT
	char *line = rl_copy_text(0, COMMANDS_MAX_LINE);
#else /* libedit of before 2020: such a line leaves rows behind */
	char *line = NULL;
#endif
	size_t before = line && *line && rl_point > 0 ? (size_t)rl_point : 0;
	int height, width = 0;

	free(line);
	rl_get_screen_size(&height, &width);
	return width > 0 ? (prompt_len + before) / (size_t)width : 0;
}

void editing_hide(void)
{
	size_t rows = rows_above();

	fputc('\r', rl_outstream);
	if (rows)
		fprintf(rl_outstream, "\033[%zuA", rows);
	fputs("\033[J", rl_outstream);
}

void editing_show(void)
{
	rl_forced_update_display();
}

void editing_resize(void)
{
	rl_resize_terminal();
}

bool editing_drop(void)
{
	dropped = reading;
	if (!reading)
		rl_callback_handler_remove();
	return !reading;
}

#else

bool editing_start(FILE *out, editing_key *key, editing_line *line, void *arg)
{
	(void)out;
	(void)key;
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

void editing_hide(void)
{
}

void editing_show(void)
{
}

void editing_resize(void)
{
}

bool editing_drop(void)
{
	return true;
}

#endif
