/*
 * Where a peer is: HOST[:PORT] as a person writes it, and stream sockets made from it.
 * Names, IPv4 and IPv6 ("[::1]:3002", "::1"); both programs may dial and both may listen.
 */
#ifndef MEMTRACE_ENDPOINT_H
#define MEMTRACE_ENDPOINT_H

#include <sys/socket.h>

#include "base/err.h"
#include "base/types.h"

#define ENDPOINT_PORT "3002"

enum { ENDPOINT_TEXT = 96 };

struct endpoint {
	char host[256]; /* "": any address (to listen on) */
	char port[6];
};

/* One line for the user, as in "Connecting to [192.168.1.104]:3002". */
typedef void endpoint_log_fn(void *arg, const char *text);

/* HOST, HOST:PORT, [HOST], [HOST]:PORT, :PORT.  `what` names it in errors. */
int endpoint_parse(const char *text, const char *what, struct endpoint *ret, struct err *err) MUST_CHECK;

/* "[192.168.1.104]:3002". */
void endpoint_text(const struct sockaddr *address, socklen_t len, char ret[ENDPOINT_TEXT]);
/* "192.168.1.104:3002", "[fe80::1%eth0]:3002". */
void endpoint_plain(const struct sockaddr *address, socklen_t len, char ret[ENDPOINT_TEXT]);

/*
 * Connects to the first of the host's addresses that answers, within limit_ms altogether.
 * say (may be NULL) is told of each.  *ret: a stream socket, close-on-exec.
 */
int endpoint_connect(const struct endpoint *endpoint, unsigned limit_ms, endpoint_log_fn *log,
		     void *arg, int *ret, struct err *err) MUST_CHECK;

/* A listening socket, non-blocking; says where ("Listening on [::]:3002"). */
int endpoint_listen(const struct endpoint *endpoint, endpoint_log_fn *log, void *arg, int *ret,
		    struct err *err) MUST_CHECK;

/* Takes a peer, waiting at most wait_ms (-1: until one comes); `from` is its text. */
int endpoint_accept(int listener, int wait_ms, int *ret, char from[ENDPOINT_TEXT],
		    struct err *err) MUST_CHECK;

#endif
