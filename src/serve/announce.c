/*
 * Two sockets, IPv4 and IPv6, members of the groups on every interface; several servers on
 * one machine share the port.  A query is answered to its sender, by the socket that it
 * came in on; nothing is remembered of it.
 */
#include "serve/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "symbols/discovery.h"

enum { MAX_INTERFACES = 64, PER_TURN = 16 };

struct announce {
	int fds[2]; /* IPv4, IPv6; -1: not there */
	int epoll;  /* both as one */
	uint16_t port;
	uint64_t server;
	const char *interface;
};

static void join(struct announce *a, unsigned interface)
{
	struct ip_mreqn group4 = {.imr_ifindex = (int)interface};
	struct ipv6_mreq group6 = {.ipv6mr_interface = interface};

	inet_pton(AF_INET, DISCOVERY_GROUP4, &group4.imr_multiaddr);
	inet_pton(AF_INET6, DISCOVERY_GROUP6, &group6.ipv6mr_multiaddr);
	/* An error is an interface that can't, or that we are on already. */
	setsockopt(a->fds[0], IPPROTO_IP, IP_ADD_MEMBERSHIP, &group4, sizeof(group4));
	setsockopt(a->fds[1], IPPROTO_IPV6, IPV6_JOIN_GROUP, &group6, sizeof(group6));
}

void announce_join(struct announce *a)
{
	unsigned interfaces[MAX_INTERFACES];
	size_t count = discovery_interfaces(a->interface, interfaces, MAX_INTERFACES);

	for (size_t i = 0; i < count; i++)
		join(a, interfaces[i]);
}

/* A bound socket of one family, or -1.  It gets what its own groups get, not those of the
 * other sockets of this machine (MULTICAST_ALL, on by default). */
static int open_socket(int family)
{
	struct sockaddr_in any4 = {.sin_family = AF_INET, .sin_port = htons(DISCOVERY_PORT)};
	struct sockaddr_in6 any6 = {.sin6_family = AF_INET6,
				    .sin6_port = htons(DISCOVERY_PORT)};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, none = 0;
	int e = -1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &none, sizeof(none));
		e = bind(fd, (struct sockaddr *)&any6, sizeof(any6));
	} else {
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &none, sizeof(none));
		e = bind(fd, (struct sockaddr *)&any4, sizeof(any4));
	}
	if (e == 0)
		return fd;
	close(fd);
	return -1;
}

int announce_open(uint16_t port, const char *interface, struct announce **ret, struct err *err)
{
	struct announce *a;

	if (interface && !if_nametoindex(interface))
		return err_sys(err, -errno, "--interface: %s", interface);
	a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, -ENOMEM, "no memory to answer searches");
	a->port = port;
	a->interface = interface;
	a->fds[0] = open_socket(AF_INET);
	a->fds[1] = open_socket(AF_INET6);
	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll < 0 || (a->fds[0] < 0 && a->fds[1] < 0) ||
	    getrandom(&a->server, sizeof(a->server), 0) != sizeof(a->server)) {
		announce_close(a);
		return err_sys(err, -errno, "cannot answer searches on UDP port %d",
			       DISCOVERY_PORT);
	}
	for (int i = 0; i < 2; i++) {
		struct epoll_event event = {.events = EPOLLIN};
		if (a->fds[i] >= 0)
			epoll_ctl(a->epoll, EPOLL_CTL_ADD, a->fds[i], &event);
	}
	announce_join(a);
	*ret = a;
	return 0;
}

void announce_close(struct announce *a)
{
	if (!a)
		return;
	for (int i = 0; i < 2; i++)
		if (a->fds[i] >= 0)
			close(a->fds[i]);
	if (a->epoll >= 0)
		close(a->epoll);
	free(a);
}

int announce_fd(const struct announce *a)
{
	return a->epoll;
}

/* False: none waits. */
static bool answer_one(struct announce *a, int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	struct discovery_answer answer = {.port = a->port, .server = a->server};
	struct discovery_query query;
	uint8_t bytes[512];
	ssize_t n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &len);

	if (n < 0)
		return false;
	if (!discovery_read_query(bytes, (size_t)n, &query))
		return true;
	memcpy(answer.nonce, query.nonce, sizeof(answer.nonce));
	discovery_write_answer(&answer, bytes);
	/* One that can't be sent is lost, like any datagram. */
	sendto(fd, bytes, DISCOVERY_BYTES, MSG_DONTWAIT, (struct sockaddr *)&from, len);
	return true;
}

void announce_answer(struct announce *a)
{
	for (int i = 0; i < 2; i++)
		for (int k = 0; k < PER_TURN && a->fds[i] >= 0; k++)
			if (!answer_one(a, a->fds[i]))
				break;
}
