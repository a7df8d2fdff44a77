/*
 * libdebuginfod is loaded only when it is wanted (it brings curl and TLS with it, whose
 * state is the process's, so it stays loaded); its own limits are for people who wait at
 * a prompt, so ours is enforced through its progress function.  Where it stores files
 * (~/.cache/debuginfod_client) is its business.
 */
#include "serve/download.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "serve/post.h"

typedef struct debuginfod_client debuginfod_client;

struct download {
	debuginfod_client *client;
	int (*find)(debuginfod_client *, const unsigned char *, int, char **);
	void (*set_progress)(debuginfod_client *, int (*)(debuginfod_client *, long, long));
	void (*set_data)(debuginfod_client *, void *);
	void *(*data)(debuginfod_client *);
	void (*end)(debuginfod_client *);
	unsigned limit_ms;
	bool given_up;
	bool apart; /* the child on `socket` does it */
	int socket;
	/* of the file that is being fetched: */
	int64_t deadline;
	download_progress_fn *progress;
	void *arg;
};

/* The library's progress function gets no pointer of ours but through its client, and the
 * function that reads it back from there is in the library too. */
static void *(*client_data)(debuginfod_client *);

/* Called about once a second; not 0 ends the transfer. */
static int on_progress(debuginfod_client *client, long done, long total)
{
	struct download *download = client_data(client);

	if (download->progress)
		download->progress(download->arg, "debuginfod", done > 0 ? (uint64_t)done : 0,
				   total > 0 ? (uint64_t)total : 0);
	if (clock_ms() < download->deadline)
		return 0;
	download->given_up = true;
	return 1;
}

static bool load(struct download *d)
{
	void *library = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
	debuginfod_client *(*begin)(void);

	if (!library)
		return false;
	*(void **)&begin = dlsym(library, "debuginfod_begin");
	*(void **)&d->find = dlsym(library, "debuginfod_find_debuginfo");
	*(void **)&d->set_progress = dlsym(library, "debuginfod_set_progressfn");
	*(void **)&d->set_data = dlsym(library, "debuginfod_set_user_data");
	*(void **)&d->data = dlsym(library, "debuginfod_get_user_data");
	*(void **)&d->end = dlsym(library, "debuginfod_end");
	if (!begin || !d->find || !d->set_progress || !d->set_data || !d->data || !d->end)
		return false;
	d->client = begin();
	return d->client;
}

int download_create(unsigned limit_ms, struct download **ret, struct err *err)
{
	const char *urls = getenv("DEBUGINFOD_URLS");
	struct download *download;

	if (!urls || !*urls)
		return err_set(err, -ENOENT, "--debuginfod: DEBUGINFOD_URLS is not set");
	download = calloc(1, sizeof(*download));
	if (!download)
		return err_set(err, -ENOMEM, "no memory for debuginfod");
	download->limit_ms = limit_ms;
	if (!load(download)) {
		download_destroy(download);
		return err_set(err, -ENOENT,
			       "--debuginfod: libdebuginfod.so.1 is not installed");
	}
	client_data = download->data;
	download->set_data(download->client, download);
	download->set_progress(download->client, on_progress);
	*ret = download;
	return 0;
}

void download_destroy(struct download *download)
{
	if (!download)
		return;
	if (download->client)
		download->end(download->client);
	free(download);
}

/* By this process. */
static int fetch(struct download *download, const uint8_t *build_id, size_t len,
		 download_progress_fn *progress, void *arg, char **path, struct err *err)
{
	int fd = -ENOENT;

	if (!download->given_up) {
		download->progress = progress;
		download->arg = arg;
		download->deadline = clock_ms() + download->limit_ms;
		fd = download->find(download->client, build_id, (int)len, path);
		if (fd >= 0)
			return fd;
	}
	if (download->given_up)
		return err_set(err, -ETIMEDOUT,
			       "debuginfod took longer than %u s: not asked again",
			       download->limit_ms / 1000);
	return err_sys(err, fd, "debuginfod");
}

/* ---- by a child -------------------------------------------------------------------------- */

static void pass_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	const uint64_t numbers[] = {done, total};

	(void)what;
	post_send(*(int *)arg, POST_BYTES, 0, numbers, sizeof(numbers));
}

_Noreturn static void fetch_for(struct download *download, int socket)
{
	struct post_bytes payload = {};
	struct post letter;
	bool sent = true;
	int fd;

	while (sent && post_wait(socket, &letter, &payload, &fd) == 0) {
		char *path = NULL;
		struct err err = {};
		int found = fetch(download, payload.at, payload.len, pass_progress, &socket,
				  &path, &err);
		const char *text = found < 0 ? err.text : path ? path : "";

		sent = !post_send(socket, POST_LOG, (uint64_t)found, text, strlen(text)) &&
		       !post_pass(socket, POST_FILE, 0, found);
		if (found >= 0)
			close(found);
		free(path);
	}
	_exit(0);
}

int download_apart(struct download *download)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return -1;
	pid = fork();
	if (pid == 0) {
		descriptors_close_but(fds[1], -1);
		fetch_for(download, fds[1]);
	}
	close(fds[1]);
	if (pid > 0)
		return fds[0];
	close(fds[0]);
	return -1;
}

void download_is_apart(struct download *download, int socket)
{
	download->apart = true;
	download->socket = socket;
}

/* Its words, until the file comes or none. */
static int await(struct download *download, download_progress_fn *progress, void *arg,
		 char **path, struct err *err)
{
	struct post_bytes text = {};
	struct post letter;
	uint64_t numbers[2];
	int e, fd = -1;

	while ((e = post_wait(download->socket, &letter, &text, &fd)) == 0 &&
	       letter.kind == POST_BYTES && text.len == sizeof(numbers)) {
		memcpy(numbers, text.at, sizeof(numbers));
		if (progress)
			progress(arg, "debuginfod", numbers[0], numbers[1]);
	}
	if (!e && (int)letter.arg >= 0)
		*path = strdup((char *)text.at);
	else if (!e)
		err_set(err, (int)letter.arg, "%s", (char *)text.at);
	if (!e)
		e = post_wait(download->socket, &letter, &text, &fd);
	vec_deinit(&text);
	if (e)
		return err_sys(err, -ENOENT, "debuginfod");
	return fd >= 0 ? fd : err->code;
}

int download_debug(struct download *download, const uint8_t *build_id, size_t len,
		   download_progress_fn *progress, void *arg, char **path, struct err *err)
{
	if (!download->apart)
		return fetch(download, build_id, len, progress, arg, path, err);
	if (download->socket < 0 || post_send(download->socket, POST_ASK, 0, build_id, len))
		return err_set(err, -ENOENT, "debuginfod: cannot be asked");
	return await(download, progress, arg, path, err);
}
