/*
 * debuginfod's web service, over the same directories: for gdb, perf, valgrind, heaptrack
 * with DEBUGINFOD_URLS=http://HOST:3002.  One request per connection (HTTP/1.1 with
 * "Connection: close"), GET and HEAD:
 *
 *    a worker      http_find()     what the request asks for
 *    the server    http_refuse()   nothing: an answer without a body
 *    a sender      http_send()     the file, as fast as the client takes it (senders.h)
 */
#ifndef MEMTRACE_HTTP_H
#define MEMTRACE_HTTP_H

#include <sys/types.h>

#include "serve/files.h"
#include "serve/http_request.h"
#include "symbols/wire.h"

struct search_dirs;

/* What a request asks for; from one process of ours to another. */
struct http_place {
	struct files_where where; /* whose path it is, but of a source: */
	bool source;		  /* below any of the directories */
	off_t begin, end;	  /* of the file; end < 0: its end */
	char path[HTTP_MAX_PATH + 1];
};

/* Finds what a request asks for, among the directories that are served.  0; -ENOENT. */
int http_find(const struct search_dirs *dirs, const uint8_t *bytes, size_t len,
	      struct http_place *ret);

/* The answer to a request of http_request_length() bytes for which nothing was found. */
void http_refuse(const uint8_t *bytes, size_t len, struct wire_out *out);

/* Answers it over the client's socket with the file at `place`; only then returns.  True: the
 * file was there, and all of it was sent. */
bool http_send(int client, const uint8_t *bytes, size_t len, const struct search_dirs *dirs,
	       const struct http_place *place);

/* "GET /buildid/..": the request's first line, for people. */
enum { HTTP_LINE = 400 };
void http_line(const uint8_t *bytes, size_t len, char ret[HTTP_LINE + 1]);

#endif
