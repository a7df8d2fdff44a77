/*
 *   is there a trend?  Mann-Kendall: of all pairs, how many more rise than fall, with the
 *                      correction for ties
 *   how much?          Theil-Sen: the median of the slopes of all pairs, and the ranks around it
 *                      that hold 95 %
 *
 * Without libm.
 */
#include "heap/trend.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_PAIRS = TREND_MAX * (TREND_MAX - 1) / 2 };

const double trend_p_01 = 2.326, trend_p_05 = 1.645;
static const double within_95 = 1.96;

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of values that are sorted by it. */
static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double trend_root(double x)
{
	double r = x > 1 ? x : 1;

	for (int i = 0; i < 40; i++)
		r = (r + x / r) / 2;
	return r;
}

/* sqrt(2 ln(count / 0.01)) is above the quantile, and near to it. */
double trend_sigma_of(size_t count)
{
	double log2 = 0, sigma;

	for (size_t left = count; left > 1; left /= 2)
		log2++;
	sigma = trend_root(2 * (0.693 * log2 + 4.605));
	return count > 1 ? sigma : trend_p_01;
}

/* Mann-Kendall's S: pairs that rise, less those that fall. */
static double score(const struct trend_series *s)
{
	int sum = 0;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = i + 1; k < s->n; k++)
			sum += (s->y[k] > s->y[i]) - (s->y[k] < s->y[i]);
	return sum;
}

static double variance_of(double n)
{
	return n * (n - 1) * (2 * n + 5) / 18;
}

/* The variance of S where there is no trend, ties taken off. */
static double variance(const struct trend_series *s)
{
	double sorted[TREND_MAX], left = variance_of((double)s->n);

	memcpy(sorted, s->y, sizeof(sorted));
	qsort(sorted, s->n, sizeof(*sorted), compare);
	for (size_t i = 0, end; i < s->n; i = end) {
		for (end = i + 1; end < s->n && sorted[end] <= sorted[i];)
			end++;
		left -= variance_of((double)(end - i));
	}
	return left;
}

bool trend_rises(const struct trend_series *s, double sigma)
{
	double more = score(s) - 1;

	return more > 0 && more * more > sigma * sigma * variance(s);
}

struct trend_slope trend_slope(const struct trend_series *s)
{
	double at[MAX_PAIRS], margin = within_95 * trend_root(variance(s)) / 2;
	struct trend_slope slope = {0};
	double low, high;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		for (size_t k = i + 1; k < s->n; k++)
			if (s->t[k] > s->t[i])
				at[n++] = (s->y[k] - s->y[i]) / (s->t[k] - s->t[i]) * 3600;
	if (!n)
		return slope;
	slope.median = median(at, n);
	low = (double)n / 2 - margin;
	high = (double)n / 2 + margin;
	slope.lowest = at[low > 0 ? (size_t)low : 0];
	slope.highest = at[high < (double)n ? (size_t)high : n - 1];
	return slope;
}

double trend_likeness(const struct trend_series *s)
{
	double slope = trend_slope(s).median / 3600, left[TREND_MAX], mean = 0, all = 0, next = 0;

	for (size_t i = 0; i < s->n; i++)
		mean += (left[i] = s->y[i] - slope * s->t[i]) / (double)s->n;
	for (size_t i = 0; i < s->n; i++) {
		all += (left[i] - mean) * (left[i] - mean);
		if (i)
			next += (left[i] - mean) * (left[i - 1] - mean);
	}
	if (all <= 0 || next <= 0)
		return 1;
	return (all + next) / (all - next > all / 10 ? all - next : all / 10);
}

double trend_median(const struct trend_series *s, size_t from, size_t to)
{
	double copy[TREND_MAX];

	memcpy(copy, s->y + from, (to - from) * sizeof(*copy));
	return median(copy, to - from);
}

double trend_take_step(struct trend_series *s)
{
	double most = 0;
	size_t at = 0;

	for (size_t i = 1; i < s->n; i++) {
		if (s->y[i] - s->y[i - 1] > most) {
			most = s->y[i] - s->y[i - 1];
			at = i;
		}
	}
	for (size_t i = at; at && i < s->n; i++)
		s->y[i] -= most;
	return most;
}
