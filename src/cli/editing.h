/*
 * Line editing on a terminal: libedit's callback interface, which takes one character
 * at a time and leaves poll() in charge.  Its state is global, so there is one editor,
 * and no struct.  Built without libedit, editing_start() says false and nothing else
 * is called.
 */
#ifndef MEMTRACE_EDITING_H
#define MEMTRACE_EDITING_H

#include <stdio.h>

#include "base/types.h"

/* Called with each whole line (NULL: end of input); the terminal is as it was before
 * editing, and stays so until editing_prompt(). */
typedef void editing_line(void *arg, const char *line);

/* The next byte of input, waited for however long it takes (some keys are several
 * bytes, and a search reads many); -1: no more are wanted. */
typedef int editing_key(void *arg);

/* Takes stdin and the terminal `out`.  False: there is no editor, or it can't move
 * that terminal's cursor. */
bool editing_start(FILE *out, editing_key *key, editing_line *line, void *arg);

void editing_prompt(const char *prompt); /* begins a line */
void editing_read(void);		 /* a byte is there: one key, or the start of one */
void editing_hide(void);		 /* takes prompt and line off the screen */
void editing_show(void);		 /* draws them again, at column 0 */
void editing_resize(void);		 /* the terminal has another size */
/* Ends a line that was begun: the terminal is as it was.  False: it will be, as this was
 * called from within editing_key, when that has said -1 and editing_read() returns. */
bool editing_drop(void);

#endif
