/*
 * Processes that send a file over HTTP, one each: reading it may take for ever, as may who gets
 * it.  Where there are SENDERS_MAX, the oldest has to go.
 */
#ifndef MEMTRACE_SENDERS_H
#define MEMTRACE_SENDERS_H

#include <sys/types.h>

#include "serve/http.h"

enum { SENDERS_MAX = 32 };

struct senders {
	struct {
		pid_t pid; /* 0: none */
		char line[HTTP_LINE + 1];
	} list[SENDERS_MAX];
	unsigned next;
};

/* Begins one, which answers the request of http_request_length() bytes over `client`.  False:
 * there can't be one. */
bool senders_begin(struct senders *senders, int client, const uint8_t *bytes, size_t len,
		   const struct search_dirs *dirs, const struct http_place *place);

/* How many there are. */
unsigned senders_count(const struct senders *senders);

/* Those that have ended: log (may be NULL) is told what became of each request. */
void senders_reap(struct senders *senders, void (*log)(void *arg, const char *text), void *arg);

void senders_end(struct senders *senders);

#endif
