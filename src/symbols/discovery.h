/*
 * Finding memtrace-fs on the local network.
 *
 *     memtrace  --- query, multicast 224.0.0.251 and ff02::fb, UDP 3002 --->  memtrace-fs
 *               <------------------- answer, to the sender ----------------
 *
 *     query   "mtquery\0" | version u16 | nonce 16 bytes | 14 bytes of zero
 *     answer  "mtreply\0" | version u16 | nonce 16 bytes | TCP port u16 | server u64 | zero u32
 *
 * 40 bytes each, so that answers can't be used to amplify an attack.  The nonce is the
 * query's: an answer to nothing is dropped.  An answer tells only where to look; who is
 * there is asked over TCP.  `server` is a random number, the same in all answers of one
 * server: it may be reached by several addresses.
 */
#ifndef MEMTRACE_DISCOVERY_H
#define MEMTRACE_DISCOVERY_H

#include <net/if.h>
#include <sys/socket.h>

#include "base/vec.h"
#include "symbols/endpoint.h"

enum { DISCOVERY_BYTES = 40, DISCOVERY_NONCE = 16, DISCOVERY_PORT = 3002 };

#define DISCOVERY_GROUP4 "224.0.0.251"
#define DISCOVERY_GROUP6 "ff02::fb"

struct discovery_query {
	uint8_t nonce[DISCOVERY_NONCE];
};

struct discovery_answer {
	uint8_t nonce[DISCOVERY_NONCE];
	uint16_t port;
	uint64_t server;
};

void discovery_write_query(const struct discovery_query *query, uint8_t ret[DISCOVERY_BYTES]);
bool discovery_read_query(const uint8_t *bytes, size_t len, struct discovery_query *ret);
void discovery_write_answer(const struct discovery_answer *answer,
			    uint8_t ret[DISCOVERY_BYTES]);
bool discovery_read_answer(const uint8_t *bytes, size_t len, struct discovery_answer *ret);

struct discovery_found {
	struct sockaddr_storage address; /* with the TCP port */
	socklen_t len;
	uint64_t server;
};

VEC_TYPE(discovery_list, struct discovery_found);

/*
 * Asks on every interface and gathers answers for at most wait_ms; a while after the first
 * one it is enough.  say is told what is asked, and of each server.  0 with an empty list
 * when nobody answers; -errno when nothing could be sent.
 */
int discovery_search(unsigned wait_ms, endpoint_log_fn *log, void *arg,
		     struct discovery_list *ret, struct err *err) MUST_CHECK;

/* The interfaces that are up, by number; `only` (may be NULL): just this one.  Returns how
 * many of at most max. */
size_t discovery_interfaces(const char *only, unsigned *ret, size_t max);

#endif
