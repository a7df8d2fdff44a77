/*
 * The lines typed at former consoles: one a line in $XDG_STATE_HOME/memtrace/history, or
 * ~/.local/state/memtrace/history, readable by their owner alone.  It is a convenience:
 * where it can't be read or written there is none, and nobody is told.
 */
#ifndef MEMTRACE_HISTORY_H
#define MEMTRACE_HISTORY_H

/* Hands out the lines of the file, oldest first. */
void history_load(void (*take)(const char *line));
void history_append(const char *line);

#endif
