/*
 * Answers requests of debuginfod's clients from the directories' index.
 *
 * No library does this here: libmicrohttpd wants the listening socket or the connection
 * for itself from its first byte, and one port has to serve both protocols.
 */
#include "serve/http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

/* ---- answers ---------------------------------------------------------------------------- */

enum {
	CHUNK = 64 << 10,
	STUCK_MS = 60000, /* an answer that is not taken */
};

struct body {
	int fd;	       /* -1: there is none */
	off_t at, end; /* of the file */
};

static int format_head(const char *status, off_t len, char ret[256])
{
	return snprintf(ret, 256,
			"HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\n"
			"Content-Length: %lld\r\nConnection: close\r\n\r\n",
			status, (long long)len);
}

void http_refuse(const uint8_t *bytes, size_t len, struct wire_out *out)
{
	struct http_request request;
	bool known = http_request_read(bytes, len, &request);
	char head[256];
	size_t size = (size_t)format_head(known ? "404 Not Found" : "400 Bad Request", 0, head);

	if (!vec_reserve(&out->bytes, out->bytes.len + size)) {
		out->bad = true;
		return;
	}
	memcpy(out->bytes.at + out->bytes.len, head, size);
	out->bytes.len += size;
}

/* Opens what was found.  False: it can't be had. */
static bool take(struct body *body, const struct search_dirs *dirs,
		 const struct http_place *place)
{
	struct stat st;

	body->fd = place->source ? file_index_open_path(dirs->index, place->path)
				 : files_open_here(dirs, place->where, place->path);
	if (body->fd < 0 || fstat(body->fd, &st) < 0)
		return false;
	body->at = place->begin;
	body->end = place->end < 0 ? st.st_size : place->end;
	return true;
}

/* False: the client has gone, or takes nothing. */
static bool send_all(int client, const void *bytes, size_t len)
{
	for (const char *at = bytes; len;) {
		struct pollfd wait = {client, POLLOUT, 0};
		ssize_t n = send(client, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) &&
		    poll(&wait, 1, STUCK_MS) > 0)
			continue;
		if (n < 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

/* A file that has been cut ends early: the client sees too few bytes. */
static bool send_body(int client, struct body *body)
{
	static char chunk[CHUNK];

	while (body->at < body->end) {
		off_t left = body->end - body->at;
		ssize_t n =
			pread(body->fd, chunk, left < CHUNK ? (size_t)left : CHUNK, body->at);

		if (n <= 0 || !send_all(client, chunk, (size_t)n))
			return false;
		body->at += n;
	}
	return true;
}

bool http_send(int client, const uint8_t *bytes, size_t len, const struct search_dirs *dirs,
	       const struct http_place *place)
{
	struct http_request request;
	struct body body = {.fd = -1};
	char head[256];
	bool found, sent;

	http_request_read(bytes, len, &request);
	found = take(&body, dirs, place);
	sent = send_all(client, head,
			(size_t)format_head(found ? "200 OK" : "404 Not Found",
					    body.end - body.at, head)) &&
	       (request.head || send_body(client, &body));
	if (body.fd >= 0)
		close(body.fd);
	return found && sent;
}

void http_line(const uint8_t *bytes, size_t len, char ret[HTTP_LINE + 1])
{
	size_t most = len < HTTP_LINE ? len : HTTP_LINE;

	memcpy(ret, bytes, most);
	ret[most] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
}
