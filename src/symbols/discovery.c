/*
 * The client's side of the search, and the two messages.  A datagram may get lost, so the
 * query is sent three times, with the same nonce.
 */
#include "symbols/discovery.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"

enum {
	VERSION = 1,
	MAX_INTERFACES = 64,
	MAX_FOUND = 64,
	SENDS = 3,
	SEND_EVERY_MS = 200,
	GATHER_MS = 300, /* after the first answer */
};

static const char query_magic[8] = "mtquery", answer_magic[8] = "mtreply";

/* ---- the messages ---------------------------------------------------------------------- */

static void put(uint8_t *to, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		to[i] = (uint8_t)(value >> (8 * i));
}

static void write_head(const char magic[8], const uint8_t nonce[DISCOVERY_NONCE],
		       uint8_t ret[DISCOVERY_BYTES])
{
	memset(ret, 0, DISCOVERY_BYTES);
	memcpy(ret, magic, 8);
	put(ret + 8, VERSION, 2);
	memcpy(ret + 10, nonce, DISCOVERY_NONCE);
}

void discovery_write_query(const struct discovery_query *query, uint8_t ret[DISCOVERY_BYTES])
{
	write_head(query_magic, query->nonce, ret);
}

void discovery_write_answer(const struct discovery_answer *answer, uint8_t ret[DISCOVERY_BYTES])
{
	write_head(answer_magic, answer->nonce, ret);
	put(ret + 26, answer->port, 2);
	put(ret + 28, answer->server, 8);
}

/* Later versions may mean more by the zeroes, not less by the rest. */
static bool read_head(struct cursor *c, const char magic[8], uint8_t nonce[DISCOVERY_NONCE])
{
	const uint8_t *head = cursor_bytes(c, 8), *bytes;
	uint16_t version = cursor_u16(c);

	bytes = cursor_bytes(c, DISCOVERY_NONCE);
	if (c->bad || memcmp(head, magic, 8) || version < VERSION)
		return false;
	memcpy(nonce, bytes, DISCOVERY_NONCE);
	return true;
}

bool discovery_read_query(const uint8_t *bytes, size_t len, struct discovery_query *ret)
{
	struct cursor c = cursor_over(bytes, len);

	return len >= DISCOVERY_BYTES && read_head(&c, query_magic, ret->nonce);
}

bool discovery_read_answer(const uint8_t *bytes, size_t len, struct discovery_answer *ret)
{
	struct cursor c = cursor_over(bytes, len);

	if (len < DISCOVERY_BYTES || !read_head(&c, answer_magic, ret->nonce))
		return false;
	ret->port = cursor_u16(&c);
	ret->server = cursor_u64(&c);
	return ret->port != 0;
}

/* ---- the search ---------------------------------------------------------------------- */

struct search {
	int fds[2]; /* IPv4, IPv6; -1: not there */
	struct discovery_query query;
	struct discovery_list *found;
	int64_t enough_at;
};

size_t discovery_interfaces(const char *only, unsigned *ret, size_t max)
{
	struct if_nameindex *list = if_nameindex();
	size_t count = 0;

	for (size_t i = 0; list && list[i].if_index && count < max; i++)
		if (!only || !strcmp(list[i].if_name, only))
			ret[count++] = list[i].if_index;
	if_freenameindex(list);
	return count;
}

/* Sends the query out of one interface; true: it went. */
static bool send_from(const struct search *s, unsigned interface)
{
	struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(DISCOVERY_PORT)};
	struct sockaddr_in6 to6 = {.sin6_family = AF_INET6,
				   .sin6_port = htons(DISCOVERY_PORT),
				   .sin6_scope_id = interface};
	struct ip_mreqn by = {.imr_ifindex = (int)interface};
	uint8_t bytes[DISCOVERY_BYTES];
	bool sent = false;

	discovery_write_query(&s->query, bytes);
	inet_pton(AF_INET, DISCOVERY_GROUP4, &to4.sin_addr);
	inet_pton(AF_INET6, DISCOVERY_GROUP6, &to6.sin6_addr);
	if (s->fds[0] >= 0 &&
	    setsockopt(s->fds[0], IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof(by)) == 0)
		sent = sendto(s->fds[0], bytes, sizeof(bytes), MSG_DONTWAIT,
			      (struct sockaddr *)&to4, sizeof(to4)) == sizeof(bytes);
	if (s->fds[1] >= 0)
		sent |= sendto(s->fds[1], bytes, sizeof(bytes), MSG_DONTWAIT,
			       (struct sockaddr *)&to6, sizeof(to6)) == sizeof(bytes);
	return sent;
}

static bool send_all(const struct search *s)
{
	unsigned interfaces[MAX_INTERFACES];
	size_t count = discovery_interfaces(NULL, interfaces, MAX_INTERFACES);
	bool sent = false;

	for (size_t i = 0; i < count; i++)
		sent |= send_from(s, interfaces[i]);
	return sent;
}

/* A server may have several addresses: one is enough, an IPv4 one if there is any. */
static void add(struct search *s, const struct discovery_found *found)
{
	for (size_t i = 0; i < s->found->len; i++) {
		struct discovery_found *known = &s->found->at[i];
		if (known->server != found->server)
			continue;
		if (known->address.ss_family == AF_INET6 && found->address.ss_family == AF_INET)
			*known = *found;
		return;
	}
	if (!s->found->len)
		s->enough_at = clock_ms() + GATHER_MS;
	if (s->found->len < MAX_FOUND)
		(void)vec_push(s->found, *found);
}

static void receive(struct search *s, int fd)
{
	struct discovery_found found = {.len = sizeof(found.address)};
	struct discovery_answer answer;
	uint8_t bytes[512];
	ssize_t n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT,
			     (struct sockaddr *)&found.address, &found.len);

	if (n < 0 || !discovery_read_answer(bytes, (size_t)n, &answer) ||
	    memcmp(answer.nonce, s->query.nonce, sizeof(answer.nonce)))
		return;
	found.server = answer.server;
	if (found.address.ss_family == AF_INET)
		((struct sockaddr_in *)&found.address)->sin_port = htons(answer.port);
	else
		((struct sockaddr_in6 *)&found.address)->sin6_port = htons(answer.port);
	add(s, &found);
}

/* Sends and gathers until the time is over.  False: nothing could be sent. */
static bool run(struct search *s, unsigned wait_ms)
{
	int64_t begin = clock_ms(), now;
	unsigned sends = 0;
	bool sent = false;

	s->enough_at = begin + wait_ms;
	while ((now = clock_ms()) < s->enough_at) {
		struct pollfd fds[2] = {{s->fds[0], POLLIN, 0}, {s->fds[1], POLLIN, 0}};
		int64_t left = s->enough_at - now;

		if (sends < SENDS && now >= begin + (int64_t)sends * SEND_EVERY_MS) {
			sent |= send_all(s);
			sends++;
		}
		if (!sent && sends == SENDS)
			return false;
		poll(fds, 2, left < SEND_EVERY_MS ? (int)left : SEND_EVERY_MS);
		for (int i = 0; i < 2; i++)
			if (fds[i].revents)
				receive(s, s->fds[i]);
	}
	return true;
}

/* getrandom() came with Linux 3.17, and may be forbidden. */
static bool random_bytes(void *ret, size_t len)
{
	ssize_t n = getrandom(ret, len, 0);
	int fd;

	if (n == (ssize_t)len)
		return true;
	fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, ret, len);
	if (fd >= 0)
		close(fd);
	return n == (ssize_t)len;
}

int discovery_search(unsigned wait_ms, endpoint_log_fn *log, void *arg,
		     struct discovery_list *ret, struct err *err)
{
	struct search s = {.found = ret};
	char at[ENDPOINT_TEXT], text[ENDPOINT_TEXT + 40];
	bool sent;

	*ret = (struct discovery_list){};
	if (!random_bytes(s.query.nonce, sizeof(s.query.nonce)))
		return err_sys(err, -errno, "no random numbers");
	snprintf(text, sizeof(text), "Query memtrace-fs service on [%s]:%d", DISCOVERY_GROUP4,
		 DISCOVERY_PORT);
	log(arg, text);
	s.fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	s.fds[1] = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	sent = run(&s, wait_ms);
	for (int i = 0; i < 2; i++)
		if (s.fds[i] >= 0)
			close(s.fds[i]);
	for (size_t i = 0; i < ret->len; i++) {
		endpoint_plain((struct sockaddr *)&ret->at[i].address, ret->at[i].len, at);
		snprintf(text, sizeof(text), "memtrace-fs announced on %s", at);
		log(arg, text);
	}
	return sent ? 0 : err_set(err, -ENETUNREACH, "no network to look for memtrace-fs on");
}
