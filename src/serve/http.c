/*
 * As much of HTTP as debuginfod's clients speak (debuginfod(8), "WEBAPI"):
 *
 *     GET /buildid/<hex>/debuginfo
 *     GET /buildid/<hex>/executable
 *     GET /buildid/<hex>/source/<absolute path>
 *     GET /buildid/<hex>/section/<name>
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

#include "serve/store.h"

enum { MAX_HEAD = 8192, MAX_PATH = 4096 };

size_t http_request_length(const uint8_t *bytes, size_t len)
{
	const uint8_t *end = memmem(bytes, len, "\r\n\r\n", 4);

	if (end)
		return (size_t)(end - bytes) + 4;
	return len >= MAX_HEAD ? len : 0;
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
static size_t read_build_id(const char **path, uint8_t id[ELFFILE_MAX_BUILD_ID])
{
	static const char prefix[] = "/buildid/";
	const char *at = *path;
	size_t len = 0;

	if (strncmp(at, prefix, sizeof(prefix) - 1))
		return 0;
	for (at += sizeof(prefix) - 1; digit(at[0]) >= 0 && digit(at[1]) >= 0; at += 2) {
		if (len == ELFFILE_MAX_BUILD_ID)
			return 0;
		id[len++] = (uint8_t)(digit(at[0]) << 4 | digit(at[1]));
	}
	*path = at;
	return *at == '/' ? len : 0;
}

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

static int find_section(struct http *http, struct store *store, const uint8_t *id, size_t len,
			const char *name)
{
	for (int debug = 1; debug >= 0; debug--) {
		struct elffile *file;

		if (store_find_build_id(store, id, len, debug, &file, NULL))
			continue;
		if (take_file(http, file, name) == 0)
			return 0;
		http->file = NULL;
		elffile_close(file);
	}
	return -ENOENT;
}

/* Finds what is asked for.  0, -ENOENT, -EINVAL. */
static int find(struct http *http, struct store *store, const char *path)
{
	uint8_t id[ELFFILE_MAX_BUILD_ID];
	size_t len = read_build_id(&path, id);
	struct elffile *file;
	struct stat st;
	int e;

	if (!len)
		return -EINVAL;
	if (!store)
		return -ENOENT;
	if (!strcmp(path, "/debuginfo") || !strcmp(path, "/executable")) {
		e = store_find_build_id(store, id, len, path[1] == 'd', &file, NULL);
		return e ? e : take_file(http, file, NULL);
	}
	if (!strncmp(path, "/section/", 9))
		return find_section(http, store, id, len, path + 9);
	if (strncmp(path, "/source/", 8))
		return -EINVAL;
	/* Of a known program only: the directories are not a file server. */
	if (store_find_build_id(store, id, len, true, &file, NULL))
		return -ENOENT;
	elffile_close(file);
	for (path += 7; path[1] == '/'; path++)
		;
	http->fd = store_open_path(store, path);
	if (http->fd < 0 || fstat(http->fd, &st) < 0)
		return -ENOENT;
	http->end = st.st_size;
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

void http_begin(struct http *http, const char *request, size_t len, struct store *store,
		struct wire_out *out)
{
	char method[8] = "", path[MAX_PATH + 1] = "", head[256], line[MAX_HEAD + 1];
	const char *status = "200 OK";
	int e = -EINVAL;

	*http = (struct http){.fd = -1, .begun = true};
	snprintf(line, sizeof(line), "%.*s", (int)(len < MAX_HEAD ? len : MAX_HEAD), request);
	line[strcspn(line, "\r\n")] = '\0';
	if (sscanf(line, "%7s %4096s HTTP/1.", method, path) == 2 && decode(path))
		e = find(http, store, path);
	if (e) {
		status = e == -EINVAL ? "400 Bad Request" : "404 Not Found";
		http->at = http->end = 0;
	}
	snprintf(head, sizeof(head),
		 "HTTP/1.1 %s\r\nContent-Type: application/octet-stream\r\n"
		 "Content-Length: %lld\r\nConnection: close\r\n\r\n",
		 status, (long long)(http->end - http->at));
	put(out, head);
	if (!strcmp(method, "HEAD"))
		http->at = http->end;
	snprintf(http->words, sizeof(http->words), "%.400s: %s", line, status);
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
