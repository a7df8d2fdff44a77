/* Numbers and times as a person writes them, each checked against its range. */
#ifndef MEMTRACE_QUANTITY_H
#define MEMTRACE_QUANTITY_H

#include "base/err.h"
#include "base/types.h"

/*
 * A decimal integer within [min, max].  `what` names it in the error ("--count").
 * -EINVAL: not a number; -ERANGE: out of range.
 */
int quantity_number(const char *text, const char *what, uint64_t min, uint64_t max,
		    uint64_t *ret, struct err *err) MUST_CHECK;

/*
 * A time in milliseconds: "500ms", "10s", "5m", "2h"; without a unit, seconds.
 * At least min_ms, at most QUANTITY_MAX_HOURS.  Errors as above.
 */
int quantity_time(const char *text, const char *what, uint64_t min_ms, uint64_t *ret,
		  struct err *err) MUST_CHECK;

/* A size in bytes: "4096", "64K", "64M", "2G"; not 0. */
int quantity_size(const char *text, const char *what, uint64_t *ret, struct err *err);

enum { QUANTITY_MAX_HOURS = 100000 };

#endif
