/*
 * An end of a connection between memtrace and memtrace-fs (the client's, unless `peer` is changed):
 * whole messages out and in over a
 * socket, never waiting longer than it is told to.  What carries the bytes (socket pair,
 * TCP) does not matter here.
 */
#ifndef MEMTRACE_CHANNEL_H
#define MEMTRACE_CHANNEL_H

#include "symbols/wire.h"

struct channel {
	enum wire_side peer; /* whose messages come in */
	int fd;		     /* non-blocking; -1: closed */
	struct wire_out out; /* messages to send are written here */
	size_t sent;	     /* bytes of out that are gone */
	VEC(uint8_t) in;
	size_t taken; /* bytes of in that were handed out */
};

/* Takes fd over: makes it non-blocking, and closes it in channel_deinit(). */
int channel_init(struct channel *channel, int fd, struct err *err) MUST_CHECK;
void channel_deinit(struct channel *channel);

/* Sends what can be sent without waiting.  0, or -errno (-EPIPE: the peer has gone). */
int channel_flush(struct channel *channel, struct err *err) MUST_CHECK;

/*
 * Waits until bytes arrived or `deadline` (clock_ms()) has passed, sending meanwhile
 * what waits in out.  0, -ETIMEDOUT, -EPIPE (the peer has gone), or another -errno.
 * Messages that channel_next() gave are invalid after it.
 */
int channel_wait(struct channel *channel, int64_t deadline, struct err *err) MUST_CHECK;

/* The next whole message received: 1, 0 (none yet), or -EPROTO. */
int channel_next(struct channel *channel, struct wire_message *ret, struct err *err) MUST_CHECK;

#endif
