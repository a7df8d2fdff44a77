/*
 * One client of memtrace-fs:
 *
 *    GREETING --HELLO--> SERVING --broke the protocol--> LEAVING --all sent--> closed
 *       `------------------ anything else -----------------^
 *
 * Nothing here blocks.  A client that does not take its answers is not read from.
 */
#ifndef MEMTRACE_CONNECTION_H
#define MEMTRACE_CONNECTION_H

#include "serve/shelf.h"

/* What all connections share. */
struct service {
	struct shelf shelf;
	struct debuginfo_options debuginfo; /* say and say_arg are each connection's */
	/* Words for the operator (-v); may be NULL. */
	void (*log)(void *arg, const char *text);
	void *log_arg;
};

enum connection_state { CONNECTION_GREETING, CONNECTION_SERVING, CONNECTION_LEAVING };

struct connection {
	struct service *service;
	int fd;
	enum connection_state state;
	VEC(uint8_t) in;
	struct wire_out out;
	size_t sent;
	VEC(struct debuginfo *) modules; /* by handle; NULL: none */
	uint32_t request;		 /* the one being answered */
};

/* Takes fd (a connected stream socket) over.  NULL: no memory. */
struct connection *connection_create(struct service *service, int fd);
void connection_destroy(struct connection *connection); /* NULL is allowed */

/* The poll() events it waits for. */
short connection_events(const struct connection *connection);
/* Whether a whole message waits to be handled: don't sleep. */
bool connection_is_ready(const struct connection *connection);

/* After poll(): reads, handles a message or a few, writes.  False: it is at its end. */
bool connection_serve(struct connection *connection, short revents);

#endif
