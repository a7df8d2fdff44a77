/*
 * Errors are values: a function that can fail returns 0 or -errno and, in the
 * last argument, words that a user can act on.  The text lives in the caller's
 * struct, so that an error costs no allocation.
 */
#ifndef MEMTRACE_ERR_H
#define MEMTRACE_ERR_H

/* Behind a prototype: whoever calls it looks at what it returns, or says by err_ignore() that
 * nothing hangs on it. */
#define MUST_CHECK __attribute__((warn_unused_result))

#include <stdarg.h>

/* Nothing follows from this failure here; a comment says why, where the code around does not. */
static inline void err_ignore(int failed)
{
	(void)failed;
}

struct err {
	int code;       /* -errno; 0 while nothing failed */
	char text[480]; /* one line, no newline, NUL-terminated (cut when longer) */
};

/* Stores code and text in *err (NULL is allowed) and returns code, so that a
 * failure reads `return err_set(err, -ENOENT, "no such pid %d", pid);`. */
int err_set(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Like err_set(); appends ": " and strerror(-code). */
int err_sys(struct err *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__ /* it does not see that what they return is the code */
#define err_set(err, code, ...) ((void)(err_set)(err, code, __VA_ARGS__), (code))
#define err_sys(err, code, ...) ((void)(err_sys)(err, code, __VA_ARGS__), (code))
#endif

#endif
