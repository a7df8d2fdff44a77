/* Answers searches for memtrace-fs on the local network: symbols/discovery.h. */
#ifndef MEMTRACE_ANNOUNCE_H
#define MEMTRACE_ANNOUNCE_H

#include "base/err.h"
#include "base/types.h"

struct announce;

/* port: of our listener.  interface: the only one to answer on, or NULL.  -ENODEV: there
 * is none of that name; others: no socket. */
int announce_open(uint16_t port, const char *interface, struct announce **ret, struct err *err) MUST_CHECK;
void announce_close(struct announce *announce); /* NULL is allowed */

/* Readable while queries wait. */
int announce_fd(const struct announce *announce);
/* Answers some of them; never waits. */
void announce_answer(struct announce *announce);
/* Joins the groups on interfaces that came up since: to be called now and then. */
void announce_join(struct announce *announce);

#endif
