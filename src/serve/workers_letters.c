/* What workers say.  Nothing of it is believed: one may be in the hands of a file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/workers_parts.h"

enum {
	MAX_UNSENT = 64 << 20, /* of answers to one customer */
	READ_BYTES = 64 << 10,
};

/* False: it breaks the rules. */
static bool on_bytes(struct worker *w, const uint8_t *payload, size_t len)
{
	struct customer *c = w->customer;

	if (!w->busy || w->again)
		return false;
	if (!c)
		return true;
	if (c->out->bytes.len + len > MAX_UNSENT ||
	    !vec_reserve(&c->out->bytes, c->out->bytes.len + len))
		return false;
	if (len)
		memcpy(c->out->bytes.at + c->out->bytes.len, payload, len);
	c->out->bytes.len += len;
	return true;
}

static bool on_place(struct worker *w, const uint8_t *payload, size_t len)
{
	struct customer *c = w->customer;

	if (!w->busy || len != sizeof(c->place))
		return false;
	if (!c || !c->http)
		return !c;
	memcpy(&c->place, payload, len);
	c->place.path[sizeof(c->place.path) - 1] = '\0';
	c->found = true;
	return true;
}

static bool on_done(struct worker *w, uint64_t arg, const uint8_t *payload, size_t len)
{
	struct customer *c = w->customer;
	struct introduced *module = c ? customer_module(c) : NULL;
	bool again = w->again;

	if (!w->busy || (len && !on_bytes(w, payload, len)))
		return false;
	w->busy = w->again = false;
	w->customer = NULL;
	if (!c)
		return true;
	if (module && (again || c->introduces)) {
		module->known = arg == POST_DONE_WELL;
		if (!module->known)
			customer_drop(c, module);
	}
	if (again) {
		c->state = WORK_WAITING;
		return true;
	}
	c->leave = arg == POST_DONE_LEAVE;
	customer_done(c);
	return true;
}

static void on_log(struct workers *workers, bool warning, const uint8_t *payload, size_t len)
{
	char text[2048];

	snprintf(text, sizeof(text), "%.*s",
		 len < sizeof(text) ? (int)len : (int)sizeof(text) - 1, (const char *)payload);
	workers->tell(workers->arg, warning, text);
}

static bool handle(struct workers *workers, struct worker *w, const struct post *letter,
		   const uint8_t *payload)
{
	switch (letter->kind) {
	case POST_BYTES:
		return on_bytes(w, payload, letter->len);
	case POST_PLACE:
		return on_place(w, payload, letter->len);
	case POST_LOG:
		if (!w->again)
			on_log(workers, letter->arg, payload, letter->len);
		return true;
	case POST_DONE:
		return on_done(w, letter->arg, payload, letter->len);
	default:
		return false;
	}
}

/* Reads and handles what is there.  False: it has gone, or has to. */
bool worker_receive(struct workers *workers, struct worker *w)
{
	struct post letter;
	size_t taken = 0;
	int64_t n;

	if (!vec_reserve(&w->in, w->in.len + READ_BYTES))
		return false;
	n = recv(w->fd, w->in.at + w->in.len, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	if (n <= 0)
		return false;
	w->in.len += (size_t)n;
	while ((n = post_read(w->in.at + taken, w->in.len - taken, &letter)) > 0) {
		if (!handle(workers, w, &letter, w->in.at + taken + sizeof(letter)))
			return false;
		taken += (size_t)n;
	}
	w->in.len -= taken;
	if (taken)
		memmove(w->in.at, w->in.at + taken, w->in.len);
	return n == 0;
}
