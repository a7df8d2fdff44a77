/*
 * Numbers and times from the command line and the console.  strtoul() accepts
 * blanks, signs and wraps around; here a digit is a digit and nothing wraps.
 */
#include "base/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Digits up to the first other character (*end).  Saturates at UINT64_MAX.
 * False: there is no digit. */
static bool digits(const char *text, uint64_t *ret, const char **end)
{
	const char *at = text;
	uint64_t value = 0;

	for (; *at >= '0' && *at <= '9'; at++) {
		unsigned digit = (unsigned)(*at - '0');
		value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
	}
	*ret = value;
	*end = at;
	return at > text;
}

int quantity_number(const char *text, const char *what, uint64_t min, uint64_t max,
		    uint64_t *ret, struct err *err)
{
	const char *end;
	uint64_t value;

	if (!digits(text, &value, &end) || *end)
		return err_set(err, -EINVAL, "%s: '%s' is not a number", what, text);
	if (value < min || value > max)
		return err_set(err, -ERANGE, "%s: %s is not between %" PRIu64 " and %" PRIu64,
			       what, text, min, max);
	*ret = value;
	return 0;
}

int quantity_time(const char *text, const char *what, uint64_t min_ms, uint64_t *ret,
		  struct err *err)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
	const uint64_t max_ms = QUANTITY_MAX_HOURS * UINT64_C(3600) * 1000;
	const char *unit;
	uint64_t count;

	if (digits(text, &count, &unit)) {
		for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
			if (strcmp(unit, units[i].name))
				continue;
			if (count > max_ms / units[i].ms || count * units[i].ms < min_ms)
				return err_set(err, -ERANGE,
					       "%s: %s is not between %" PRIu64 "ms and %dh",
					       what, text, min_ms, QUANTITY_MAX_HOURS);
			*ret = count * units[i].ms;
			return 0;
		}
	}
	return err_set(err, -EINVAL, "%s: '%s' is not a time such as 500ms, 10s, 5m or 2h",
		       what, text);
}

int quantity_size(const char *text, const char *what, uint64_t *ret, struct err *err)
{
	static const char units[] = "KMGT";
	const char *end, *unit;
	unsigned shift = 0;
	uint64_t value;

	if (!digits(text, &value, &end))
		return err_set(err, -EINVAL, "%s: '%s' is not a size such as 64M or 2G", what, text);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit)
		shift = 10 * (unsigned)(unit - units + 1);
	if (*end && (!unit || end[1]))
		return err_set(err, -EINVAL, "%s: '%s' is not a size such as 64M or 2G", what, text);
	if (!value || value > UINT64_MAX >> shift)
		return err_set(err, -ERANGE, "%s: %s is out of range", what, text);
	*ret = value << shift;
	return 0;
}
