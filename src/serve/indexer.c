/*
 * What the process finds comes as letters (post.h), one for each module: its key, and its path.
 * How far it is, is told in memory that both have, so that it is known what it waits for when it
 * says nothing any more.
 */
#include "serve/indexer.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptors.h"
#include "serve/process_end.h"

enum {
	READ_BYTES = 64 << 10,
	SEND_BYTES = 32 << 10,
	HEAD = 1 + FILE_KEY, /* of a letter: the build-id's length, the key; then the path */
};

/* ---- the process --------------------------------------------------------------------------
 */

struct finder {
	struct post_bytes out;
	int socket;
};

static bool send_found(struct finder *finder)
{
	const uint8_t *at = finder->out.at, *end = at + finder->out.len;

	while (at < end) {
		ssize_t n = send(finder->socket, at, (size_t)(end - at), MSG_NOSIGNAL);
		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? n : 0;
	}
	vec_clear(&finder->out);
	return true;
}

static bool found(void *arg, const struct indexed_file *file)
{
	struct finder *finder = arg;
	uint8_t letter[HEAD + PATH_MAX];
	size_t len = strlen(file->path);

	if (len >= PATH_MAX)
		return true;
	letter[0] = file->build_id_len;
	memcpy(letter + 1, file->key, FILE_KEY);
	memcpy(letter + HEAD, file->path, len);
	return post_write(&finder->out, POST_FOUND, 0, letter, HEAD + len) &&
	       (finder->out.len < SEND_BYTES || send_found(finder));
}

_Noreturn static void find_all(const struct indexer *indexer, int socket)
{
	struct finder finder = {.socket = socket};
	const struct file_scan scan = {
		.root = indexer->dirs[indexer->dir].fd,
		.skipped = indexer->skipped,
		.skipped_count = indexer->skipped_count,
		.beat = indexer->beat,
		.found = found,
		.arg = &finder,
	};

	descriptors_close_but(socket, scan.root);
	signal(SIGINT, SIG_IGN); /* the server's */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	file_scan_run(&scan);
	send_found(&finder);
	post_send(socket, POST_DONE, 0, NULL, 0);
	_exit(0);
}

/* ---- the server's side --------------------------------------------------------------------
 */

static void begin_process(struct indexer *indexer)
{
	int fds[2];

	indexer->fd = -1;
	indexer->pid = 0;
	indexer->steps = UINT64_MAX;
	indexer->moved_at = clock_ms();
	atomic_store(&indexer->beat->files, 0);
	atomic_store(&indexer->beat->steps, 0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		return;
	indexer->pid = fork();
	if (indexer->pid == 0)
		find_all(indexer, fds[1]);
	close(fds[1]);
	indexer->fd = fds[0];
}

/* It may not be ended by that, and is not waited for. */
static void end_process(struct indexer *indexer)
{
	int status;

	if (indexer->pid > 0)
		process_end(indexer->pid, &status);
	if (indexer->fd >= 0)
		close(indexer->fd);
	indexer->fd = -1;
	indexer->pid = 0;
	vec_clear(&indexer->in);
}

static void forget_skipped(struct indexer *indexer)
{
	while (indexer->skipped_count)
		free(indexer->skipped[--indexer->skipped_count]);
}

/* False: that was the last one. */
static bool next_dir(struct indexer *indexer)
{
	end_process(indexer);
	forget_skipped(indexer);
	indexer->files += atomic_load(&indexer->beat->files);
	atomic_store(&indexer->beat->files, 0);
	indexer->first = indexer->table->files.len;
	if (++indexer->dir >= indexer->count)
		return false;
	begin_process(indexer);
	return true;
}

/* Once more, without what is silent; or on to the next one, where that has no end. */
static bool step_over(struct indexer *indexer, char **silent)
{
	struct indexed_files *files = &indexer->table->files;
	char at[PATH_MAX];

	memcpy(at, indexer->beat->at, sizeof(at));
	at[sizeof(at) - 1] = '\0';
	if (*at && at[strlen(at) - 1] == '/')
		at[strlen(at) - 1] = '\0';
	if (silent &&
	    asprintf(silent, "%s%s%s", indexer->dirs[indexer->dir].dir, *at ? "/" : "", at) < 0)
		*silent = NULL;
	if (indexer->skipped_count == INDEXER_MAX_SKIPPED ||
	    !(indexer->skipped[indexer->skipped_count] = strdup(at)))
		return next_dir(indexer);
	indexer->skipped_count++;
	end_process(indexer);
	while (files->len > indexer->first)
		free(files->at[--files->len].path);
	begin_process(indexer);
	return true;
}

/* False: no memory. */
static bool take_file(struct indexer *indexer, const uint8_t *letter, size_t len)
{
	struct indexed_file file = {.dir = (uint32_t)indexer->dir};
	const char *slash;

	if (len <= HEAD)
		return true;
	file.build_id_len = letter[0];
	memcpy(file.key, letter + 1, FILE_KEY);
	file.path = strndup((const char *)letter + HEAD, len - HEAD);
	if (!file.path)
		return false;
	slash = strrchr(file.path, '/');
	file.name = slash ? slash + 1 : file.path;
	if (vec_push(&indexer->table->files, file))
		return true;
	free(file.path);
	return false;
}

/* What is there.  True: the process is at its end. */
static bool receive(struct indexer *indexer)
{
	struct post letter;
	size_t taken = 0;
	bool done = false;
	ssize_t n;

	if (indexer->fd < 0 || !vec_reserve(&indexer->in, indexer->in.len + READ_BYTES))
		return true;
	n = recv(indexer->fd, indexer->in.at + indexer->in.len, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	if (n <= 0)
		return true; /* it has died: what was found is there */
	indexer->in.len += (size_t)n;
	while (!done && (n = (ssize_t)post_read(indexer->in.at + taken, indexer->in.len - taken,
						&letter)) > 0) {
		done = letter.kind == POST_DONE ||
		       !take_file(indexer, indexer->in.at + taken + sizeof(letter), letter.len);
		taken += (size_t)n;
	}
	indexer->in.len -= taken;
	memmove(indexer->in.at, indexer->in.at + taken, indexer->in.len);
	return done || n < 0;
}

bool indexer_step(struct indexer *indexer, char **silent)
{
	uint64_t steps = atomic_load(&indexer->beat->steps);
	int64_t now = clock_ms();

	if (silent)
		*silent = NULL;
	if (indexer->dir >= indexer->count)
		return true;
	if (receive(indexer))
		return !next_dir(indexer);
	if (steps != indexer->steps) {
		indexer->steps = steps;
		indexer->moved_at = now;
	}
	if (now - indexer->moved_at < INDEXER_LIMIT_MS)
		return false;
	if (indexer->pid > 0 && !process_is_waiting(indexer->pid)) { /* it gets no CPU */
		indexer->moved_at = now;
		return false;
	}
	return !step_over(indexer, silent);
}

int indexer_begin(struct indexer *indexer, const struct served_dir *dirs, size_t count,
		  struct file_table *table, struct err *err)
{
	void *beat = mmap(NULL, sizeof(*indexer->beat), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	*indexer = (struct indexer){.dirs = dirs, .count = count, .table = table, .fd = -1};
	if (beat == MAP_FAILED)
		return err_set(err, -ENOMEM, "no memory for an index");
	indexer->beat = beat;
	if (count)
		begin_process(indexer);
	return 0;
}

int indexer_fd(const struct indexer *indexer)
{
	return indexer->fd;
}

uint64_t indexer_files(const struct indexer *indexer)
{
	return indexer->files + (indexer->beat ? atomic_load(&indexer->beat->files) : 0);
}

void indexer_end(struct indexer *indexer)
{
	end_process(indexer);
	forget_skipped(indexer);
	vec_deinit(&indexer->in);
	if (indexer->beat)
		munmap(indexer->beat, sizeof(*indexer->beat));
	indexer->beat = NULL;
}
