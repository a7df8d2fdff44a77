/* A request to debuginfod's web service, as bytes: nothing is looked up here. */
#ifndef MEMTRACE_HTTP_REQUEST_H
#define MEMTRACE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	HTTP_MAX_HEAD = 8192, /* bytes of a request; a longer one is refused */
	HTTP_MAX_PATH = 4096,
	HTTP_MAX_BUILD_ID = 64,
};

enum http_what { HTTP_DEBUGINFO, HTTP_EXECUTABLE, HTTP_SECTION, HTTP_SOURCE };

struct http_request {
	char line[HTTP_MAX_HEAD + 1]; /* as it was received, for people */
	bool head;		      /* HEAD: no body is wanted */
	enum http_what what;
	uint8_t build_id[HTTP_MAX_BUILD_ID];
	size_t build_id_len;
	char text[HTTP_MAX_PATH + 1]; /* the path, decoded */
	const char *name; /* in it: a section's name, a source's path ("/..."); or "" */
};

/* The length of the request's head at the beginning of len bytes; 0: not whole yet. */
size_t http_request_length(const uint8_t *bytes, size_t len);

/* Reads a head.  False: it is none that debuginfod knows; line and head are set all the
 * same. */
bool http_request_read(const uint8_t *bytes, size_t len, struct http_request *ret);

#endif
