/*
 * Answers requests of debuginfod's clients from the store.
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

#include "serve/sources.h"
#include "serve/store.h"

/* The whole file, or one section of it, is to be sent.  0 or -errno. */
static int take_file(struct http *http, struct elffile *file, const char *section)
{
	struct stat st;

	http->file = file;
	http->fd = file->fd;
	if (section)
		return elffile_section_place(file, section, &http->at, &http->end) ? 0
										   : -ENOENT;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	http->end = st.st_size;
	return 0;
}

static int find_section(struct http *http, const struct search_dirs *dirs,
			const struct http_request *request)
{
	for (int debug = 1; debug >= 0; debug--) {
		struct elffile *file;

		if (store_find_build_id(dirs, request->build_id, request->build_id_len, debug,
					&file, NULL))
			continue;
		if (take_file(http, file, request->name) == 0)
			return 0;
		http->file = NULL;
		http->fd = -1;
		elffile_close(file);
	}
	return -ENOENT;
}

/* One that the program was made of: the directories are not a file server. */
static int find_source(struct http *http, const struct search_dirs *dirs,
		       struct elffile *program, const char *name)
{
	char path[HTTP_MAX_PATH + 1];
	struct stat st;
	bool named;

	snprintf(path, sizeof(path), "%s", name);
	named = sources_has(program, path);
	elffile_close(program);
	if (!named)
		return -ENOENT;
	http->fd = store_open_path(dirs->store, path);
	if (http->fd < 0 || fstat(http->fd, &st) < 0)
		return -ENOENT;
	http->end = st.st_size;
	return 0;
}

/* Finds what is asked for.  0, or -errno: nothing. */
static int find(struct http *http, const struct search_dirs *dirs,
		const struct http_request *request)
{
	struct elffile *file;
	int e;

	if (!dirs->store)
		return -ENOENT;
	if (request->what == HTTP_SECTION)
		return find_section(http, dirs, request);
	e = store_find_build_id(dirs, request->build_id, request->build_id_len,
				request->what != HTTP_EXECUTABLE, &file, NULL);
	if (e)
		return e;
	if (request->what == HTTP_SOURCE)
		return find_source(http, dirs, file, request->name);
	return take_file(http, file, NULL);
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
		const struct search_dirs *dirs, struct wire_out *out)
{
	const char *status = "400 Bad Request";
	struct http_request request;
	char head[256];

	*http = (struct http){.fd = -1, .begun = true};
	if (http_request_read(bytes, len, &request))
		status = find(http, dirs, &request) ? "404 Not Found" : "200 OK";
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
	if (http->file)
		elffile_close(http->file);
	else if (http->begun && http->fd >= 0)
		close(http->fd);
	*http = (struct http){};
}
