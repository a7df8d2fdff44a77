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

#include "symbols/cache.h"
#include "symbols/channel.h"
#include "symbols/child.h"

enum {
	BATCH = 512, /* offsets per LOOKUP */
	WINDOW = 8,  /* LOOKUPs under way */
	DEFAULT_TIMEOUT_MS = 10000,
	PATIENCE = 6, /* time limits a server may fill with PROGRESS alone */
	END_GRACE_MS = 500,
};

struct request {
	uint32_t id;
	enum wire_type type;
	struct cache_module *module;
	uint32_t count;		      /* offsets or names asked about */
	uint32_t answered;	      /* the first ones of them */
	struct cache_entry **entries; /* LOOKUP: count of them, ours */
	uint64_t *values;	      /* SYMBOLS: where the answers go, the caller's */
	struct row *rows;	      /* ROWS: the same */
};

struct resolver {
	struct channel channel;
	struct child child;
	struct cache cache;
	VEC(struct request) requests;
	unsigned lookups; /* of these, LOOKUPs */
	uint32_t last_id;
	size_t turn;	     /* the module whose questions are asked next */
	size_t wanted, done; /* offsets since the last time all were answered */
	bool alive;
	char why[sizeof(((struct err *)0)->text)];
	unsigned timeout_ms;
	int64_t answered_at; /* when the last answer came */
	int64_t heard_at;    /* when the last message of any kind came */
	void (*say)(void *arg, const char *text);
	void *say_arg;
};

/* ---- the end of a connection -------------------------------------------------------- */

static void request_drop(struct resolver *r, size_t index)
{
	struct request *request = &r->requests.at[index];

	r->lookups -= request->type == WIRE_LOOKUP;
	free(request->entries);
	memmove(request, request + 1, (r->requests.len - index - 1) * sizeof(*request));
	r->requests.len--;
}

static void hang_up(struct resolver *r)
{
	r->alive = false;
	channel_deinit(&r->channel);
	while (r->requests.len)
		request_drop(r, r->requests.len - 1);
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
				  .path = module->id.path,
				  .build_id_len = module->id.build_id_len,
				  .build_id = module->id.build_id,
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

/* ---- taking answers ------------------------------------------------------------------- */

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

/* Whether a part of an answer fits its request: next in order, not too much. */
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

static int take_values(struct request *request, const struct wire_message *message,
		       struct err *err)
{
	struct wire_part part;
	uint64_t size;
	int e = wire_read_part(message, &part, err);

	if (!e)
		e = part_check(request, &part, err);
	for (uint32_t i = 0; !e && i < part.count; i++)
		request->values[request->answered++] = wire_next_value(&part, &size);
	return e;
}

static int take_rows(struct request *request, const struct wire_message *message,
		     struct err *err)
{
	struct wire_part part;
	int e = wire_read_part(message, &part, err);

	if (!e)
		e = part_check(request, &part, err);
	for (uint32_t i = 0; !e && i < part.count; i++)
		wire_next_row(&part, &request->rows[request->answered++]);
	return e;
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
	request->module->source = cache_text(&r->cache, info.source ? info.source : "none");
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
		request->module->source = "none";
	request->module->remark = cache_text(&r->cache, error.text);
	return 0;
}

static int take_progress(struct resolver *r, const struct wire_message *message,
			 struct err *err)
{
	struct wire_progress progress;
	int e = wire_read_progress(message, &progress, err);

	if (!e && r->say)
		r->say(r->say_arg, progress.what);
	return e;
}

/* Which message answers a request. */
static bool is_answer(enum wire_type type, uint16_t answer)
{
	return answer == WIRE_ERROR || (type == WIRE_MODULE && answer == WIRE_MODULE_INFO) ||
	       (type == WIRE_LOOKUP && answer == WIRE_FRAMES) ||
	       (type == WIRE_SYMBOLS && answer == WIRE_VALUES) ||
	       (type == WIRE_ROWS && answer == WIRE_ROW_TABLE);
}

static int take(struct resolver *r, const struct wire_message *message, struct err *err)
{
	struct request *request = NULL;
	size_t i;
	int e;

	r->heard_at = channel_now();
	if (message->type == WIRE_PROGRESS)
		return take_progress(r, message, err);
	r->answered_at = r->heard_at;
	for (i = 0; i < r->requests.len && !request; i++)
		if (r->requests.at[i].id == message->request)
			request = &r->requests.at[i--];
	if (message->type == WIRE_ERROR)
		e = take_error(r, request, message, err);
	else if (!request || !is_answer(request->type, message->type))
		e = err_set(err, -EPROTO, "memtrace-fs sent an answer to nothing");
	else if (message->type == WIRE_FRAMES)
		e = take_frames(r, request, message, err);
	else if (message->type == WIRE_VALUES)
		e = take_values(request, message, err);
	else if (message->type == WIRE_ROW_TABLE)
		e = take_rows(request, message, err);
	else
		e = take_info(r, request, message, err);
	if (e || (message->flags & WIRE_MORE))
		return e;
	if (request->answered != request->count)
		return err_set(err, -EPROTO, "memtrace-fs answered %u of %u questions",
			       request->answered, request->count);
	request_drop(r, i);
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

/* Asks what waits and takes answers until no request is under way. */
static int converse(struct resolver *r, void (*progress)(void *arg, size_t done, size_t count),
		    void *arg, struct err *err)
{
	struct err own;
	int e = 0;

	if (!r->alive)
		return lost(r, err);
	err = err ? err : &own;
	r->heard_at = r->answered_at = channel_now();
	for (;;) {
		struct wire_message message;
		int n = 0;
		e = ask(r, err);
		if (e || !r->requests.len)
			break;
		e = channel_wait(&r->channel, deadline(r), err);
		while (!e && (n = channel_next(&r->channel, &message, err)) > 0)
			e = take(r, &message, err);
		if (e || n < 0) {
			e = e ? e : n;
			break;
		}
		if (progress)
			progress(arg, r->done, r->wanted);
	}
	r->wanted = r->done = 0;
	return e ? lose(r, err) : 0;
}

/* ---- beginning and end ------------------------------------------------------------------ */

/* HELLO out, WELCOME in. */
static int greet(struct resolver *r, struct err *err)
{
	struct wire_hello hello = {WIRE_VERSION, WIRE_VERSION, "memtrace " MEMTRACE_VERSION};
	int64_t until = channel_now() + r->timeout_ms;
	struct wire_message message;
	struct wire_welcome welcome;
	struct wire_error error;
	int n, e;

	wire_write_hello(&r->channel.out, ++r->last_id, &hello);
	while ((n = channel_next(&r->channel, &message, err)) == 0) {
		e = channel_wait(&r->channel, until, err);
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
		complete = complete && vec_push(&args, "--debug-dir") && vec_push(&args, *dir);
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
		channel_flush(&r->channel, NULL);
	for (size_t i = 0; !e && i < count; i++) {
		size_t before = module->entry_count;
		if (!cache_entry(&r->cache, module, offsets[i]))
			return err_set(err, -ENOMEM, "no memory for names");
		r->wanted += module->entry_count - before;
	}
	return e;
}

int resolver_wait(struct resolver *r, void (*progress)(void *arg, size_t done, size_t count),
		  void *arg, struct err *err)
{
	return converse(r, progress, arg, err);
}

int resolver_load(struct resolver *r, const struct resolver_module *module,
		  const uint64_t *offsets, size_t count,
		  void (*progress)(void *arg, size_t done, size_t count), void *arg,
		  struct err *err)
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
		     const char *const *names, size_t count, uint64_t *values, struct err *err)
{
	int e = resolver_want(r, id, NULL, 0, err);
	struct cache_module *module = e ? NULL : cache_module_find(&r->cache, id->instance);
	size_t asked = 0;

	if (e)
		return e;
	memset(values, 0, count * sizeof(*values));
	while (asked < count) {
		struct request *request = request_new(r, WIRE_SYMBOLS, module);
		if (!request)
			return lose(r, &(struct err){-ENOMEM, "no memory for names"});
		request->count = wire_write_symbols(&r->channel.out, request->id, id->instance,
						    names + asked, count - asked);
		request->values = values + asked;
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
