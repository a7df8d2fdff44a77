/*
 * A string of a JSON report.  Strings are the target's bytes: quotes, backslashes and control
 * characters (also those of the direction of writing: somebody may look at it with cat) are
 * escaped, and what is not UTF-8 becomes U+FFFD, so that the document is valid whatever a
 * library calls itself.
 */
#include <stdio.h>

#include "report/job.h"
#include "report/utf8.h"

/* RFC 8259, section 7. */
const char *json_escape(uint32_t code, char buf[JSON_ESCAPE_SIZE])
{
	if (code > 0xffff)
		snprintf(buf, JSON_ESCAPE_SIZE, "\\u%04x\\u%04x",
			 0xd800 + ((code - 0x10000) >> 10 & 0x3ff), 0xdc00 + (code & 0x3ff));
	else
		snprintf(buf, JSON_ESCAPE_SIZE, "\\u%04x", code & 0xffff);
	return buf;
}

void json_string(FILE *out, const char *s)
{
	if (!s) {
		fputs("null", out);
		return;
	}
	putc('"', out);
	while (*s) {
		uint32_t code = 0xfffd;
		size_t len = utf8_next(s, &code);
		char escape[JSON_ESCAPE_SIZE];

		if (!len)
			fputs("\xef\xbf\xbd", out);
		else if (code == '"' || code == '\\')
			fprintf(out, "\\%c", (int)code);
		else if (utf8_is_control(code))
			fputs(json_escape(code, escape), out);
		else
			fwrite(s, 1, len, out);
		s += len ? len : 1;
	}
	putc('"', out);
}
