/*
 * The processes that read debug information (worker.h), as the server sees them.
 *
 * A customer is what asks: a connection.  Its question waits until its worker is free, is
 * answered into customer->out, and then is DONE; one at a time:
 *
 *    NONE --workers_ask()--> WAITING --> RUNNING --> DONE --customer_take()--> NONE
 *
 * Customers share a worker, and what it has read.  One that waits for longer than SHARE_MS
 * behind somebody else's question is moved to another worker, where its modules are introduced
 * again when they are needed; so are all when a worker has died.
 */
#ifndef MEMTRACE_WORKERS_H
#define MEMTRACE_WORKERS_H

#include <poll.h>

#include "serve/debuginfo.h"
#include "serve/http.h"
#include "serve/post.h"

enum { WORKERS_MAX = 16 };

struct worker;

struct introduced {
	uint8_t *message; /* MODULE; NULL: none is under this handle */
	uint32_t len;
	bool known; /* to the customer's worker */
};

struct customer {
	uint32_t id;
	struct wire_out *out;
	struct worker *worker; /* NULL: none yet */
	VEC(struct introduced) modules;
	size_t bytes; /* of all messages kept */
	enum { WORK_NONE, WORK_WAITING, WORK_RUNNING, WORK_DONE } state;
	/* The question, the customer's until it is done, and what came of it. */
	const uint8_t *question;
	size_t len;
	bool http;
	bool introduces; /* it is a MODULE */
	uint32_t handle; /* of the module it is about */
	int64_t since;
	bool leave; /* it was no proper question */
	bool found; /* of HTTP: */
	struct http_place place;
};

struct crash { /* a module that ended a worker */
	uint8_t *key;
	size_t len;
	int64_t at;
	char words[200];
};

struct workers {
	const struct debuginfo_options *options;
	void (*tell)(void *arg, bool warning, const char *text);
	void *arg;
	struct worker *list[WORKERS_MAX]; /* NULL: none */
	VEC(struct customer *) customers;
	uint32_t last_id;
	struct crash crashes[16]; /* the latest; a ring */
	unsigned crash_count;
};

void workers_deinit(struct workers *workers);

/* False: no memory.  out stays the caller's. */
bool customer_join(struct workers *workers, struct customer *customer, struct wire_out *out);
void customer_leave(struct workers *workers, struct customer *customer);

/* Asks a whole message of the wire, or a request of HTTP. */
void workers_ask(struct workers *workers, struct customer *customer, const uint8_t *question,
		 size_t len, bool http);
/* Takes the end of a question: false while it is not answered. */
bool customer_take(struct customer *customer);

/* For poll(): WORKERS_MAX places.  Returns how long it may sleep at most; -1: for ever. */
int workers_gather(const struct workers *workers, struct pollfd *fds);
void workers_serve(struct workers *workers, const struct pollfd *fds);

#endif
