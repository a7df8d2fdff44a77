/* A look that memtrace-fs makes; see resolver_look.h.  Nothing else is under way meanwhile. */
#include "symbols/resolver_look.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "symbols/resolver_parts.h"

enum { ASK_MS = 100 }; /* whether anybody waits still */

struct looking {
	struct resolver *resolver;
	const struct resolver_look *look;
	struct resolver_found *found;
	uint32_t request;
	uint8_t *room;
	bool over;
};

static int on_fetch(struct looking *l, const struct wire_message *message, struct err *err)
{
	struct wire_fetch fetch;
	int e = wire_read_fetch(message, &fetch, err);
	size_t len;

	if (e)
		return e;
	/* Who has what it asked for has all that we wrote: answers that nobody takes would pile up. */
	if (l->resolver->channel.out.bytes.len)
		return err_set(err, -EPROTO, "memtrace-fs asks before it has its answer");
	len = l->look->fetch(l->look->arg, &fetch, l->room);
	wire_write_bytes(&l->resolver->channel.out, l->request, WIRE_FETCHED, false, l->room, len);
	return 0;
}

static int on_found(struct looking *l, const struct wire_message *message, struct err *err)
{
	size_t len = cursor_left(&message->payload);
	uint64_t most = l->look->most;

	if (l->found->len + len > WIRE_MAX_FOUND)
		return err_set(err, -EMSGSIZE, "memtrace-fs finds more than can be");
	if (most && l->found->len + len > most)
		return err_set(err, -EMSGSIZE,
			       "memtrace-fs finds more than this machine has memory for: -n "
			       "bounds it");
	if (!vec_reserve(l->found, l->found->len + len))
		return err_set(err, -ENOMEM, "memory is short");
	if (len)
		memcpy(l->found->at + l->found->len, message->payload.at, len);
	l->found->len += len;
	l->over = !(message->flags & WIRE_MORE);
	return 0;
}

static int on_progress(struct looking *l, const struct wire_message *message, struct err *err)
{
	struct wire_progress progress;
	int e = wire_read_progress(message, &progress, err);

	if (!e && !l->look->wanted(l->look->arg, progress.what, progress.done, progress.total))
		e = err_set(err, -ECANCELED, "given up");
	return e;
}

/* The look has an end, and the connection is as it was. */
static int on_error(struct looking *l, const struct wire_message *message, struct err *err)
{
	struct wire_error error;
	int e = wire_read_error(message, &error, err);

	if (e)
		return e;
	l->over = true;
	return err_set(err, error.code == WIRE_CODE_AGAIN ? -EAGAIN : -EIO, "%s", error.text);
}

static int take(struct looking *l, const struct wire_message *message, struct err *err)
{
	l->resolver->heard_at = clock_ms();
	if (message->request == l->request)
		switch (message->type) {
		case WIRE_FETCH:
			return on_fetch(l, message, err);
		case WIRE_FOUND:
			return on_found(l, message, err);
		case WIRE_PROGRESS:
			return on_progress(l, message, err);
		case WIRE_ERROR:
			return on_error(l, message, err);
		}
	return err_set(err, -EPROTO, "memtrace-fs sent an answer to nothing");
}

/* Until something has come, or it is time to ask whether anybody waits. */
static int wait_some(struct looking *l, struct err *err)
{
	struct resolver *r = l->resolver;
	int64_t now = clock_ms(), until = r->heard_at + r->timeout_ms;
	int e = channel_wait(&r->channel, now + ASK_MS < until ? now + ASK_MS : until, err);

	if (e == -ETIMEDOUT && clock_ms() < until)
		e = 0;
	if (!e && !l->look->wanted(l->look->arg, NULL, 0, 0))
		e = err_set(err, -ECANCELED, "given up");
	return e;
}

static int converse(struct looking *l, struct err *err)
{
	struct wire_message message;
	int e = 0, n = 0;

	l->resolver->heard_at = clock_ms();
	while (!e && !l->over) {
		n = channel_next(&l->resolver->channel, &message, err);
		e = n < 0 ? n : n ? take(l, &message, err) : wait_some(l, err);
	}
	return e;
}

int resolver_look(struct resolver *r, const struct resolver_look *look,
		  struct resolver_found *ret, struct err *err)
{
	struct looking looking = {.resolver = r, .look = look, .found = ret};
	int e = resolver_converse(r, NULL, NULL, err);

	if (e)
		return e;
	looking.room = malloc(WIRE_MAX_FETCH);
	if (!looking.room)
		return err_set(err, -ENOMEM, "memory is short");
	looking.request = ++r->last_id;
	wire_write_look(&r->channel.out, looking.request, look->length);
	e = converse(&looking, err);
	free(looking.room);
	return e && !looking.over ? resolver_lose(r, err) : e;
}
