/*
 * Whether a series of values rises, and how fast, by statistics that assume no shape of the noise
 * (Mann 1945, Kendall 1975; Theil 1950, Sen 1968).
 */
#ifndef MEMTRACE_TREND_H
#define MEMTRACE_TREND_H

#include <stddef.h>

#include "base/types.h"

enum { TREND_MAX = 40 };

struct trend_series {
	double t[TREND_MAX], y[TREND_MAX]; /* seconds, rising; bytes */
	size_t n;
};

/* For trend_rises(): by chance in 1 of 100, 1 of 20 series. */
extern const double trend_p_01, trend_p_05;
/* In one of a hundred of `count` series together (Bonferroni). */
double trend_sigma_of(size_t count);

/* Whether more pairs of values rise than chance lets: `sigma` of the normal distribution. */
bool trend_rises(const struct trend_series *s, double sigma);

struct trend_slope {
	double median, lowest, highest; /* an hour; 95 of 100 times within */
};
struct trend_slope trend_slope(const struct trend_series *s);

/* How much more the variance is where a value is like the one before: by the autocorrelation at
 * lag 1 of what is left without the trend (Hamed and Rao 1998, the first term).  1 or more: for
 * the sigma of trend_rises(), its root. */
double trend_likeness(const struct trend_series *s);

/* Of s->y[from..to), which is not empty. */
double trend_median(const struct trend_series *s, size_t from, size_t to);

/* The largest rise from a value to the next, taken off all that comes behind it. */
double trend_take_step(struct trend_series *s);

double trend_root(double x);

#endif
