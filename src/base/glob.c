/*
 * Patterns of names, as a shell's.  The C library has fnmatch(3), which in a static file brings
 * the tables of all the world's characters with it: 17 KB for what is said here.
 *
 * Only the last * passed has to be tried again: where an earlier one could take more, the later
 * can, too.
 */
#include "base/glob.h"

#include <stddef.h>

/* Behind the ] that ends the set which begins behind a [; NULL: there is none. */
static const char *set_end(const char *set)
{
	const char *at = set + (*set == '!' || *set == '^');

	for (bool first = true; *at && (first || *at != ']'); first = false) {
		at += *at == '\\' && at[1];
		at++;
	}
	return *at ? at + 1 : NULL;
}

static unsigned char member(const char **at)
{
	*at += **at == '\\';
	return (unsigned char)*(*at)++;
}

static bool is_in_set(const char *set, const char *end, unsigned char byte)
{
	bool negated = *set == '!' || *set == '^', found = false;

	set += negated;
	while (set < end - 1) {
		unsigned char first = member(&set), last = first;

		if (*set == '-' && set + 1 < end - 1) {
			set++;
			last = member(&set);
		}
		found |= first <= byte && byte <= last;
	}
	return found != negated;
}

/* Behind what stands for this byte at the start of pattern; NULL: that stands for another. */
static const char *one(const char *pattern, unsigned char byte)
{
	const char *end = *pattern == '[' ? set_end(pattern + 1) : NULL;

	if (end)
		return is_in_set(pattern + 1, end, byte) ? end : NULL;
	if (*pattern == '?')
		return pattern + 1;
	if (*pattern == '\\' && pattern[1])
		pattern++;
	return (unsigned char)*pattern == byte ? pattern + 1 : NULL;
}

bool glob_matches(const char *pattern, const char *text)
{
	const char *star = NULL, *from = NULL;

	while (*text) {
		const char *next;

		if (*pattern == '*') {
			star = ++pattern;
			from = text;
		} else if (*pattern && (next = one(pattern, (unsigned char)*text))) {
			pattern = next;
			text++;
		} else if (star) {
			pattern = star;
			text = ++from;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
