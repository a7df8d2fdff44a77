/*
 * Addresses of a host, within a limit of time.
 */
#ifndef MEMTRACE_LOOKUP_H
#define MEMTRACE_LOOKUP_H

#include <netdb.h>

#include "symbols/endpoint.h"

/*
 * Stream addresses of the endpoint, to bind to (passive) or to connect to; *ret by
 * freeaddrinfo().  The host is "" (any), an address, or a name, which is looked up for at
 * most limit_ms.  -EHOSTUNREACH: there is no such name.  -ETIMEDOUT: no answer has come; it is
 * waited for by a thread that ends by itself, and no other name is asked for meanwhile.
 */
int lookup(const struct endpoint *endpoint, bool passive, unsigned limit_ms,
	   struct addrinfo **ret, struct err *err) MUST_CHECK;

#endif
