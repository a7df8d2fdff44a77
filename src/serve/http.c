/*
 * Answers requests of debuginfod's clients from the directories' index.
 *
 * No library does this here: libmicrohttpd wants the listening socket or the connection
 * for itself from its first byte, and one port has to serve both protocols.
 */
#include "serve/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/file_index.h"
#include "serve/sources.h"

/* The whole file, or one section of it.  0 or -ENOENT. */
static int take_file(const struct elffile *file, const char *section, struct http_place *ret)
{
	*ret = (struct http_place){.where = file->where, .end = -1};
	snprintf(ret->path, sizeof(ret->path), "%s", file->at ? file->at : "");
	return !section || elffile_section_place(file, section, &ret->begin, &ret->end)
		       ? 0
		       : -ENOENT;
}

/* One that the program was made of: the directories are not a file server. */
static int take_source(struct elffile *program, const char *name, struct http_place *ret)
{
	*ret = (struct http_place){.source = true, .end = -1};
	snprintf(ret->path, sizeof(ret->path), "%s", name);
	return sources_has(program, ret->path) ? 0 : -ENOENT;
}

static int find_in(const struct search_dirs *dirs, const struct http_request *request,
		   bool debug, struct http_place *ret)
{
	struct elffile *file;
	int e = file_index_find_build_id(dirs, request->build_id, request->build_id_len, debug,
				    &file, NULL);

	if (e)
		return e;
	if (request->what == HTTP_SOURCE)
		e = take_source(file, request->name, ret);
	else
		e = take_file(file, request->what == HTTP_SECTION ? request->name : NULL, ret);
	elffile_close(file);
	return e;
}

int http_find(const struct search_dirs *dirs, const uint8_t *bytes, size_t len,
	      struct http_place *ret)
{
	struct http_request request;
	int e;

	if (!dirs->index || !http_request_read(bytes, len, &request))
		return -ENOENT;
	e = find_in(dirs, &request, request.what != HTTP_EXECUTABLE, ret);
	if (e && request.what == HTTP_SECTION)
		e = find_in(dirs, &request, false, ret);
	return e;
}

/* Opens what was found.  0 or -errno. */
static int take(struct http *http, const struct search_dirs *dirs,
		const struct http_place *place)
{
	struct stat st;

	http->fd = place->source ? file_index_open_path(dirs->index, place->path)
				 : files_open_here(dirs, place->where, place->path);
	if (http->fd < 0)
		return http->fd;
	if (fstat(http->fd, &st) < 0)
		return -errno;
	http->at = place->begin;
	http->end = place->end < 0 ? st.st_size : place->end;
	return 0;
}

static void put(struct wire_out *out, const char *text)
{
	size_t len = strlen(text);

	if (!vec_reserve(&out->bytes, out->bytes.len + len)) {
		out->bad = true;
		return;
	}
	memcpy(out->bytes.at + out->bytes.len, text, len);
	out->bytes.len += len;
}

void http_begin(struct http *http, const uint8_t *bytes, size_t len,
		const struct search_dirs *dirs, const struct http_place *place,
		struct wire_out *out)
{
	const char *status = "400 Bad Request";
	struct http_request request;
	char head[256];

	*http = (struct http){.fd = -1, .begun = true};
	if (http_request_read(bytes, len, &request))
		status = place && !take(http, dirs, place) ? "200 OK" : "404 Not Found";
	snprintf(head, sizeof(head),
		 "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\n"
		 "Content-Length: %lld\r\nConnection: close\r\n\r\n",
		 status, (long long)(http->end - http->at));
	put(out, head);
	if (request.head)
		http->at = http->end;
	snprintf(http->words, sizeof(http->words), "%.400s: %s", request.line, status);
}

bool http_has_more(const struct http *http)
{
	return http->begun;
}

bool http_read(struct http *http, size_t max, struct wire_out *out)
{
	off_t left = http->end - http->at;
	size_t want = left < (off_t)max ? (size_t)left : max;
	ssize_t n;

	if (!want)
		return false;
	if (!vec_reserve(&out->bytes, out->bytes.len + want))
		return false;
	n = pread(http->fd, out->bytes.at + out->bytes.len, want, http->at);
	if (n <= 0) /* it has been cut: the client sees too few bytes */
		return false;
	out->bytes.len += (size_t)n;
	http->at += n;
	return http->at < http->end;
}

void http_deinit(struct http *http)
{
	if (http->begun && http->fd >= 0)
		close(http->fd);
	*http = (struct http){};
}
