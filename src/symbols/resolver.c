/*
 * The client of memtrace-fs.  Questions that are not answered yet wait in the cache's
 * modules; resolver_converse() keeps a few batches of them under way until none is left:
 *
 *    want --> module->waiting --[LOOKUP, 512 offsets]--> requests --[FRAMES]--> known
 *                                 at most 8 under way
 *
 * The invariant: every answer is checked against the request it names (module, order,
 * count), so a server that lies, dies, or falls silent costs the names that are missing
 * and nothing else.  After the first such event the connection is given up for good.
 */
#include "symbols/resolver.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbols/resolver_parts.h"

enum { DEFAULT_TIMEOUT_MS = 10000 };

/* ---- beginning and end ------------------------------------------------------------------ */

static int resolver_open(int fd, const struct child *child,
			 const struct resolver_options *options, struct resolver **ret,
			 struct err *err)
{
	struct resolver *r = calloc(1, sizeof(*r));
	struct err own;
	int e;

	err = err ? err : &own;
	if (!r) {
		close(fd);
		return err_set(err, -ENOMEM, "no memory for names");
	}
	r->child = *child;
	r->alive = true;
	r->timeout_ms = options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
	r->progress = options->progress;
	r->progress_arg = options->progress_arg;
	r->enough = options->enough;
	r->enough_arg = options->enough_arg;
	e = channel_init(&r->channel, fd, err);
	if (e)
		close(fd);
	else
		e = resolver_greet(r, err);
	if (e) {
		if (r->channel.fd >= 0)
			resolver_lose(r, err);
		child_end(&r->child, 0);
		free(r);
		return e;
	}
	*ret = r;
	return 0;
}

int resolver_connect(int fd, const struct resolver_options *options, struct resolver **ret,
		     struct err *err)
{
	return resolver_open(fd, &(struct child){}, options, ret, err);
}

int resolver_start(const struct resolver_options *options, struct resolver **ret,
		   struct err *err)
{
	VEC(const char *) args = {};
	struct child child;
	bool complete = true;
	int e;

	for (const char *const *dir = options->debug_dirs; dir && *dir; dir++)
		complete =
			complete &&
			vec_push(&args, options->serve_dirs ? "--serve-dir" : "--debug-dir") &&
			vec_push(&args, *dir);
	if (options->debuginfod)
		complete = complete && vec_push(&args, "--debuginfod");
	complete = complete && vec_push(&args, NULL);
	e = complete ? child_start(options->server, args.at, &child, err)
		     : err_set(err, -ENOMEM, "no memory for names");
	vec_deinit(&args);
	return e ? e : resolver_open(child.fd, &child, options, ret, err);
}

void resolver_destroy(struct resolver *r)
{
	if (!r)
		return;
	if (r->alive)
		resolver_hang_up(r);
	child_end(&r->child, RESOLVER_END_GRACE_MS);
	vec_deinit(&r->requests);
	cache_deinit(&r->cache);
	free(r);
}

int resolver_fd(const struct resolver *r)
{
	return r->alive ? r->channel.fd : -1;
}

void resolver_check(struct resolver *r)
{
	struct wire_message message;
	struct err err;
	int n = 0, e = r->alive ? channel_wait(&r->channel, clock_ms(), &err) : 0;

	/* Nothing was asked, so there is nothing to be said. */
	while (!e && r->alive && (n = channel_next(&r->channel, &message, &err)) > 0)
		e = resolver_take(r, &message, &err);
	if (n < 0 || (e && e != -ETIMEDOUT))
		resolver_lose(r, &err);
}

int resolver_reconnect(struct resolver *r, int fd, struct err *err)
{
	struct err own;
	int e = channel_init(&r->channel, fd, err = err ? err : &own);

	if (e) {
		close(fd);
		return e;
	}
	r->alive = true;
	cache_ask_again(&r->cache);
	e = resolver_greet(r, err);
	return e ? resolver_lose(r, err) : 0;
}

bool resolver_is_alive(const struct resolver *r, const char **why)
{
	if (!r->alive && why)
		*why = r->why;
	return r->alive;
}

/* ---- questions and what is known ------------------------------------------------------- */

int resolver_want(struct resolver *r, const struct resolver_module *id, const uint64_t *offsets,
		  size_t count, struct err *err)
{
	struct cache_module *module;
	int e;

	if (!r->alive)
		return resolver_lost(r, err);
	if (id->instance >= WIRE_MAX_MODULES)
		return err_set(err, -ERANGE, "too many modules to name them all");
	module = cache_module(&r->cache, id);
	if (!module)
		return err_set(err, -ENOMEM, "no memory for names");
	e = resolver_ask_module(r, module, err);
	/* Whether the server is still there is found out when an answer is waited for. */
	if (!e)
		err_ignore(channel_flush(&r->channel, NULL));
	for (size_t i = 0; !e && i < count; i++) {
		size_t before = module->entry_count;
		if (!cache_entry(&r->cache, module, offsets[i]))
			return err_set(err, -ENOMEM, "no memory for names");
		r->wanted += module->entry_count - before;
	}
	return e;
}

int resolver_wait(struct resolver *r, resolver_progress_fn *progress, void *arg,
		  struct err *err)
{
	return resolver_converse(r, progress, arg, err);
}

const struct resolved *resolver_find(const struct resolver *r, uint32_t instance,
				     uint64_t offset)
{
	const struct cache_module *module = cache_module_find(&r->cache, instance);
	const struct cache_entry *entry = module ? cache_entry_find(module, offset) : NULL;

	return entry && entry->known ? &entry->resolved : NULL;
}

const char *resolver_source(const struct resolver *r, uint32_t instance)
{
	const struct cache_module *module = cache_module_find(&r->cache, instance);

	return module ? module->source : NULL;
}

const char *resolver_remark(const struct resolver *r, uint32_t instance)
{
	const struct cache_module *module = cache_module_find(&r->cache, instance);

	return module ? module->remark : NULL;
}

int resolver_symbols(struct resolver *r, const struct resolver_module *id,
		     const char *const *names, size_t count, uint64_t *values, uint64_t *sizes,
		     struct err *err)
{
	int e = resolver_want(r, id, NULL, 0, err);
	struct cache_module *module = e ? NULL : cache_module_find(&r->cache, id->instance);
	size_t asked = 0;

	if (e)
		return e;
	memset(values, 0, count * sizeof(*values));
	if (sizes)
		memset(sizes, 0, count * sizeof(*sizes));
	while (asked < count) {
		struct request *request = resolver_request(r, WIRE_SYMBOLS, module);
		if (!request)
			return resolver_lose(r, &(struct err){-ENOMEM, "no memory for names"});
		request->count = wire_write_symbols(&r->channel.out, request->id, id->instance,
						    names + asked, count - asked);
		request->values = values + asked;
		request->sizes = sizes ? sizes + asked : NULL;
		asked += request->count;
		if (!request->count)
			break;
	}
	return resolver_converse(r, NULL, NULL, err);
}

int resolver_want_unwind(struct resolver *r, const struct resolver_module *id,
			 resolver_row_fn *visit, void *arg, struct err *err)
{
	int e = resolver_want(r, id, NULL, 0, err);
	struct request *request;

	if (e)
		return e;
	request = resolver_request(r, WIRE_UNWIND, cache_module_find(&r->cache, id->instance));
	if (!request)
		return err_set(err, -ENOMEM, "no memory for unwind rows");
	request->count = WIRE_MAX_UNWIND;
	request->visit = visit;
	request->arg = arg;
	resolver_ask_unwind(r, request, 0);
	return 0;
}

int resolver_want_rules(struct resolver *r, const struct resolver_module *id,
			resolver_rules_fn *take, void *arg, struct err *err)
{
	int e = resolver_want(r, id, NULL, 0, err);
	struct request *request;

	if (e)
		return e;
	request = resolver_request(r, WIRE_RULES, cache_module_find(&r->cache, id->instance));
	if (!request)
		return err_set(err, -ENOMEM, "no memory for unwind data");
	request->count = WIRE_MAX_RULES;
	request->take = take;
	request->arg = arg;
	wire_write_range(&r->channel.out, request->id, WIRE_RULES,
			 &(struct wire_range){id->instance, 0, UINT64_MAX});
	return 0;
}
