/* The server: one loop over all connections. */
#ifndef MEMTRACE_SERVER_H
#define MEMTRACE_SERVER_H

#include "serve/connection.h"

struct server {
	struct service service;
	VEC(struct connection *) connections;
};

/* Takes fd over as one more client's connection. */
int server_add(struct server *server, int fd, struct err *err);

/* Serves until the last connection has ended.  0, or -errno. */
int server_run(struct server *server, struct err *err);

void server_deinit(struct server *server);

#endif
