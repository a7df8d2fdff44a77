/*
 * debuginfod's web service, over the same directories: for gdb, perf, valgrind, heaptrack
 * with DEBUGINFOD_URLS=http://HOST:3002.  One request per connection (HTTP/1.1 with
 * "Connection: close"), GET and HEAD, answered from files as fast as the client takes it.
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

struct http {
	int fd; /* when `begun`; or -1 */
	bool begun;
	off_t at, end;	 /* of the file: what is still to be sent */
	char words[512]; /* the request and what came of it */
};

/* Finds what a request asks for, among the directories that are served.  0; -ENOENT. */
int http_find(const struct search_dirs *dirs, const uint8_t *bytes, size_t len,
	      struct http_place *ret);

/* Answers a request of http_request_length() bytes with what http_find() found (NULL:
 * nothing): the head goes to out, the body waits in the file. */
void http_begin(struct http *http, const uint8_t *bytes, size_t len,
		const struct search_dirs *dirs, const struct http_place *place,
		struct wire_out *out);

/* Whether http_begin() was called: http_read() is due. */
bool http_has_more(const struct http *http);

/* Appends at most max bytes of the body to out.  False: that was all. */
bool http_read(struct http *http, size_t max, struct wire_out *out);

void http_deinit(struct http *http);

#endif
