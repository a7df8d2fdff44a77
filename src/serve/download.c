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
#include <time.h>
#include <unistd.h>

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
	/* of the file that is being fetched: */
	int64_t deadline;
	download_say_fn *say;
	void *arg;
};

/* The library's progress function gets no pointer of ours but through its client, and the
 * function that reads it back from there is in the library too. */
static void *(*client_data)(debuginfod_client *);

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Called about once a second; not 0 ends the transfer. */
static int on_progress(debuginfod_client *client, long done, long total)
{
	struct download *download = client_data(client);

	if (download->say)
		download->say(download->arg, "debuginfod", done > 0 ? (uint64_t)done : 0,
			      total > 0 ? (uint64_t)total : 0);
	if (now_ms() < download->deadline)
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

int download_debug(struct download *download, const uint8_t *build_id, size_t len,
		   download_say_fn *say, void *arg, char **ret, struct err *err)
{
	int fd = -ENOENT;

	if (!download->given_up) {
		download->say = say;
		download->arg = arg;
		download->deadline = now_ms() + download->limit_ms;
		fd = download->find(download->client, build_id, (int)len, ret);
		if (fd >= 0) {
			close(fd);
			return 0;
		}
	}
	if (download->given_up)
		return err_set(err, -ETIMEDOUT,
			       "debuginfod took longer than %u s: not asked again",
			       download->limit_ms / 1000);
	return err_sys(err, fd, "debuginfod");
}
