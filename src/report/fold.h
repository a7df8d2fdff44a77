/* Which functions are only the way into the allocator. */
#ifndef MEMTRACE_FOLD_H
#define MEMTRACE_FOLD_H

#include "base/types.h"

/*
 * True for malloc and its family (also the names libc gives its own parts), operator
 * new, all of the standard library of C++, Rust's allocators, and the libc functions whose
 * result the caller frees (strdup, asprintf, getline).  `function` is a name as the
 * resolver or a symbol table gives it, mangled or not; NULL is no allocator.
 */
bool fold_is_allocator(const char *function);

/* That, or the start of a program or a thread. */
bool fold_is_runtime(const char *function);

/*
 * A C++ or Rust name in fewer columns: template arguments become <...>, and if that
 * is not enough, arguments (...).  A name that fits stays.  malloc'ed; NULL: no
 * memory.
 */
char *fold_name(const char *function, size_t columns);

#endif
