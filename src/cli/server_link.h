/*
 * Where names come from: the memtrace-fs that the command line asks for.
 *
 *    local child | -c: we call | -l: it calls us | -a: searched for on the network
 *
 *            open --> CONNECTED --- lost ---> AWAY --- retry, with growing pauses ---+
 *                         ^                                                          |
 *                         +----------------------------------------------------------+
 *
 * A child that died stays dead.  The capture knows nothing of all this.
 */
#ifndef MEMTRACE_SERVER_LINK_H
#define MEMTRACE_SERVER_LINK_H

#include "cli/options.h"
#include "cli/output.h"
#include "symbols/endpoint.h"
#include "symbols/resolver.h"

struct server_link {
	const struct options *options;
	struct output *output;
	struct resolver
		*resolver;    /* NULL: there never was one; else it keeps what it learned */
	struct endpoint peer; /* who is called again */
	bool has_peer;
	int listener; /* -l; -1: none */
	bool lost_told;
	unsigned pause_ms;
	bool (*enough)(void *arg); /* resolver_options: set after server_link_init(), or NULL */
	void *enough_arg;
};

void server_link_init(struct server_link *link, const struct options *options,
		      struct output *output);
void server_link_deinit(struct server_link *link);

/* As server_link_open(), with the reason when there is no server: 0 or -errno. */
int server_link_connect(struct server_link *link, const struct resolver_module *program,
			bool needed, struct err *err) MUST_CHECK;

/*
 * Connects, and says what it does.  Of several servers the first that has the program's
 * file is taken; program may be NULL.  Without a server the session goes on: that is said.
 * One that is to call us is waited for only if it is needed for more than names.
 */
void server_link_open(struct server_link *link, const struct resolver_module *program,
		      bool needed);

/* On another machine, as far as we know: it can't open this one's files. */
bool server_link_is_remote(const struct server_link *link);
/* The same, and the user has said who or where: it may be given memory of the process.  Who answers
 * a search is anybody. */
bool server_link_is_chosen(const struct server_link *link);

/* To be polled for reading between questions; -1: nothing to wait for. */
int server_link_fd(const struct server_link *link);
/* It is readable: a server has gone, or calls.  True: there is a new connection. */
bool server_link_event(struct server_link *link);

/* Says, once, that the server was lost. */
void server_link_tell(struct server_link *link);
/* How many ms to wait before the next server_link_retry(): 0: there is nothing to retry. */
unsigned server_link_pause(struct server_link *link);
/* Calls again.  True: connected. */
bool server_link_retry(struct server_link *link);
/* The last chance to have names: calls again, or waits for a call. */
void server_link_await(struct server_link *link);

#endif
