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
#ifndef MEMTRACE_SOURCE_H
#define MEMTRACE_SOURCE_H

#include "cli/options.h"
#include "cli/words.h"
#include "symbols/endpoint.h"
#include "symbols/resolver.h"

struct source {
	const struct options *options;
	struct words *words;
	struct resolver
		*resolver;    /* NULL: there never was one; else it keeps what it learned */
	struct endpoint peer; /* who is called again */
	bool has_peer;
	int listener; /* -l; -1: none */
	bool lost_told;
	unsigned pause_ms;
	bool (*enough)(void *arg); /* resolver_options: set after source_init(), or NULL */
	void *enough_arg;
};

void source_init(struct source *source, const struct options *options, struct words *words);
void source_deinit(struct source *source);

/* As source_open(), with the reason when there is no server: 0 or -errno. */
int source_connect(struct source *source, const struct resolver_module *program, bool needed,
		   struct err *err);

/*
 * Connects, and says what it does.  Of several servers the first that has the program's
 * file is taken; program may be NULL.  Without a server the session goes on: that is said.
 * One that is to call us is waited for only if it is needed for more than names.
 */
void source_open(struct source *source, const struct resolver_module *program, bool needed);

/* On another machine, as far as we know: it can't open this one's files. */
bool source_is_remote(const struct source *source);

/* To be polled for reading between questions; -1: nothing to wait for. */
int source_fd(const struct source *source);
/* It is readable: a server has gone, or calls.  True: there is a new connection. */
bool source_event(struct source *source);

/* Says, once, that the server was lost. */
void source_tell(struct source *source);
/* How many ms to wait before the next source_retry(): 0: there is nothing to retry. */
unsigned source_pause(struct source *source);
/* Calls again.  True: connected. */
bool source_retry(struct source *source);
/* The last chance to have names: calls again, or waits for a call. */
void source_await(struct source *source);

#endif
