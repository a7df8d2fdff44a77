/* Long C++ and Rust names: what is in brackets gives way first. */
#include "report/fold.h"

#include <stdlib.h>
#include <string.h>

#include "report/utf8.h"

/* Whether the '<' at s[i] opens template arguments: behind a name or a "::", and not
 * as a part of operator<, <<, <=, <=>. */
static bool opens_arguments(const char *s, size_t i)
{
	char before = i ? s[i - 1] : ' ';

	if (i >= 8 && !strncmp(s + i - 8, "operator", 8))
		return false;
	return before == ':' || before == '_' || before == '$' || (uint8_t)before >= 0x80 ||
	       (before >= '0' && before <= '9') ||
	       ((before | 32) >= 'a' && (before | 32) <= 'z');
}

/* Behind the bracket that closes the one at s[i]; 0: it never does.  "->" closes
 * nothing. */
static size_t behind_closing(const char *s, size_t i, char open, char close)
{
	size_t depth = 0;

	for (; s[i]; i++) {
		if (s[i] == open)
			depth++;
		else if (s[i] == close && !(i && s[i - 1] == '-') && --depth == 0)
			return i + 1;
	}
	return 0;
}

/* Copies name with every outermost template argument list as <...>.  A bracket that
 * never closes ends that, so that no name costs more than twice its length. */
static void elide_templates(const char *name, char *ret)
{
	bool closes = true;
	size_t i = 0;

	while (name[i]) {
		size_t behind = 0;

		if (closes && name[i] == '<' && opens_arguments(name, i)) {
			behind = behind_closing(name, i, '<', '>');
			closes = behind != 0;
		}
		if (behind > i + 5) {
			memcpy(ret, "<...>", 5);
			ret += 5;
			i = behind;
		} else {
			*ret++ = name[i++];
		}
	}
	*ret = 0;
}

/* The last argument list of name becomes (...), in place; "(anonymous namespace)::"
 * is none. */
static void elide_arguments(char *name)
{
	size_t open = 0, close = 0;

	for (size_t i = 0; name[i]; i++) {
		size_t behind;

		if (name[i] != '(')
			continue;
		behind = behind_closing(name, i, '(', ')');
		if (!behind)
			break;
		if (strncmp(name + behind, "::", 2)) {
			open = i;
			close = behind;
		}
		i = behind - 1;
	}
	if (close > open + 5) {
		memcpy(name + open, "(...)", 5);
		memmove(name + open + 5, name + close, strlen(name + close) + 1);
	}
}

char *fold_name(const char *function, size_t columns)
{
	char *name = strdup(function);

	if (!name || utf8_columns(name) <= columns)
		return name;
	elide_templates(function, name);
	if (utf8_columns(name) > columns)
		elide_arguments(name);
	return name;
}
