/* Plain names; see plain_name.h. */
#include "report/plain_name.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "heap/leak/leak.h"
#include "report/utf8.h"

/* A length and as many characters: where it ends; NULL: it is something else. */
static const char *plain_name(const char *at, size_t *len)
{
	char *end;
	unsigned long n = isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : 0;

	if (!n || strlen(end) < n)
		return NULL;
	*len = n;
	return end;
}

bool plain_name_print(FILE *out, const char *text)
{
	bool nested = *text == 'N';
	char part[sizeof(((struct leak_content *)0)->text)];
	size_t len;

	for (const char *at = text + nested, *name; *at && *at != 'E'; at = name + len) {
		name = plain_name(at, &len);
		if (!name)
			return false;
		if (out && at != text + nested)
			fputs("::", out);
		snprintf(part, sizeof(part), "%.*s", (int)len, name);
		if (out)
			utf8_print(out, part);
	}
	return true;
}
