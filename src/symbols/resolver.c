/*
 * The client of memtrace-fs.  Questions that are not answered yet wait in the cache's
 * modules; converse() keeps a few batches of them under way until none is left:
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
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbols/resolver_parts.h"

enum {
	BATCH = 512, /* offsets per LOOKUP */
	WINDOW = 8,  /* LOOKUPs under way */
	DEFAULT_TIMEOUT_MS = 10000,
	PATIENCE = 6, /* time limits a server may fill with PROGRESS alone */
	END_GRACE_MS = 500,
	WATCHED_MS = 250, /* whoever waits is told that often */
};

/* ---- the end of a connection -------------------------------------------------------- */

void resolver_drop(struct resolver *r, size_t index)
{
	struct request *request = &r->requests.at[index];

	r->lookups -= request->type == WIRE_LOOKUP;
	/* What was not answered waits again, for another connection. */
	for (uint32_t i = request->answered; request->entries && i < request->count; i++)
		(void)vec_push(&request->module->waiting, request->entries[i]);
	free(request->entries);
	memmove(request, request + 1, (r->requests.len - index - 1) * sizeof(*request));
	r->requests.len--;
}

static void hang_up(struct resolver *r)
{
	r->alive = false;
	channel_deinit(&r->channel);
	while (r->requests.len)
		resolver_drop(r, r->requests.len - 1);
}

/* Gives the connection up; err says why, more exactly than before where the child's end
 * explains it.  Returns err's code. */
static int lose(struct resolver *r, struct err *err)
{
	int status;

	hang_up(r);
	/* A child that has gone by itself is there to be reaped at once; others are killed. */
	status = child_end(&r->child, err->code == -EPIPE ? END_GRACE_MS : 0);
	if (err->code == -ETIMEDOUT)
		err_set(err, err->code, "memtrace-fs did not answer for %g s",
			r->timeout_ms / 1e3);
	else if (status >= 0 && WIFSIGNALED(status))
		err_set(err, err->code, "memtrace-fs died: %s", strsignal(WTERMSIG(status)));
	else if (status >= 0 && WEXITSTATUS(status))
		err_set(err, err->code, "memtrace-fs ended with status %d",
			WEXITSTATUS(status));
	snprintf(r->why, sizeof(r->why), "%s", err->text);
	return err->code;
}

static int lost(const struct resolver *r, struct err *err)
{
	return err_set(err, -ENOTCONN, "%s", r->why);
}

/* ---- asking --------------------------------------------------------------------------- */

static struct request *request_new(struct resolver *r, enum wire_type type,
				   struct cache_module *module)
{
	struct request request = {.id = ++r->last_id, .type = type, .module = module};

	return vec_push(&r->requests, request) ? &r->requests.at[r->requests.len - 1] : NULL;
}

/* Tells the server of a module, once. */
static int ask_module(struct resolver *r, struct cache_module *module, struct err *err)
{
	struct request *request;

	if (module->asked)
		return 0;
	request = request_new(r, WIRE_MODULE, module);
	if (!request)
		return err_set(err, -ENOMEM, "no memory for names");
	module->asked = true;
	wire_write_module(&r->channel.out, request->id,
			  &(struct wire_module){
				  .handle = module->id.instance,
				  .pid = module->id.pid > 0 ? (uint32_t)module->id.pid : 0,
				  .id = module->id.id,
			  });
	return 0;
}

static int ask_lookup(struct resolver *r, struct cache_module *module, struct err *err)
{
	size_t count = module->waiting.len < BATCH ? module->waiting.len : BATCH;
	struct cache_entry **entries = malloc(count * sizeof(*entries));
	struct request *request = entries ? request_new(r, WIRE_LOOKUP, module) : NULL;
	uint64_t offsets[BATCH];

	if (!request) {
		free(entries);
		return err_set(err, -ENOMEM, "no memory for names");
	}
	module->waiting.len -= count;
	memcpy(entries, module->waiting.at + module->waiting.len, count * sizeof(*entries));
	for (size_t i = 0; i < count; i++)
		offsets[i] = entries[i]->offset;
	request->entries = entries;
	request->count = (uint32_t)count;
	r->lookups++;
	wire_write_numbers(&r->channel.out, request->id, WIRE_LOOKUP, module->id.instance,
			   offsets, request->count);
	return 0;
}

/* Asks for the rows from vaddr on. */
void resolver_ask_unwind(struct resolver *r, const struct request *request, uint64_t vaddr)
{
	wire_write_range(&r->channel.out, request->id, WIRE_UNWIND,
			 &(struct wire_range){request->module->id.instance, vaddr, UINT64_MAX});
}

/* Puts as many waiting questions under way as the window allows. */
static int ask(struct resolver *r, struct err *err)
{
	size_t modules = r->cache.modules.len;

	for (size_t i = 0; i < modules && r->lookups < WINDOW; i++, r->turn++) {
		struct cache_module *module = r->cache.modules.at[r->turn % modules];
		while (module && module->waiting.len && r->lookups < WINDOW) {
			int e = ask_module(r, module, err);
			if (!e)
				e = ask_lookup(r, module, err);
			if (e)
				return e;
		}
	}
	return 0;
}

/* How long to wait for the next message: a silence of one time limit, or PATIENCE of
 * them with nothing but progress. */
static int64_t deadline(const struct resolver *r)
{
	int64_t silent = r->heard_at + r->timeout_ms;
	int64_t idle = r->answered_at + (int64_t)PATIENCE * r->timeout_ms;

	return silent < idle ? silent : idle;
}

/* Until something has come, or for as long as whoever watches can go without a word. */
static int wait_some(struct resolver *r, bool watched, struct err *err)
{
	int64_t until = deadline(r), soon = clock_ms() + WATCHED_MS;
	int e = channel_wait(&r->channel, watched && soon < until ? soon : until, err);

	return e == -ETIMEDOUT && clock_ms() < until ? 0 : e;
}

/* Silence is borne for as long as nothing more urgent waits. */
static int check_patience(struct resolver *r, struct err *err)
{
	if (!r->enough || clock_ms() < r->heard_at + RESOLVER_SILENCE_MS ||
	    !r->enough(r->enough_arg))
		return 0;
	return err_set(err, -EAGAIN, "memtrace-fs did not answer within %g s",
		       (double)(clock_ms() - r->heard_at) / 1000);
}

/* Asks what waits and takes answers until no request is under way. */
static int converse(struct resolver *r, resolver_progress_fn *progress, void *arg,
		    struct err *err)
{
	struct err own;
	int e = 0;

	if (!r->alive)
		return lost(r, err);
	err = err ? err : &own;
	r->heard_at = r->answered_at = clock_ms();
	for (;;) {
		struct wire_message message;
		int n = 0;
		e = ask(r, err);
		if (e || !r->requests.len)
			break;
		e = wait_some(r, progress || r->enough, err);
		if (!e && !progress)
			e = check_patience(r, err);
		while (!e && (n = channel_next(&r->channel, &message, err)) > 0)
			e = resolver_take(r, &message, err);
		if (e || n < 0) {
			e = e ? e : n;
			break;
		}
		/* (while words of its keep coming, nobody else looks at the clock) */
		if (clock_ms() >= deadline(r)) {
			e = err_set(err, -ETIMEDOUT, "memtrace-fs does not answer");
			break;
		}
		if (progress && !progress(arg, r->done, r->wanted))
			return err_set(err, -ECANCELED, "nobody waits for the names");
	}
	r->wanted = r->done = 0;
	return e ? lose(r, err) : 0;
}

/* ---- beginning and end ------------------------------------------------------------------ */

/* HELLO out, WELCOME in. */
static int greet(struct resolver *r, struct err *err)
{
	struct wire_hello hello = {WIRE_VERSION, WIRE_VERSION, "memtrace " MEMTRACE_VERSION};
	struct wire_message message;
	struct wire_welcome welcome;
	struct wire_error error;
	int n, e;

	wire_write_hello(&r->channel.out, ++r->last_id, &hello);
	r->heard_at = r->answered_at = clock_ms();
	while ((n = channel_next(&r->channel, &message, err)) == 0) {
		e = wait_some(r, r->enough, err);
		if (!e)
			e = check_patience(r, err);
		if (e)
			return e;
	}
	if (n < 0)
		return n;
	if (message.type == WIRE_ERROR && !wire_read_error(&message, &error, err))
		return err_set(err, -EPROTO, "memtrace-fs: %s", error.text);
	if (message.type != WIRE_WELCOME)
		return err_set(err, -EPROTO, "memtrace-fs does not greet");
	e = wire_read_welcome(&message, &welcome, err);
	if (!e && welcome.version != WIRE_VERSION)
		e = err_set(err, -EPROTO, "%s speaks protocol version %u, this memtrace %u",
			    welcome.program, welcome.version, WIRE_VERSION);
	return e;
}

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
	r->say = options->say;
	r->say_arg = options->say_arg;
	r->enough = options->enough;
	r->enough_arg = options->enough_arg;
	e = channel_init(&r->channel, fd, err);
	if (e)
		close(fd);
	else
		e = greet(r, err);
	if (e) {
		if (r->channel.fd >= 0)
			lose(r, err);
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
		hang_up(r);
	child_end(&r->child, END_GRACE_MS);
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
		lose(r, &err);
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
	e = greet(r, err);
	return e ? lose(r, err) : 0;
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
		return lost(r, err);
	if (id->instance >= WIRE_MAX_MODULES)
		return err_set(err, -ERANGE, "too many modules to name them all");
	module = cache_module(&r->cache, id);
	if (!module)
		return err_set(err, -ENOMEM, "no memory for names");
	e = ask_module(r, module, err);
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
	return converse(r, progress, arg, err);
}

int resolver_load(struct resolver *r, const struct resolver_module *module,
		  const uint64_t *offsets, size_t count, resolver_progress_fn *progress,
		  void *arg, struct err *err)
{
	int e = resolver_want(r, module, offsets, count, err);

	return e ? e : converse(r, progress, arg, err);
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
		struct request *request = request_new(r, WIRE_SYMBOLS, module);
		if (!request)
			return lose(r, &(struct err){-ENOMEM, "no memory for names"});
		request->count = wire_write_symbols(&r->channel.out, request->id, id->instance,
						    names + asked, count - asked);
		request->values = values + asked;
		request->sizes = sizes ? sizes + asked : NULL;
		asked += request->count;
		if (!request->count)
			break;
	}
	return converse(r, NULL, NULL, err);
}

int resolver_rows(struct resolver *r, const struct resolver_module *id, const uint64_t *vaddrs,
		  size_t count, struct row *rows, struct err *err)
{
	int e = resolver_want(r, id, NULL, 0, err);
	struct cache_module *module = e ? NULL : cache_module_find(&r->cache, id->instance);

	if (e)
		return e;
	memset(rows, 0, count * sizeof(*rows)); /* ROW_CFA_NONE */
	for (size_t asked = 0; asked < count;) {
		struct request *request = request_new(r, WIRE_ROWS, module);
		size_t left = count - asked;
		if (!request)
			return lose(r, &(struct err){-ENOMEM, "no memory for rows"});
		request->count = left < WIRE_MAX_OFFSETS ? (uint32_t)left : WIRE_MAX_OFFSETS;
		request->rows = rows + asked;
		wire_write_numbers(&r->channel.out, request->id, WIRE_ROWS, id->instance,
				   vaddrs + asked, request->count);
		asked += request->count;
	}
	return converse(r, NULL, NULL, err);
}

int resolver_want_unwind(struct resolver *r, const struct resolver_module *id,
			 resolver_row_fn *visit, void *arg, struct err *err)
{
	int e = resolver_want(r, id, NULL, 0, err);
	struct request *request;

	if (e)
		return e;
	request = request_new(r, WIRE_UNWIND, cache_module_find(&r->cache, id->instance));
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
	request = request_new(r, WIRE_RULES, cache_module_find(&r->cache, id->instance));
	if (!request)
		return err_set(err, -ENOMEM, "no memory for unwind data");
	request->count = WIRE_MAX_RULES;
	request->take = take;
	request->arg = arg;
	wire_write_range(&r->channel.out, request->id, WIRE_RULES,
			 &(struct wire_range){id->instance, 0, UINT64_MAX});
	return 0;
}
