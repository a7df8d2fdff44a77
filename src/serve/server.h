/*
 * The server: one loop over all connections, the listening socket, the index and the
 * announcements.  It may dial instead of listening, and then dials again whenever that
 * connection has ended.
 */
#ifndef MEMTRACE_SERVER_H
#define MEMTRACE_SERVER_H

#include "serve/announce.h"
#include "serve/connection.h"

enum { SERVER_MAX_CLIENTS = 512 };

struct server {
	struct service service;
	VEC(struct connection *) connections;
	int listener;		     /* -1: none */
	struct announce *announce;   /* NULL: does not answer searches */
	const struct endpoint *dial; /* NULL: does not dial */
	int64_t dial_at;	     /* when to try (again) */
	unsigned dial_pause_ms;
	bool dial_told; /* that it can't be reached now */
	bool indexed;
	int64_t began;
	/* What happens, for the person who started it; may be NULL. */
	endpoint_log_fn *log;
	void *log_arg;
};

void server_init(struct server *server);

/* Takes fd over as one more client's connection; from: who it is, or NULL. */
int server_add(struct server *server, int fd, const char *from, struct err *err) MUST_CHECK;

/* Serves: with a listener or dialling, for ever; else until the last connection has ended.
 * 0, or -errno. */
int server_run(struct server *server, struct err *err) MUST_CHECK;

void server_deinit(struct server *server);

#endif
