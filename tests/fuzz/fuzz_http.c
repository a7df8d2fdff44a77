/*
 * What anybody may send to memtrace-fs's port in place of a greeting: a request of HTTP.
 *
 * What is held: what is understood names a build and a thing within the bounds; the source's
 * path begins with one "/".
 */
#include <string.h>

#include "fuzz.h"
#include "serve/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request request;
	size_t len = http_request_length(data, size);
	bool read;

	if (!len)
		return 0;
	assert(len <= size);
	read = http_request_read(data, len, &request);
	assert(strlen(request.line) < sizeof(request.line));
	assert(!strpbrk(request.line, "\r\n"));
	if (!read)
		return 0;
	assert(request.build_id_len && request.build_id_len <= sizeof(request.build_id));
	assert(request.name > request.text &&
	       request.name + strlen(request.name) < request.text + sizeof(request.text));
	if (request.what == HTTP_SOURCE)
		assert(request.name[0] == '/' && request.name[1] != '/');
	else
		assert(!*request.name == (request.what != HTTP_SECTION));
	return 0;
}
