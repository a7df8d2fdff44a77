/* Answers to a client's questions about modules. */
#ifndef MEMTRACE_ANSWERS_H
#define MEMTRACE_ANSWERS_H

#include "serve/module_cache.h"

struct client;

/* What all clients share. */
struct library {
	struct module_cache cache;
	struct debuginfo_options options; /* progress and progress_arg are each client's */
	/* Words for the operator. */
	void (*tell)(void *arg, bool warning, const char *text);
	/* What is in client->out so far is to be sent. */
	void (*flush)(void *arg, struct client *client);
	void *arg; /* of both */
};

struct client {
	struct library *library;
	uint32_t id;
	uint32_t request;		 /* the one being answered */
	VEC(struct debuginfo *) modules; /* by handle; NULL: none */
	size_t different;		 /* modules of these */
	struct wire_out out;		 /* the answers */
};

/* Whether messages of this type are questions. */
bool client_is_asking(uint16_t type);

/* Answers a question, into client->out.  -EAGAIN: it is refused, and the client was told;
 * -EPROTO: it is no proper question, and the client is to be sent away. */
int client_answer(struct client *client, const struct wire_message *message);

void client_deinit(struct client *client);

#endif
