/*
 * Messages of one client, answered in order.  The table below is the server's whole
 * repertoire.  A turn handles few messages, so that a client with many questions does not
 * keep the others waiting.
 */
#include "serve/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "serve/store.h"
#include "symbols/channel.h"

enum {
	READ_BYTES = 64 << 10,
	MAX_UNSENT = 1 << 20, /* answers that wait: beyond, no more questions are taken */
	MESSAGES_PER_TURN = 4,
	HTTP_CHUNK = 256 << 10,
	GREETING_MS = 10000, /* from the connection to the whole HELLO */
	STUCK_MS = 60000,    /* within a message, or an answer that is not taken */
	TELL_MS = 1000,
	MAX_MODULES = 4096, /* of one client */
};

struct connection *connection_create(struct service *service, int fd, const char *from)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c) {
		c->service = service;
		c->fd = fd;
		c->moved_at = channel_now();
		snprintf(c->from, sizeof(c->from), "%s", from ? from : "");
	}
	return c;
}

void connection_destroy(struct connection *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->modules.len; i++)
		shelf_put(&c->service->shelf, c->modules.at[i]);
	vec_deinit(&c->modules);
	vec_deinit(&c->in);
	wire_out_deinit(&c->out);
	http_deinit(&c->http);
	close(c->fd);
	free(c);
}

static size_t unsent(const struct connection *c)
{
	return c->out.bytes.len - c->sent;
}

/* False: the client has gone, or there was no memory for its answers. */
static bool flush(struct connection *c)
{
	while (!c->out.bad && unsent(c)) {
		ssize_t n = send(c->fd, c->out.bytes.at + c->sent, unsent(c),
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		c->sent += (size_t)n;
		c->moved_at = channel_now();
	}
	vec_clear(&c->out.bytes);
	c->sent = 0;
	return !c->out.bad;
}

/* "what: more" */
static void say(struct connection *c, void (*words)(void *arg, const char *text),
		const char *what, const char *more)
{
	char text[2048];

	if (!words)
		return;
	snprintf(text, sizeof(text), "%s: %s", what, more);
	words(c->service->log_arg, text);
}

static void say_log(struct connection *c, const char *what, const char *more)
{
	say(c, c->service->log, what, more);
}

/* ---- the answers ---------------------------------------------------------------------------
 */

/* While something takes long: tell the client, which may be near its time limit. */
static void say_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct connection *c = arg;

	wire_write_progress(&c->out, c->request, &(struct wire_progress){done, total, what});
	flush(c);
}

static int on_hello(struct connection *c, const struct wire_message *message, struct err *err)
{
	struct wire_welcome welcome = {.version = WIRE_VERSION,
				       .program = "memtrace-fs " MEMTRACE_VERSION};
	const char *const *dir = c->service->dirs;
	struct wire_hello hello;
	int e = wire_read_hello(message, &hello, err);

	if (e)
		return e;
	if (hello.oldest > WIRE_VERSION || hello.newest < WIRE_VERSION)
		return err_set(
			err, -EPROTONOSUPPORT,
			"%s speaks protocol versions %u to %u, memtrace-fs " MEMTRACE_VERSION
			" speaks %u",
			hello.program, hello.oldest, hello.newest, WIRE_VERSION);
	for (; dir && *dir && welcome.dir_count < WIRE_MAX_DIRS; dir++)
		welcome.dirs[welcome.dir_count++] = *dir;
	wire_write_welcome(&c->out, message->request, &welcome);
	c->state = CONNECTION_SERVING;
	return 0;
}

/* Whether it is under one of the client's handles. */
static bool has(const struct connection *c, const struct debuginfo *info)
{
	for (size_t i = 0; i < c->modules.len; i++)
		if (c->modules.at[i] == info)
			return true;
	return false;
}

/* Puts info (may be NULL) under a handle, in place of what stood there. */
static int store(struct connection *c, uint32_t handle, struct debuginfo *info, struct err *err)
{
	struct debuginfo *before;

	if (!vec_reserve(&c->modules, (size_t)handle + 1)) {
		shelf_put(&c->service->shelf, info);
		return err_set(err, -ENOMEM, "no memory for a module");
	}
	while (c->modules.len <= handle)
		c->modules.at[c->modules.len++] = NULL;
	before = c->modules.at[handle];
	c->different += info && !has(c, info);
	c->modules.at[handle] = info;
	c->different -= before && !has(c, before);
	shelf_put(&c->service->shelf, before);
	return 0;
}

/* The module, if the client may have it besides those that it has. */
static int take(struct connection *c, const struct search_for *who,
		const struct debuginfo_options *options, struct debuginfo **ret,
		struct err *err)
{
	int e = shelf_take(&c->service->shelf, who, options, ret, err);

	if (e || c->different < MAX_MODULES || has(c, *ret))
		return e;
	shelf_put(&c->service->shelf, *ret);
	return err_set(err, -EMFILE, "no more than %d different modules are served to one",
		       MAX_MODULES);
}

static int on_module(struct connection *c, const struct wire_message *message, struct err *err)
{
	struct debuginfo_options options = c->service->debuginfo;
	struct wire_module_info answer;
	struct wire_module module;
	struct debuginfo *info;
	struct search_for who;
	int e = wire_read_module(message, &module, err);

	if (e)
		return e;
	options.say = say_progress;
	options.say_arg = c;
	who = (struct search_for){
		.path = module.path,
		.build_id = module.build_id,
		.build_id_len = module.build_id_len,
		/* Another machine's process numbers mean nothing here. */
		.pid = options.dirs.local ? module.pid : 0,
		.fingerprint = module.fingerprint,
		.fingerprint_len =
			(uint8_t)(module.fingerprint_len > UINT8_MAX ? UINT8_MAX
								     : module.fingerprint_len),
		.debuglink = module.debuglink,
		.debuglink_crc = module.debuglink_crc,
	};
	e = take(c, &who, &options, &info, err);
	if (e) { /* nor does the handle stand for what it stood for */
		if (module.handle < c->modules.len)
			store(c, module.handle, NULL, NULL);
		return e;
	}
	e = store(c, module.handle, info, err);
	if (e)
		return e;
	answer = (struct wire_module_info){module.handle, debuginfo_names(info),
					   debuginfo_source(info), debuginfo_remark(info)};
	wire_write_module_info(&c->out, message->request, &answer);
	say_log(c, module.path, answer.source ? answer.source : "no names");
	if (answer.remark)
		say(c, c->service->warn, module.path, answer.remark);
	return 0;
}

/* Begins the answer of `type` about the module of a handle.  NULL: there is none, and the
 * request has been answered. */
static struct debuginfo *begin(struct connection *c, const struct wire_message *message,
			       enum wire_type type, uint32_t handle, struct wire_answer *answer)
{
	struct debuginfo *info = handle < c->modules.len ? c->modules.at[handle] : NULL;

	if (info)
		wire_answer_begin(answer, &c->out, message->request, type, handle);
	else
		wire_write_error(&c->out, message->request, WIRE_CODE_MODULE,
				 "no module of this number was introduced");
	return info;
}

static void answer_frames(struct debuginfo *info, uint64_t vaddr, struct wire_answer *answer)
{
	struct wire_frame frames[WIRE_MAX_INLINED];
	size_t count = debuginfo_frames(info, vaddr, frames, WIRE_MAX_INLINED);

	wire_answer_frames(answer, frames, count);
}

static void answer_row(struct debuginfo *info, uint64_t vaddr, struct wire_answer *answer)
{
	struct row row;

	debuginfo_row(info, vaddr, &row);
	wire_answer_row(answer, &row);
}

/* A list of addresses, each answered by itself. */
static int on_numbers(struct connection *c, const struct wire_message *message,
		      enum wire_type type,
		      void (*each)(struct debuginfo *, uint64_t, struct wire_answer *),
		      struct err *err)
{
	struct wire_numbers numbers;
	struct wire_answer answer;
	struct debuginfo *info;
	int e = wire_read_numbers(message, &numbers, err);

	info = e ? NULL : begin(c, message, type, numbers.handle, &answer);
	if (!info)
		return e;
	for (uint32_t i = 0; i < numbers.count; i++)
		each(info, wire_number(&numbers, i), &answer);
	wire_answer_end(&answer);
	return 0;
}

static int on_lookup(struct connection *c, const struct wire_message *message, struct err *err)
{
	return on_numbers(c, message, WIRE_FRAMES, answer_frames, err);
}

static int on_rows(struct connection *c, const struct wire_message *message, struct err *err)
{
	return on_numbers(c, message, WIRE_ROW_TABLE, answer_row, err);
}

static int on_symbols(struct connection *c, const struct wire_message *message, struct err *err)
{
	struct wire_names_list names;
	struct wire_answer answer;
	struct debuginfo *info;
	int e = wire_read_symbols(message, &names, err);

	info = e ? NULL : begin(c, message, WIRE_VALUES, names.handle, &answer);
	if (!info)
		return e;
	for (uint32_t i = 0; i < names.count; i++) {
		uint64_t value = 0, size = 0;
		debuginfo_symbol(info, wire_next_text(&names.texts), &value, &size);
		wire_answer_value(&answer, value, size);
	}
	wire_answer_end(&answer);
	return 0;
}

struct unwind_answer {
	struct wire_answer answer;
	uint32_t count;
};

static bool answer_unwind(void *arg, uint64_t vaddr, const struct row *row)
{
	struct unwind_answer *unwind = arg;

	wire_answer_unwind(&unwind->answer, vaddr, row);
	return ++unwind->count == WIRE_MAX_UNWIND;
}

static int on_unwind(struct connection *c, const struct wire_message *message, struct err *err)
{
	struct unwind_answer unwind = {};
	struct wire_range range;
	struct debuginfo *info;
	int e = wire_read_range(message, &range, err);

	info = e ? NULL : begin(c, message, WIRE_UNWIND_TABLE, range.handle, &unwind.answer);
	if (!info)
		return e;
	debuginfo_unwind(info, range.begin, range.end, answer_unwind, &unwind);
	wire_answer_end(&unwind.answer);
	return 0;
}

static int on_rules(struct connection *c, const struct wire_message *message, struct err *err)
{
	struct cfi_bytes bytes = {};
	struct wire_answer answer;
	struct wire_range range;
	struct debuginfo *info;
	int e = wire_read_range(message, &range, err);

	info = e ? NULL : begin(c, message, WIRE_RULE_TABLE, range.handle, &answer);
	if (!info)
		return e;
	debuginfo_rules(info, range.begin, range.end, WIRE_MAX_RULES, &bytes);
	wire_answer_bytes(&answer, bytes.at, bytes.len);
	wire_answer_end(&answer);
	vec_deinit(&bytes);
	return 0;
}

static int on_error(struct connection *c, const struct wire_message *message, struct err *err)
{
	struct wire_error error;
	int e = wire_read_error(message, &error, err);

	if (!e) {
		say_log(c, "the client says", error.text);
		c->state = CONNECTION_LEAVING;
	}
	return e;
}

static int (*const answers[])(struct connection *, const struct wire_message *,
			      struct err *) = {
	[WIRE_HELLO] = on_hello,     [WIRE_MODULE] = on_module, [WIRE_LOOKUP] = on_lookup,
	[WIRE_SYMBOLS] = on_symbols, [WIRE_ROWS] = on_rows,	[WIRE_ERROR] = on_error,
	[WIRE_UNWIND] = on_unwind,   [WIRE_RULES] = on_rules,
};

/* It may pass, and is no fault of the client's: the connection stays. */
static bool is_shortage(int e)
{
	return e == -ENOMEM || e == -EMFILE;
}

static enum wire_code code_of(int e)
{
	return e == -EPROTONOSUPPORT ? WIRE_CODE_VERSION
	       : is_shortage(e)	     ? WIRE_CODE_MEMORY
				     : WIRE_CODE_PROTOCOL;
}

static void handle(struct connection *c, const struct wire_message *message)
{
	bool greeting = c->state == CONNECTION_GREETING;
	struct err err;
	int e;

	c->request = message->request;
	if (greeting != (message->type == WIRE_HELLO))
		e = err_set(&err, -EPROTO, "message %s is not expected here",
			    wire_type_name(message->type));
	else
		e = answers[message->type](c, message, &err);
	if (!e)
		return;
	wire_write_error(&c->out, message->request, code_of(e), err.text);
	if (is_shortage(e)) {
		say_log(c, "a client is refused", err.text);
		return;
	}
	say(c, e == -EPROTONOSUPPORT ? c->service->warn : c->service->log,
	    "a client is sent away", err.text);
	c->state = CONNECTION_LEAVING;
}

/* ---- the loop's side ------------------------------------------------------------- */

/* Whether it may be read from and answered. */
static bool is_open(const struct connection *c)
{
	return c->state != CONNECTION_LEAVING && !c->indexing && unsent(c) < MAX_UNSENT;
}

short connection_events(const struct connection *c)
{
	short events = unsent(c) ? POLLOUT : 0;

	/* One request per connection of HTTP: what follows it is nobody's. */
	return is_open(c) && !http_has_more(&c->http) ? events | POLLIN : events;
}

static bool store_is_indexing(const struct connection *c)
{
	struct store *store = c->service->debuginfo.dirs.store;

	return store && !store_is_ready(store, NULL);
}

bool connection_is_ready(const struct connection *c)
{
	struct wire_message message;

	if (c->indexing)
		return !store_is_indexing(c);
	if (c->state == CONNECTION_HTTP)
		return http_has_more(&c->http) && !unsent(c);
	return is_open(c) && wire_read(c->in.at, c->in.len, WIRE_CLIENT, &message, NULL) != 0;
}

/* Receives what is there.  False: the client has gone. */
static bool receive(struct connection *c)
{
	ssize_t n;

	/* A whole message waits already: it is handled before more is read. */
	if (connection_is_ready(c))
		return true;
	if (!vec_reserve(&c->in, c->in.len + READ_BYTES))
		return false;
	n = recv(c->fd, c->in.at + c->in.len, READ_BYTES, MSG_DONTWAIT);
	if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK))
		return true;
	if (n <= 0)
		return false;
	if (!c->in.len)
		c->moved_at = channel_now();
	c->in.len += (size_t)n;
	return true;
}

/* Must the message wait until the directories have been read? */
static bool needs_index(struct connection *c, const struct wire_message *message)
{
	c->indexing = message->type == WIRE_MODULE && store_is_indexing(c);
	if (c->indexing)
		c->request = message->request;
	return c->indexing;
}

/* Handles the messages at the front of what was received. */
static void handle_some(struct connection *c)
{
	struct wire_message message;
	struct err err;
	size_t taken = 0;
	int64_t n = 0;

	for (int i = 0; i < MESSAGES_PER_TURN && is_open(c); i++) {
		n = wire_read(c->in.at + taken, c->in.len - taken, WIRE_CLIENT, &message, &err);
		if (n <= 0 || needs_index(c, &message))
			break;
		taken += (size_t)n;
		handle(c, &message);
	}
	if (n < 0) {
		wire_write_error(&c->out, 0, WIRE_CODE_PROTOCOL, err.text);
		say_log(c, "a client is sent away", err.text);
		c->state = CONNECTION_LEAVING;
	}
	c->in.len -= taken;
	if (taken) {
		memmove(c->in.at, c->in.at + taken, c->in.len);
		c->moved_at = channel_now();
	}
}

/* The first four bytes of a HELLO are its length: far below "GET ". */
static bool speaks_http(const struct connection *c)
{
	return c->state == CONNECTION_GREETING && c->in.len >= 4 &&
	       (!memcmp(c->in.at, "GET ", 4) || !memcmp(c->in.at, "HEAD", 4));
}

static void serve_http(struct connection *c)
{
	const struct search_dirs *dirs = &c->service->debuginfo.dirs;

	c->state = CONNECTION_HTTP;
	if (!http_has_more(&c->http)) {
		size_t len = http_request_length(c->in.at, c->in.len);
		if (!len)
			return;
		c->indexing = store_is_indexing(c);
		if (c->indexing)
			return;
		http_begin(&c->http, c->in.at, len, dirs, &c->out);
		say_log(c, "http", c->http.words);
	}
	if (unsent(c) < HTTP_CHUNK && !http_read(&c->http, HTTP_CHUNK, &c->out))
		c->state = CONNECTION_LEAVING;
}

bool connection_tick(struct connection *c, int64_t now)
{
	struct store *store = c->service->debuginfo.dirs.store;
	uint64_t files;
	char text[64];

	if (c->indexing && c->state == CONNECTION_SERVING && now - c->told_at >= TELL_MS) {
		c->told_at = now;
		store_is_ready(store, &files);
		snprintf(text, sizeof(text), "indexing the directories: %llu files",
			 (unsigned long long)files);
		say_progress(c, text, files, 0);
	}
	if (c->indexing)
		return true;
	if (c->state == CONNECTION_GREETING)
		return now - c->moved_at < GREETING_MS;
	if (!c->in.len && !unsent(c))
		return true;
	return now - c->moved_at < STUCK_MS;
}

bool connection_serve(struct connection *c, short revents)
{
	if ((revents & (POLLERR | POLLNVAL)) || ((revents & POLLHUP) && !(revents & POLLIN)))
		return false;
	if (c->indexing)
		c->indexing = store_is_indexing(c);
	if ((revents & POLLIN) && !receive(c))
		return false;
	if (c->state == CONNECTION_HTTP || speaks_http(c))
		serve_http(c);
	else
		handle_some(c);
	if (!flush(c))
		return false;
	return c->state != CONNECTION_LEAVING || unsent(c);
}
