/*
 * One client of memtrace-fs:
 *
 *    GREETING --HELLO--> SERVING --broke the protocol--> LEAVING --all sent--> closed
 *      |  `---------------- anything else -----------------^ ^
 *      `--"GET "--> HTTP ---refused, or a sender has it------'
 *
 * Nothing here blocks.  A client that does not take its answers is not read from, and one
 * that stays in the middle of something (a greeting, a message, an answer) for too long is
 * sent away; between messages it may be silent for as long as it likes.
 */
#ifndef MEMTRACE_CONNECTION_H
#define MEMTRACE_CONNECTION_H

#include "serve/lookers.h"
#include "serve/senders.h"
#include "serve/workers.h"
#include "symbols/endpoint.h"

/* What all connections share. */
struct service {
	struct workers workers;
	struct senders senders;
	struct lookers lookers;
	struct debuginfo_options debuginfo; /* as the workers get them */
	const char *const *dirs;	    /* told to clients; NULL-terminated */
	/* Words for the operator: what must be known, and what -v asks for; may be NULL. */
	void (*warn)(void *arg, const char *text);
	void (*log)(void *arg, const char *text);
	void *log_arg; /* of both */
};

enum connection_state {
	CONNECTION_GREETING,
	CONNECTION_SERVING,
	CONNECTION_HTTP,
	CONNECTION_LEAVING,
};

struct connection {
	struct service *service;
	int fd;
	enum connection_state state;
	VEC(uint8_t) in;
	struct wire_out out;
	size_t sent;
	struct customer customer; /* of the workers, with the question being answered */
	struct looker_process looker; /* has the socket meanwhile */
	uint32_t request;	  /* that one's number */
	bool greeted;		  /* for the server's words */
	bool indexing;		  /* its question waits for the index */
	int64_t told_at;	  /* when it was last told so */
	int64_t moved_at; /* when bytes last went either way, or nothing was unfinished */
	char from[ENDPOINT_TEXT]; /* who it is, in words; "" for our own parent */
};

/* Takes fd (a connected stream socket) over; from may be NULL.  NULL: no memory. */
struct connection *connection_create(struct service *service, int fd, const char *from);
void connection_destroy(struct connection *connection); /* NULL is allowed */

/* What it waits for, and the poll() events. */
int connection_fd(const struct connection *connection);
short connection_events(const struct connection *connection);
/* Whether a whole message waits to be handled: don't sleep. */
bool connection_is_ready(const struct connection *connection);

/* Once a second or so: tells a client that waits how far the index is.  False: it has
 * been in the middle of something for too long. */
bool connection_tick(struct connection *connection, int64_t now);

/* After poll(): reads, handles a message or a few, writes.  False: it is at its end. */
bool connection_serve(struct connection *connection, short revents);

#endif
