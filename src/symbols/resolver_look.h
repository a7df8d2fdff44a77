/*
 * A look for leaks that memtrace-fs makes, over the connection that names come from: it asks for
 * what it needs of the process, again and again, and says at last what it has found.
 *
 *     LOOK --->   <--- FETCH   FETCHED --->   ...   <--- PROGRESS   <--- FOUND, ERROR
 */
#ifndef MEMTRACE_RESOLVER_LOOK_H
#define MEMTRACE_RESOLVER_LOOK_H

#include "symbols/resolver.h"
#include "symbols/wire.h"

struct resolver_look {
	uint64_t length; /* of the description */
	uint64_t most;	 /* bytes that may be found; 0: WIRE_MAX_FOUND, which is never passed */
	/* Into buf, of WIRE_MAX_FETCH bytes: how many; 0: there are none.  It is asked anything. */
	size_t (*fetch)(void *arg, const struct wire_fetch *what, uint8_t *buf);
	/* Whether anybody waits still: asked at each step. */
	bool (*wanted)(void *arg, const char *what, uint64_t done, uint64_t total);
	void *arg;
};

VEC_TYPE(resolver_found, uint8_t);

/*
 * *ret: what was found, which is appended.  -EAGAIN: another picture will do; -ECANCELED; -EIO: it
 * could not be done there, err says why.  Whatever else goes wrong costs the connection.
 */
int resolver_look(struct resolver *resolver, const struct resolver_look *look,
		  struct resolver_found *ret, struct err *err) MUST_CHECK;

#endif
