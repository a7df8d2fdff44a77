/*
 * Answers of memtrace-fs.  Each is checked against the request it names: the module, the
 * order, the count.  What breaks the protocol ends the connection, in resolver.c.
 */
#include <errno.h>

#include "base/clock.h"
#include "symbols/resolver_parts.h"

static int store_frames(struct cache *cache, struct cache_entry *entry,
			const struct wire_frame *from, size_t count)
{
	struct resolved_frame *to = cache_bytes(cache, count * sizeof(*to));

	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		to[i] = (struct resolved_frame){.line = from[i].line,
						.inlined = from[i].inlined};
		if (from[i].function)
			to[i].function = cache_text(cache, from[i].function);
		if (from[i].file)
			to[i].file = cache_text(cache, from[i].file);
		if ((from[i].function && !to[i].function) || (from[i].file && !to[i].file))
			return -ENOMEM;
	}
	entry->resolved = (struct resolved){to, count};
	entry->known = true;
	return 0;
}

/* A part of an answer, which fits its request: next in order, not too much. */
static int part_check(const struct request *request, const struct wire_part *part,
		      struct err *err)
{
	if (part->handle != request->module->id.instance || part->first != request->answered ||
	    part->count > request->count - request->answered)
		return err_set(err, -EPROTO, "memtrace-fs answered what it was not asked");
	return 0;
}

static int take_frames(struct resolver *r, struct request *request,
		       const struct wire_message *message, struct err *err)
{
	struct wire_frame found[WIRE_MAX_INLINED];
	struct wire_frames frames;
	size_t count;
	int e = wire_frames_open(message, &frames, err);

	if (!e)
		e = part_check(request, &frames.part, err);
	for (uint32_t i = 0; !e && i < frames.part.count; i++) {
		e = wire_frames_next(&frames, found, &count, err);
		if (!e &&
		    store_frames(&r->cache, request->entries[request->answered], found, count))
			e = err_set(err, -ENOMEM, "no memory for names");
		request->answered += !e;
		r->done += !e;
	}
	wire_frames_close(&frames);
	return e;
}

static int take_value(struct request *request, struct wire_part *part)
{
	uint64_t size;

	request->values[request->answered] = wire_next_value(part, &size);
	if (request->sizes)
		request->sizes[request->answered] = size;
	return 0;
}

/* They must ascend: who keeps them relies on it. */
static int take_unwind(struct request *request, struct wire_part *part)
{
	struct row row;
	uint64_t vaddr;

	wire_next_unwind(part, &vaddr, &row);
	if (vaddr < request->row_vaddr)
		return -EPROTO;
	request->row_vaddr = vaddr;
	request->visit(request->arg, vaddr, &row);
	return 0;
}

/* One record after the other. */
static int take_records(struct request *request, const struct wire_message *message,
			int (*take)(struct request *request, struct wire_part *part),
			struct err *err)
{
	struct wire_part part;
	int e = wire_read_part(message, &part, err);

	if (!e)
		e = part_check(request, &part, err);
	for (uint32_t i = 0; !e && i < part.count; i++) {
		if (take(request, &part))
			e = err_set(err, -EPROTO, "memtrace-fs sent rows in disorder");
		request->answered++;
	}
	return e;
}

static int take_rules(struct request *request, const struct wire_message *message,
		      struct err *err)
{
	struct wire_part part;
	int e = wire_read_part(message, &part, err);

	if (!e)
		e = part_check(request, &part, err);
	if (e)
		return e;
	request->take(request->arg, wire_part_bytes(&part), part.count);
	request->answered += part.count;
	return 0;
}

/* Of UNWIND: a million rows, as many as are kept (unwind/row_table.h).  There could be more
 * behind every answer. */
enum { MAX_ROUNDS = (1 << 20) / WIRE_MAX_UNWIND };

/* All parts of an answer are there.  True: so is the whole answer. */
static bool take_end(struct resolver *r, struct request *request, struct err *err, int *e)
{
	if (request->type == WIRE_RULES)
		return true;
	if (request->type != WIRE_UNWIND) {
		if (request->answered != request->count)
			*e = err_set(err, -EPROTO, "memtrace-fs answered %u of %u questions",
				     request->answered, request->count);
		return true;
	}
	if (request->answered < WIRE_MAX_UNWIND || request->row_vaddr == UINT64_MAX ||
	    ++request->rounds == MAX_ROUNDS)
		return true;
	request->answered = 0;
	request->id = ++r->last_id;
	resolver_ask_unwind(r, request, ++request->row_vaddr);
	return false;
}

static int take_info(struct resolver *r, struct request *request,
		     const struct wire_message *message, struct err *err)
{
	struct wire_module_info info;
	int e = wire_read_module_info(message, &info, err);

	if (e)
		return e;
	if (info.handle != request->module->id.instance)
		return err_set(err, -EPROTO, "memtrace-fs answered what it was not asked");
	request->module->source =
		cache_text(&r->cache, info.source ? info.source : RESOLVER_NOWHERE);
	if (info.remark)
		request->module->remark = cache_text(&r->cache, info.remark);
	return 0;
}

/* An answer that says that there is none. */
static int take_error(struct resolver *r, struct request *request,
		      const struct wire_message *message, struct err *err)
{
	struct wire_error error;
	int e = wire_read_error(message, &error, err);

	if (e)
		return e;
	if (error.code == WIRE_CODE_PROTOCOL || error.code == WIRE_CODE_VERSION || !request)
		return err_set(err, -EPROTO, "memtrace-fs: %s", error.text);
	for (; request->answered < request->count; request->answered++) {
		if (request->type == WIRE_LOOKUP) {
			request->entries[request->answered]->known = true;
			r->done++;
		}
	}
	if (request->type == WIRE_MODULE)
		request->module->source = RESOLVER_NOWHERE;
	request->module->remark = cache_text(&r->cache, error.text);
	return 0;
}

static int take_progress(struct resolver *r, const struct wire_message *message,
			 struct err *err)
{
	struct wire_progress progress;
	int e = wire_read_progress(message, &progress, err);

	if (!e && r->progress)
		r->progress(r->progress_arg, progress.what);
	return e;
}

/* Which message answers a request. */
static bool is_answer(enum wire_type type, uint16_t answer)
{
	return answer == WIRE_ERROR || (type == WIRE_MODULE && answer == WIRE_MODULE_INFO) ||
	       (type == WIRE_LOOKUP && answer == WIRE_FRAMES) ||
	       (type == WIRE_SYMBOLS && answer == WIRE_VALUES) ||
	       (type == WIRE_UNWIND && answer == WIRE_UNWIND_TABLE) ||
	       (type == WIRE_RULES && answer == WIRE_RULE_TABLE);
}

/* What a server may make us keep: so much, and so much for each address it was asked about.
 * Honest ones take some 300 bytes an address. */
enum { CACHE_FREE = 4 << 20, CACHE_EACH = 4096 };

/* The message answers the request. */
static int take_answer(struct resolver *r, struct request *request,
		       const struct wire_message *message, struct err *err)
{
	switch (message->type) {
	case WIRE_MODULE_INFO:
		return take_info(r, request, message, err);
	case WIRE_FRAMES:
		return take_frames(r, request, message, err);
	case WIRE_VALUES:
		return take_records(request, message, take_value, err);
	case WIRE_UNWIND_TABLE:
		return take_records(request, message, take_unwind, err);
	case WIRE_RULE_TABLE:
		return take_rules(request, message, err);
	default:
		return take_error(r, request, message, err);
	}
}

static struct request *find(const struct resolver *r, uint32_t id)
{
	for (size_t i = 0; i < r->requests.len; i++)
		if (r->requests.at[i].id == id)
			return &r->requests.at[i];
	return NULL;
}

int resolver_take(struct resolver *r, const struct wire_message *message, struct err *err)
{
	struct request *request = find(r, message->request);
	uint32_t before;
	int e;

	r->heard_at = clock_ms();
	if (message->type == WIRE_PROGRESS)
		return take_progress(r, message, err);
	r->answered_at = r->heard_at;
	if (!request && message->type == WIRE_ERROR)
		return take_error(r, NULL, message, err);
	if (!request || !is_answer(request->type, message->type))
		return err_set(err, -EPROTO, "memtrace-fs sent an answer to nothing");
	before = request->answered;
	e = take_answer(r, request, message, err);
	if (!e && r->cache.bytes > CACHE_FREE + (uint64_t)CACHE_EACH * r->cache.entries)
		e = err_set(err, -EMSGSIZE, "memtrace-fs sends more than names");
	if (!e && message->flags & WIRE_MORE && request->answered == before)
		e = err_set(err, -EPROTO,
			    "memtrace-fs sent a part of an answer with nothing in it");
	if (e || (message->flags & WIRE_MORE))
		return e;
	if (message->type == WIRE_ERROR || take_end(r, request, err, &e))
		resolver_drop(r, (size_t)(request - r->requests.at));
	return e;
}
