/*
 * As much of HTTP as debuginfod's clients speak (debuginfod(8), "WEBAPI"):
 *
 *     GET /buildid/<hex>/debuginfo
 *     GET /buildid/<hex>/executable
 *     GET /buildid/<hex>/source/<absolute path>
 *     GET /buildid/<hex>/section/<name>
 *
 * Nothing but the first line says anything to us.
 */
#include "serve/http_request.h"

#include <stdio.h>
#include <string.h>

size_t http_request_length(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = memmem(bytes, len, "\r\n\r\n", 4);

	if (end)
		return (size_t)(end - bytes) + 4;
	return len >= HTTP_MAX_HEAD ? len : 0;
}

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "/source/%2Fusr%2Fa.c" -> "/source//usr/a.c", in place.  False: no such text. */
static bool decode(char *text)
{
	char *to = text;

	for (; *text; text++) {
		int high, low;
		if (*text != '%') {
			*to++ = *text;
			continue;
		}
		high = digit((char)(text[1] | 0x20));
		low = high < 0 ? -1 : digit((char)(text[2] | 0x20));
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*to++ = (char)(high << 4 | low);
		text += 2;
	}
	*to = '\0';
	return true;
}

/* The build-id at *path, which then points behind it.  0: there is none. */
static size_t read_build_id(const char **path, uint8_t id[HTTP_MAX_BUILD_ID])
{
	static const char prefix[] = "/buildid/";
	const char *at = *path;
	size_t len = 0;

	if (strncmp(at, prefix, sizeof(prefix) - 1))
		return 0;
	for (at += sizeof(prefix) - 1; digit(at[0]) >= 0 && digit(at[1]) >= 0; at += 2) {
		if (len == HTTP_MAX_BUILD_ID)
			return 0;
		id[len++] = (uint8_t)(digit(at[0]) << 4 | digit(at[1]));
	}
	*path = at;
	return *at == '/' ? len : 0;
}

/* Is the path what `what` is asked for by?  Then the name is what follows. */
static bool is_for(const char *path, const char *prefix, enum http_what what,
		   struct http_request *ret)
{
	size_t len = strlen(prefix);

	if (strncmp(path, prefix, len))
		return false;
	ret->what = what;
	ret->name = path + len;
	return prefix[len - 1] == '/' ? *ret->name : !*ret->name;
}

bool http_request_read(const uint8_t *bytes, size_t len, struct http_request *ret)
{
	char method[8] = "";
	const char *path;

	if (len > HTTP_MAX_HEAD)
		len = HTTP_MAX_HEAD;
	*ret = (struct http_request){.name = ""};
	memcpy(ret->line, bytes, len);
	ret->line[strcspn(ret->line, "\r\n")] = '\0';
	sscanf(ret->line, "%7s %4096s HTTP/1.", method, ret->text);
	ret->head = !strcmp(method, "HEAD");
	path = ret->text;
	if (!decode(ret->text))
		return false;
	ret->build_id_len = read_build_id(&path, ret->build_id);
	if (!ret->build_id_len)
		return false;
	if (is_for(path, "/debuginfo", HTTP_DEBUGINFO, ret) ||
	    is_for(path, "/executable", HTTP_EXECUTABLE, ret) ||
	    is_for(path, "/section/", HTTP_SECTION, ret))
		return true;
	if (!is_for(path, "/source/", HTTP_SOURCE, ret))
		return false;
	/* From the "/" on; of several the last one. */
	for (ret->name--; ret->name[1] == '/'; ret->name++)
		;
	return true;
}
