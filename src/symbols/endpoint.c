/*
 * Stream sockets.  Answers are small and wanted at once (TCP_NODELAY); a peer whose cable
 * was pulled is noticed by keep-alive probes within two minutes.
 */
#include "symbols/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbols/lookup.h"

enum { BACKLOG = 128, PROBE_AFTER_S = 60, PROBE_EVERY_S = 15, PROBES = 4 };
enum { LOOKUP_MS = 30000 }; /* of a name to listen on */

/* ---- words ------------------------------------------------------------------------- */

static int wrong(const char *text, const char *what, struct err *err)
{
	return err_set(err, -EINVAL, "%s: '%s' is not HOST[:PORT]", what, text);
}

static bool port_is_valid(const char *port)
{
	char *end;
	unsigned long number = strtoul(port, &end, 10);

	return *port >= '0' && *port <= '9' && !*end && strlen(port) < 6 && number > 0 &&
	       number < 65536;
}

int endpoint_parse(const char *text, const char *what, struct endpoint *ret, struct err *err)
{
	const char *host = text, *end, *port, *colon = strchr(text, ':');

	if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return wrong(text, what, err);
		port = end[1] ? end + 2 : NULL;
	} else if (colon && !strchr(colon + 1, ':')) {
		end = colon;
		port = colon + 1;
	} else { /* no port: a name, or an IPv6 address without brackets */
		end = text + strlen(text);
		port = NULL;
	}
	if ((size_t)(end - host) >= sizeof(ret->host) || !*text)
		return wrong(text, what, err);
	if (port && !port_is_valid(port))
		return err_set(err, -EINVAL,
			       "%s: '%s': the port is not a number from 1 to 65535", what,
			       text);
	snprintf(ret->host, sizeof(ret->host), "%.*s", (int)(end - host), host);
	snprintf(ret->port, sizeof(ret->port), "%s", port ? port : ENDPOINT_PORT);
	return 0;
}

/* As getnameinfo(3) with numbers only: that one brings names and services along, 3 KB of a
 * static file. */
static void split(const struct sockaddr *address, socklen_t len, char host[64], char port[8])
{
	struct sockaddr_in v4 = {.sin_family = AF_UNSPEC};
	struct sockaddr_in6 v6 = {.sin6_family = AF_UNSPEC};
	char text[INET6_ADDRSTRLEN] = "?", scope[IF_NAMESIZE];

	if (len >= sizeof(v4) && address->sa_family == AF_INET)
		memcpy(&v4, address, sizeof(v4));
	if (len >= sizeof(v6) && address->sa_family == AF_INET6)
		memcpy(&v6, address, sizeof(v6));
	if (v4.sin_family)
		inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
	else if (v6.sin6_family)
		inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
	/* An IPv4 peer of a socket that takes both. */
	snprintf(host, 64, "%s", !strncmp(text, "::ffff:", 7) && strchr(text, '.') ? text + 7 : text);
	if (v6.sin6_scope_id && IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr)) { /* RFC 4007, 11 */
		if (!if_indextoname(v6.sin6_scope_id, scope))
			snprintf(scope, sizeof(scope), "%u", v6.sin6_scope_id);
		snprintf(host, 64, "%s%%%s", text, scope);
	}
	snprintf(port, 8, "?");
	if (v4.sin_family || v6.sin6_family)
		snprintf(port, 8, "%u", ntohs(v4.sin_family ? v4.sin_port : v6.sin6_port));
}

void endpoint_text(const struct sockaddr *address, socklen_t len, char ret[ENDPOINT_TEXT])
{
	char host[64], port[8];

	split(address, len, host, port);
	snprintf(ret, ENDPOINT_TEXT, "[%s]:%s", host, port);
}

void endpoint_plain(const struct sockaddr *address, socklen_t len, char ret[ENDPOINT_TEXT])
{
	char host[64], port[8];

	split(address, len, host, port);
	snprintf(ret, ENDPOINT_TEXT, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void log_at(endpoint_log_fn *log, void *arg, const char *what,
		   const struct sockaddr *address, socklen_t len)
{
	char at[ENDPOINT_TEXT], text[ENDPOINT_TEXT + 32];

	if (!log)
		return;
	endpoint_text(address, len, at);
	snprintf(text, sizeof(text), "%s %s", what, at);
	log(arg, text);
}

/* ---- sockets ----------------------------------------------------------------------- */

static void set(int fd, int level, int option, int value)
{
	setsockopt(fd, level, option, &value, sizeof(value));
}

static void tune(int fd)
{
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(fd, IPPROTO_TCP, TCP_KEEPIDLE, PROBE_AFTER_S);
	set(fd, IPPROTO_TCP, TCP_KEEPINTVL, PROBE_EVERY_S);
	set(fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
}

/* Connects within the time that is left.  0 or -errno. */
static int connect_until(int fd, const struct addrinfo *to, int64_t deadline)
{
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	int failed = 0;
	socklen_t len = sizeof(failed);

	if (connect(fd, to->ai_addr, to->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	for (;;) {
		int64_t left = deadline - clock_ms();
		int n = poll(&pfd, 1, left > 0 ? (int)left : 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ETIMEDOUT;
		break;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &len) < 0)
		return -errno;
	return -failed;
}

int endpoint_connect(const struct endpoint *endpoint, unsigned limit_ms, endpoint_log_fn *log,
		     void *arg, int *ret, struct err *err)
{
	int64_t deadline = clock_ms() + limit_ms;
	struct addrinfo *list;
	int e = lookup(endpoint, false, limit_ms, &list, err);

	if (e)
		return e;
	for (struct addrinfo *at = list; at; at = at->ai_next) {
		char where[ENDPOINT_TEXT];
		int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

		endpoint_text(at->ai_addr, at->ai_addrlen, where);
		log_at(log, arg, "Connecting to", at->ai_addr, at->ai_addrlen);
		e = fd < 0 ? -errno : connect_until(fd, at, deadline);
		if (!e) {
			tune(fd);
			*ret = fd;
			break;
		}
		err_sys(err, e, "cannot connect to %s", where);
		if (fd >= 0)
			close(fd);
	}
	freeaddrinfo(list);
	return e;
}

static int listen_at(const struct addrinfo *at, int *ret)
{
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int e;

	if (fd < 0)
		return -errno;
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (at->ai_family == AF_INET6) /* [::] takes IPv4 as well */
		set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
	if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0) {
		*ret = fd;
		return 0;
	}
	e = -errno;
	close(fd);
	return e;
}

int endpoint_listen(const struct endpoint *endpoint, endpoint_log_fn *log, void *arg, int *ret,
		    struct err *err)
{
	struct endpoint both = *endpoint;
	struct addrinfo *list = NULL;
	char where[ENDPOINT_TEXT];
	int e;

	/* Anywhere: IPv6 with IPv4, or IPv4 alone where there is no IPv6. */
	if (!*both.host)
		snprintf(both.host, sizeof(both.host), "::");
	e = lookup(&both, true, LOOKUP_MS, &list, err);
	if (!e && (e = listen_at(list, ret)) && !*endpoint->host) {
		freeaddrinfo(list);
		list = NULL;
		snprintf(both.host, sizeof(both.host), "0.0.0.0");
		e = lookup(&both, true, LOOKUP_MS, &list, err);
		e = e ? e : listen_at(list, ret);
	}
	if (!list)
		return e;
	endpoint_text(list->ai_addr, list->ai_addrlen, where);
	if (e)
		err_sys(err, e, "cannot listen on %s", where);
	else
		log_at(log, arg, "Listening on", list->ai_addr, list->ai_addrlen);
	freeaddrinfo(list);
	return e;
}

int endpoint_accept(int listener, int wait_ms, int *ret, char from[ENDPOINT_TEXT],
		    struct err *err)
{
	struct pollfd pfd = {.fd = listener, .events = POLLIN};
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	int n = poll(&pfd, 1, wait_ms), fd;

	if (n == 0)
		return err_set(err, -ETIMEDOUT, "nobody has connected");
	fd = n < 0 ? -1 : accept4(listener, (struct sockaddr *)&address, &len, SOCK_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "cannot take a connection");
	tune(fd);
	endpoint_text((struct sockaddr *)&address, len, from);
	*ret = fd;
	return 0;
}
