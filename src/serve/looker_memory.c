/*
 * Memory of a process elsewhere; see looker_memory.h.  A look goes over a heap twice, once for its
 * blocks and once for what is in them, and over all else once: so what was fetched is kept, until
 * there is more than may be held; then all of it is forgotten, as what comes next is elsewhere.
 */
#include "serve/looker_memory.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { CHUNK = WIRE_MAX_FETCH, FILE_CHUNK = 64 << 10, STUCK_MS = 60000, PRESENT_MOST = 1024 };

/* ---- the wire ------------------------------------------------------------------------- */

_Noreturn void looker_gone(void)
{
	_exit(1);
}

void looker_send(struct looker_wire *w)
{
	int64_t until = clock_ms() + STUCK_MS;

	for (;;) {
		struct pollfd fd = {w->channel.fd, POLLOUT, 0};

		if (channel_flush(&w->channel, NULL) || clock_ms() >= until)
			looker_gone();
		if (!w->channel.out.bytes.len)
			return;
		poll(&fd, 1, 1000);
	}
}

struct cursor looker_fetch(struct looker_wire *w, const struct wire_fetch *what)
{
	int64_t until = clock_ms() + STUCK_MS;
	struct wire_message message;
	struct err err;
	int n;

	wire_write_fetch(&w->channel.out, w->request, what);
	while ((n = channel_next(&w->channel, &message, &err)) == 0)
		if (channel_wait(&w->channel, until, &err))
			looker_gone();
	if (n < 0 || message.type != WIRE_FETCHED || message.request != w->request)
		looker_gone();
	return message.payload;
}

/* Exactly size bytes; false: they are not there. */
static bool fetch(struct looker_memory *m, uint32_t of, taddr_t at, uint64_t size, void *buf)
{
	const struct wire_fetch what = {of ? WIRE_WANTED_FILE : WIRE_WANTED_MEMORY, of, at, size};
	struct cursor got = looker_fetch(m->wire, &what);

	if (cursor_left(&got) && cursor_left(&got) != size)
		looker_gone();
	if (!cursor_left(&got))
		return false;
	memcpy(buf, got.at, (size_t)size);
	return true;
}

/* ---- what is kept ------------------------------------------------------------------------ */

static size_t slot_of(const struct looker_memory *m, uint32_t of, taddr_t at)
{
	uint64_t hash = (at / FILE_CHUNK + ((uint64_t)of << 32)) * UINT64_C(0x9e3779b97f4a7c15);
	size_t mask = m->chunks.len - 1, i = (size_t)(hash >> 20) & mask;

	while (m->chunks.at[i].bytes && (m->chunks.at[i].of != of || m->chunks.at[i].at != at))
		i = (i + 1) & mask;
	return i;
}

static void forget_all(struct looker_memory *m)
{
	for (size_t i = 0; i < m->chunks.len; i++)
		free(m->chunks.at[i].bytes);
	if (m->chunks.len)
		memset(m->chunks.at, 0, m->chunks.len * sizeof(*m->chunks.at));
	m->held = 0;
	m->used = 0;
}

/* Room for one more.  False: no memory. */
static bool make_room(struct looker_memory *m, size_t size)
{
	struct looker_memory grown = *m;

	if (m->held + size > m->limit)
		forget_all(m);
	if (2 * (m->used + 1) <= m->chunks.len)
		return true;
	memset(&grown.chunks, 0, sizeof(grown.chunks));
	grown.chunks.len = m->chunks.len ? 2 * m->chunks.len : 1024;
	if (!vec_reserve(&grown.chunks, grown.chunks.len))
		return false;
	memset(grown.chunks.at, 0, grown.chunks.len * sizeof(*grown.chunks.at));
	for (size_t i = 0; i < m->chunks.len; i++)
		if (m->chunks.at[i].bytes)
			grown.chunks.at[slot_of(&grown, m->chunks.at[i].of, m->chunks.at[i].at)] =
				m->chunks.at[i];
	vec_deinit(&m->chunks);
	m->chunks.at = grown.chunks.at;
	m->chunks.len = grown.chunks.len;
	m->chunks.cap = grown.chunks.cap;
	return true;
}

/* The chunk [at, at + size); NULL: it is not all there, or there is no memory for it. */
static const struct looker_chunk *chunk(struct looker_memory *m, uint32_t of, taddr_t at,
					size_t size)
{
	struct looker_chunk *c;

	if (!make_room(m, size))
		return NULL;
	c = &m->chunks.at[slot_of(m, of, at)];
	if (c->bytes)
		return c->len == size ? c : NULL;
	c->bytes = malloc(size);
	if (!c->bytes)
		return NULL;
	*c = (struct looker_chunk){of, (uint32_t)size, at, c->bytes};
	m->used++;
	m->held += size;
	if (fetch(m, of, at, size, c->bytes))
		return c;
	c->len = 0; /* (that much is known of it) */
	m->held -= size;
	free(c->bytes);
	c->bytes = calloc(1, 1);
	if (!c->bytes) /* (a place that looks free would hide what lies behind it) */
		looker_gone();
	return NULL;
}

/* The chunk that has addr: of one mapping; of a file, whose end is not known, as it comes. */
static bool extent(const struct looker_memory *m, uint32_t of, taddr_t addr, taddr_t *at,
		   size_t *size)
{
	taddr_t unit = of ? FILE_CHUNK : CHUNK, begin = addr & ~(unit - 1), end = begin + unit;
	const struct mapping *mapping = of ? NULL : maps_find(m->maps, addr);

	if (!of && !mapping)
		return false;
	if (mapping && mapping->begin > begin)
		begin = mapping->begin;
	if (mapping && mapping->end - begin < end - begin)
		end = mapping->end;
	*at = begin;
	*size = (size_t)(end - begin);
	return true;
}

static int view_read(struct memory *memory, taddr_t addr, void *buf, size_t len)
{
	struct looker_view *view = (struct looker_view *)memory;
	uint8_t *to = buf;

	while (len) {
		const struct looker_chunk *c;
		taddr_t at;
		size_t size, n;

		if (!extent(view->all, view->of, addr, &at, &size))
			return -EIO;
		n = size - (size_t)(addr - at) < len ? size - (size_t)(addr - at) : len;
		c = chunk(view->all, view->of, at, size);
		if (c)
			memcpy(to, c->bytes + (addr - at), n);
		else if (!fetch(view->all, view->of, addr, n, to))
			return -EIO;
		addr += n;
		to += n;
		len -= n;
	}
	return 0;
}

void looker_view_init(struct looker_view *view, struct looker_memory *all, uint32_t of)
{
	*view = (struct looker_view){{view_read}, all, of};
}

/* ---- what has content ----------------------------------------------------------------------- */

/* Asks for what there is of [addr, end): many pieces at once. */
static void ask_present(struct looker_memory *m, taddr_t addr, taddr_t end)
{
	const struct wire_fetch what = {WIRE_WANTED_PRESENT, 0, addr, end - addr};
	struct cursor got = looker_fetch(m->wire, &what);
	taddr_t last = addr;

	vec_clear(&m->present);
	while (cursor_left(&got)) {
		struct range piece = {cursor_u64(&got), 0};

		piece.end = cursor_u64(&got);
		if (got.bad || piece.begin < last || piece.end <= piece.begin ||
		    piece.end > end || m->present.len == PRESENT_MOST ||
		    !vec_push(&m->present, piece))
			looker_gone();
		last = piece.end;
	}
	m->from = addr;
	m->to = m->present.len == PRESENT_MOST ? last : end;
}

bool looker_present(void *arg, taddr_t addr, taddr_t end, struct range *ret)
{
	struct looker_memory *m = arg;

	while (addr < end) {
		if (addr < m->from || addr >= m->to)
			ask_present(m, addr, end);
		for (size_t i = 0; i < m->present.len; i++) {
			const struct range *piece = &m->present.at[i];

			if (piece->end <= addr)
				continue;
			if (piece->begin >= end)
				return false;
			*ret = (struct range){piece->begin > addr ? piece->begin : addr,
					      piece->end < end ? piece->end : end};
			return true;
		}
		addr = m->to;
	}
	return false;
}
