/*
 * debuginfod's web service, over the same directories: for gdb, perf, valgrind, heaptrack
 * with DEBUGINFOD_URLS=http://HOST:3002.  One request per connection (HTTP/1.1 with
 * "Connection: close"), GET and HEAD, answered from files as fast as the client takes it.
 */
#ifndef MEMTRACE_HTTP_H
#define MEMTRACE_HTTP_H

#include <sys/types.h>

#include "serve/http_request.h"
#include "symbols/wire.h"

struct search_dirs;
struct elffile;

struct http {
	struct elffile *file; /* what is sent belongs to it; or: */
	int fd;		      /* when `begun` */
	bool begun;
	off_t at, end;	 /* of the file: what is still to be sent */
	char words[512]; /* the request and what came of it */
};

/* Answers a request of http_request_length() bytes: the head goes to out, the body waits in
 * the file.  Without a store in dirs all is 404. */
void http_begin(struct http *http, const uint8_t *bytes, size_t len,
		const struct search_dirs *dirs, struct wire_out *out);

/* Whether http_begin() was called: http_read() is due. */
bool http_has_more(const struct http *http);

/* Appends at most max bytes of the body to out.  False: that was all. */
bool http_read(struct http *http, size_t max, struct wire_out *out);

void http_deinit(struct http *http);

#endif
