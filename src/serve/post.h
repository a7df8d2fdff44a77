/* Letters between memtrace-fs and its workers: over a stream socket, one process to another. */
#ifndef MEMTRACE_POST_H
#define MEMTRACE_POST_H

#include <sys/types.h>

#include "base/types.h"
#include "base/vec.h"

enum post_kind {
	/* to a worker */
	POST_ASK = 1, /* a client's message, as wire.h has it; arg: enum post_ask, client */
	POST_HTTP,    /* a request of HTTP; arg: the client */
	POST_LEFT,    /* the client arg has gone */
	/* from a worker */
	POST_BYTES, /* messages for the client, whole ones, before the answer is there */
	POST_PLACE, /* of POST_HTTP: a struct http_place; nothing was found without it */
	POST_LOG,   /* words for the operator; arg 1: a warning */
	POST_DONE,  /* the question is answered, by these messages; arg: enum post_done */
	/* to an opener, and from it */
	POST_OPEN, /* payload: the path, arg: the kind << 32 | which */
	POST_FILE, /* a descriptor comes with it; or arg is a -errno */
	/* from who makes the index */
	POST_FOUND, /* payload: a file (indexer.c) */
};

enum post_ask { POST_ASK_AGAIN = 1 }; /* in the upper half: nobody is told the answer */

enum post_done {
	POST_DONE_WELL,
	POST_DONE_REFUSED, /* a module was not taken */
	POST_DONE_LEAVE,   /* the client has broken the protocol */
};

enum { POST_MAX = 64 << 20 }; /* bytes of a payload */

struct post {
	uint32_t kind, len;
	uint64_t arg;
};

VEC_TYPE(post_bytes, uint8_t);

/* Appends a letter to bytes that are sent when it is possible.  False: no memory. */
bool post_write(struct post_bytes *bytes, uint32_t kind, uint64_t arg, const void *payload,
		size_t len);
/* Sends a letter with a descriptor (-1: none).  0 or -errno; it never waits. */
int post_pass(int socket, uint32_t kind, uint64_t arg, int fd);
/* Finds the letter at the beginning of bytes; its payload is behind its head.  The bytes it
 * takes; 0: more must come; -EPROTO. */
int64_t post_read(const uint8_t *bytes, size_t len, struct post *ret);

/* For the side that has nothing else to do.  Sends whole; 0 or -errno. */
int post_send(int socket, uint32_t kind, uint64_t arg, const void *payload, size_t len);
/* Waits for a letter; payload gets its bytes and a NUL.  *fd: what came with it, or -1.
 * 0, or -errno: the other side has gone. */
int post_wait(int socket, struct post *ret, struct post_bytes *payload, int *fd);

#endif
