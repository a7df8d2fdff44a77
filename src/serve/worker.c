/*
 * Debug information is read by a process that may do nothing else: libdw and libelf are old and
 * large, and what they read was written by whoever wrote the program.
 *
 *    opener                  worker                               server
 *      |                       |  <--- a client's question ---------  |   one at a time
 *      |  <--- which file? --  |                                      |
 *      |  -- its descriptor -> |                                      |
 *      |                       |  ---- bytes for the client, done ->  |
 *
 * When it dies the server begins another one, and introduces modules anew (workers.c).
 */
#include "serve/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "serve/answers.h"
#include "serve/demangle.h"
#include "serve/http.h"
#include "serve/opener.h"
#include "serve/packed.h"
#include "serve/post.h"
#include "serve/sandbox.h"

enum {
	SOCKET = 3, /* to the server */
	OPENER,
	DOWNLOAD,
	DESCRIPTORS,
	QUESTION_SECONDS = 120, /* of the CPU's time: gigabytes are read in some twenty */
};

struct worker_side {
	struct library library;
	VEC(struct client *) clients;
	struct post_bytes payload;
	bool silent; /* the client has had this answer before */
};

/* Without the server there is nothing to do. */
static void must(int e)
{
	if (e)
		_exit(0);
}

static void tell(void *arg, bool warning, const char *text)
{
	(void)arg;
	must(post_send(SOCKET, POST_LOG, warning, text, strlen(text)));
}

/* Whole messages: the server may put some of its own between. */
static void flush(void *arg, struct client *client)
{
	struct worker_side *w = arg;

	if (client->out.bad)
		must(-ENOMEM);
	if (client->out.bytes.len && !w->silent)
		must(post_send(SOCKET, POST_BYTES, 0, client->out.bytes.at,
			       client->out.bytes.len));
	vec_clear(&client->out.bytes);
}

/* files_open() of this process. */
static int ask(void *arg, struct files_where where, const char *path)
{
	(void)arg;
	return opener_ask(OPENER, where, path);
}

static struct client *client_of(struct worker_side *w, uint32_t id)
{
	struct client *client;

	for (size_t i = 0; i < w->clients.len; i++)
		if (w->clients.at[i]->id == id)
			return w->clients.at[i];
	client = calloc(1, sizeof(*client));
	if (!client || !vec_push(&w->clients, client))
		must(-ENOMEM);
	client->library = &w->library;
	client->id = id;
	return client;
}

static void drop(struct worker_side *w, uint32_t id)
{
	for (size_t i = 0; i < w->clients.len; i++)
		if (w->clients.at[i]->id == id) {
			client_deinit(w->clients.at[i]);
			free(w->clients.at[i]);
			w->clients.at[i] = w->clients.at[--w->clients.len];
			return;
		}
}

/* Answers, and says that it is done; the last of the answer goes with it. */
static void answer(struct worker_side *w, const struct post *letter)
{
	struct client *client = client_of(w, (uint32_t)letter->arg);
	struct wire_message message;
	struct err err;
	int e = 0;

	w->silent = letter->arg >> 32 & POST_ASK_AGAIN;
	if (wire_read(w->payload.at, w->payload.len, WIRE_CLIENT, &message, &err) > 0 &&
	    client_is_asking(message.type))
		e = client_answer(client, &message);
	if (client->out.bad)
		must(-ENOMEM);
	must(post_send(SOCKET, POST_DONE,
		       !e	      ? POST_DONE_WELL
		       : e == -EAGAIN ? POST_DONE_REFUSED
				      : POST_DONE_LEAVE,
		       client->out.bytes.at, w->silent ? 0 : client->out.bytes.len));
	vec_clear(&client->out.bytes);
}

static void answer_http(struct worker_side *w)
{
	struct http_place place;

	if (http_find(&w->library.options.dirs, w->payload.at, w->payload.len, &place) == 0)
		must(post_send(SOCKET, POST_PLACE, 0, &place, sizeof(place)));
	must(post_send(SOCKET, POST_DONE, POST_DONE_WELL, NULL, 0));
}

static void handle(struct worker_side *w, const struct post *letter)
{
	sandbox_allow_seconds(QUESTION_SECONDS);
	if (letter->kind == POST_LEFT)
		drop(w, (uint32_t)letter->arg);
	else if (letter->kind == POST_ASK)
		answer(w, letter);
	else if (letter->kind == POST_HTTP)
		answer_http(w);
}

/* Descriptors 0 to 2 lead nowhere; from SOCKET on the given ones (-1: none) follow each other. */
static void leave_descriptors(int kept[DESCRIPTORS - SOCKET])
{
	int null;

	for (int i = 0; i < DESCRIPTORS - SOCKET; i++)
		kept[i] = kept[i] < 0 ? -1 : fcntl(kept[i], F_DUPFD, DESCRIPTORS);
	descriptors_close_all_but(kept, DESCRIPTORS - SOCKET);
	for (int i = 0; i < DESCRIPTORS - SOCKET; i++)
		if (kept[i] >= 0) {
			dup2(kept[i], SOCKET + i);
			close(kept[i]);
		}
	null = open("/dev/null", O_RDWR); /* the lowest: 0 */
	for (int i = 0; i < SOCKET; i++)
		dup2(null, i);
}

_Noreturn void worker_main(int socket, const struct debuginfo_options *options)
{
	struct worker_side w = {.library = {.options = *options, .tell = tell, .flush = flush}};
	struct post letter;
	int kept[] = {socket, opener_begin(&options->dirs), -1}, none;

	w.library.arg = &w;
	w.library.options.dirs.ask = ask;
	w.library.options.dirs.ask_arg = &w;
	signal(SIGCHLD, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* the server's */
	if (options->download)
		kept[2] = download_apart(options->download);
	leave_descriptors(kept);
	if (options->download)
		download_is_apart(options->download, kept[2] < 0 ? -1 : DOWNLOAD);
	elffile_prepare();
	packed_prepare();
	sandbox_enter();
	while (post_wait(SOCKET, &letter, &w.payload, &none) == 0)
		handle(&w, &letter);
	_exit(0);
}
