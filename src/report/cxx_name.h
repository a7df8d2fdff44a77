/* Names of C++ classes and variables, as people write them. */
#ifndef MEMTRACE_CXX_NAME_H
#define MEMTRACE_CXX_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * "N3app5CacheIiEE", a type's name or what is behind "_Z" of a variable's symbol:
 * "app::Cache<int>", spelled as the C++ runtime's own demangler spells it.  A name of `room` -
 * 1 bytes may have been cut off: of such a one, and of one that grows too long, it prints the
 * beginning and "...". False: the name is none, or has parts that are not read (expressions,
 * operators), and nothing is printed.
 */
bool cxx_name_print(FILE *out, const char *text, size_t room);

#endif
