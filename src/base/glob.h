#ifndef MEMTRACE_BASE_GLOB_H
#define MEMTRACE_BASE_GLOB_H

#include <stdbool.h>

/*
 * Is all of text, a string of bytes, what pattern stands for: * any text, ? any byte, [a-z] one of
 * these, [!a-z] or [^a-z] another than these, \x the byte x; any other byte stands for itself, as
 * does a [ without its ].
 *
 * Takes strlen(pattern) * strlen(text) steps at most.  Source: fnmatch(3), POSIX.1-2017 XCU 2.13,
 * without flags, collation and character classes.
 */
bool glob_matches(const char *pattern, const char *text);

#endif
