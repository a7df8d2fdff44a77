/*
 * C++ names by the C++ runtime's own demangler (demangle_apart.c).  Rust's legacy names are C++
 * names by form: _ZN 4core 3fmt 5write 17h<16 hex digits> E, the last part a hash, with
 * characters that C++ forbids written as $LT$, $u20$, "..", to be put back.
 */
#include "serve/demangle.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether `name`, demangled as C++, ends in "::h" and 16 hex digits; where. */
static char *rust_hash(char *name)
{
	static const size_t digits = 16;
	size_t len = strlen(name);
	char *hash = len > digits + 3 ? name + len - digits - 3 : NULL;

	if (!hash || strncmp(hash, "::h", 3))
		return NULL;
	for (size_t i = 3; i < digits + 3; i++)
		if (!isxdigit((unsigned char)hash[i]) || isupper((unsigned char)hash[i]))
			return NULL;
	return hash;
}

/* One escape "$..$" at *from: writes what it stands for and moves both on. */
static bool rust_escape(const char **from, char **to)
{
	static const struct {
		const char *code;
		char is;
	} escapes[] = {{"$SP$", '@'}, {"$BP$", '*'}, {"$RF$", '&'}, {"$LT$", '<'},
		       {"$GT$", '>'}, {"$LP$", '('}, {"$RP$", ')'}, {"$C$", ','}};
	unsigned code;
	int used = 0;

	for (size_t i = 0; i < sizeof(escapes) / sizeof(*escapes); i++)
		if (!strncmp(*from, escapes[i].code, strlen(escapes[i].code))) {
			*from += strlen(escapes[i].code);
			*(*to)++ = escapes[i].is;
			return true;
		}
	if (sscanf(*from, "$u%2x$%n", &code, &used) == 1 && used && code >= ' ' && code < 127) {
		*from += used;
		*(*to)++ = (char)code;
		return true;
	}
	return false;
}

/* Puts the characters back; what results is never longer. */
static void rust_unescape(char *name)
{
	const char *from = name;
	char *to = name;

	while (*from) {
		bool begins = from == name || (to[-1] == ':' && to - name >= 2);
		if (begins && from[0] == '_' && from[1] == '$')
			from++;
		if (*from == '$' && rust_escape(&from, &to))
			continue;
		if (from[0] == '.' && from[1] == '.') {
			*to++ = ':';
			*to++ = ':';
			from += 2;
			continue;
		}
		*to++ = *from++;
	}
	*to = '\0';
}

/* The length of a legacy Rust symbol ("..17h<hash>E") without the suffix behind it, or 0:
 * it has none, or is no such symbol.  (The C++ demangler takes suffixes of functions with
 * parameters only.) */
static size_t rust_length(const char *symbol)
{
	static const size_t part = sizeof("17h0123456789abcdefE") - 1;
	const char *hash = symbol;

	while ((hash = strstr(hash + 1, "17h")))
		if (strspn(hash + 3, "0123456789abcdef") == 16 &&
		    !strncmp(hash + part - 1, "E.", 2))
			return (size_t)(hash - symbol) + part;
	return 0;
}

char *demangle(const char *symbol)
{
	char *name, *bare, *clone, *hash;
	size_t len;

	/* The demanglers take time and stack by it. */
	if (strnlen(symbol, DEMANGLE_MAX) == DEMANGLE_MAX)
		return NULL;
	if (!strncmp(symbol, "_R", 2))
		return rust_v0_demangle(symbol);
	if (strncmp(symbol, "_Z", 2))
		return NULL;
	len = rust_length(symbol);
	bare = len ? strndup(symbol, len) : NULL;
	name = demangle_cxx(bare ? bare : symbol);
	free(bare);
	if (!name)
		return NULL;
	/* " [clone .cold]": which part of the function it is does not matter here. */
	clone = strstr(name, " [clone ");
	if (clone)
		*clone = '\0';
	hash = rust_hash(name);
	if (hash) {
		*hash = '\0';
		rust_unescape(name);
	}
	return name;
}
