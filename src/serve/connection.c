/*
 * Messages of one client, answered in order.  What is about modules is asked of the workers
 * (workers.h), and stays at the front of what was received until it is answered.
 */
#include "serve/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/answers.h"
#include "serve/file_index.h"

enum {
	READ_BYTES = 64 << 10,
	MAX_UNSENT = 1 << 20, /* answers that wait: beyond, no more questions are taken */
	MESSAGES_PER_TURN = 4,
	GREETING_MS = 10000, /* from the connection to the whole HELLO, or head of a request */
	STUCK_MS = 60000,    /* within a message, or an answer that is not taken */
	TELL_MS = 1000,
};

struct connection *connection_create(struct service *service, int fd, const char *from)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (c && !customer_join(&service->workers, &c->customer, &c->out)) {
		free(c);
		c = NULL;
	}
	if (c) {
		c->service = service;
		c->fd = fd;
		c->moved_at = clock_ms();
		snprintf(c->from, sizeof(c->from), "%s", from ? from : "");
	}
	return c;
}

void connection_destroy(struct connection *c)
{
	if (!c)
		return;
	if (c->looker.pid)
		lookers_end(&c->service->lookers, &c->looker);
	customer_leave(&c->service->workers, &c->customer);
	vec_deinit(&c->in);
	wire_out_deinit(&c->out);
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
		c->moved_at = clock_ms();
	}
	vec_clear(&c->out.bytes);
	c->sent = 0;
	return !c->out.bad;
}

/* "what: more" */
static void log_with(struct connection *c, void (*log)(void *arg, const char *text),
		     const char *what, const char *more)
{
	char text[2048];

	if (!log)
		return;
	snprintf(text, sizeof(text), "%s: %s", what, more);
	log(c->service->log_arg, text);
}

static void log_line(struct connection *c, const char *what, const char *more)
{
	log_with(c, c->service->log, what, more);
}

/* ---- the answers ---------------------------------------------------------------------------
 */

/* While something takes long: tell the client, which may be near its time limit. */
static void send_progress(struct connection *c, const char *what, uint64_t done, uint64_t total)
{
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

static int on_error(struct connection *c, const struct wire_message *message, struct err *err)
{
	struct wire_error error;
	int e = wire_read_error(message, &error, err);

	if (!e) {
		log_line(c, "the client says", error.text);
		c->state = CONNECTION_LEAVING;
	}
	return e;
}

static enum wire_code code_of(int e)
{
	return e == -EPROTONOSUPPORT ? WIRE_CODE_VERSION : WIRE_CODE_PROTOCOL;
}

/* Handles what is not about modules. */
static void handle(struct connection *c, const struct wire_message *message)
{
	bool greeting = c->state == CONNECTION_GREETING;
	struct err err;
	int e;

	c->request = message->request;
	if (greeting != (message->type == WIRE_HELLO))
		e = err_set(&err, -EPROTO, "message %s is not expected here",
			    wire_type_name(message->type));
	else if (greeting)
		e = on_hello(c, message, &err);
	else
		e = on_error(c, message, &err);
	if (!e)
		return;
	wire_write_error(&c->out, message->request, code_of(e), err.text);
	log_with(c, e == -EPROTONOSUPPORT ? c->service->warn : c->service->log,
		 "a client is sent away", err.text);
	c->state = CONNECTION_LEAVING;
}

/* ---- the loop's side ------------------------------------------------------------- */

/* Whether it may be read from and answered. */
static bool is_open(const struct connection *c)
{
	return c->state != CONNECTION_LEAVING && !c->indexing && !c->looker.pid &&
	       c->customer.state == WORK_NONE && unsent(c) < MAX_UNSENT;
}

int connection_fd(const struct connection *c)
{
	return c->looker.pid ? c->looker.fd : c->fd;
}

short connection_events(const struct connection *c)
{
	short events = unsent(c) ? POLLOUT : 0;

	if (c->looker.pid)
		return POLLIN;
	return is_open(c) ? events | POLLIN : events;
}

static bool is_indexing(const struct connection *c)
{
	struct file_index *index = c->service->debuginfo.dirs.index;

	return index && !file_index_is_ready(index);
}

bool connection_is_ready(const struct connection *c)
{
	struct wire_message message;

	if (c->indexing)
		return !is_indexing(c);
	if (c->state == CONNECTION_HTTP)
		return false;
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
		c->moved_at = clock_ms();
	c->in.len += (size_t)n;
	return true;
}

/* Must the message wait until the directories have been read?  (Whatever it asks: a worker that
 * is begun has the index as it is then.) */
static bool needs_index(struct connection *c, const struct wire_message *message)
{
	c->indexing = client_is_asking(message->type) && is_indexing(c);
	if (c->indexing)
		c->request = message->request;
	return c->indexing;
}

/* The message at the front has been handled. */
static void drop_message(struct connection *c, size_t len)
{
	c->in.len -= len;
	memmove(c->in.at, c->in.at + len, c->in.len);
	c->moved_at = clock_ms();
}

/* ---- a look for leaks --------------------------------------------------------------------- */

static void refuse_look(struct connection *c, const struct wire_message *message,
			enum wire_code code, const char *why)
{
	wire_write_error(&c->out, message->request, code, why);
	log_line(c, "no look for leaks", why);
}

/* The message at the front, of len bytes: a process gets the socket, until it has ended. */
static int begin_look(struct connection *c, const struct wire_message *message, size_t len,
		      struct err *err)
{
	struct lookers *lookers = &c->service->lookers;
	uint64_t length;
	int e = wire_read_look(message, &length, err);

	if (e)
		return e;
	if (unsent(c) || c->in.len > len)
		return err_set(err, -EPROTO, "a LOOK comes alone");
	if (!lookers->limit)
		refuse_look(c, message, WIRE_CODE_UNSUPPORTED,
			    "memtrace-fs is on the same machine");
	else if (!lookers_begin(lookers, c->fd, message->request, length, &c->looker))
		refuse_look(c, message, WIRE_CODE_MEMORY,
			    "memtrace-fs looks for leaks in others already");
	else
		log_line(c, "looks for leaks", c->from);
	return 0;
}

/* It has ended.  False: nobody knows where in a message that was. */
static bool end_look(struct connection *c)
{
	const char *why = lookers_end(&c->service->lookers, &c->looker);

	if (why)
		log_line(c, "a look for leaks has failed", why);
	c->moved_at = clock_ms();
	return !why;
}

/* Handles the messages at the front of what was received, until one is a question. */
static void handle_some(struct connection *c)
{
	struct wire_message message;
	struct err err;
	int64_t n = 0;

	for (int i = 0; i < MESSAGES_PER_TURN && is_open(c); i++) {
		n = wire_read(c->in.at, c->in.len, WIRE_CLIENT, &message, &err);
		if (n <= 0 || needs_index(c, &message))
			break;
		if (c->state == CONNECTION_SERVING && message.type == WIRE_LOOK) {
			int e = begin_look(c, &message, (size_t)n, &err);

			if (e) {
				n = e;
				break;
			}
			drop_message(c, (size_t)n);
			continue;
		}
		if (c->state == CONNECTION_SERVING && client_is_asking(message.type)) {
			c->request = message.request;
			c->told_at = clock_ms();
			workers_ask(&c->service->workers, &c->customer, c->in.at, (size_t)n,
				    false);
			break;
		}
		handle(c, &message);
		drop_message(c, (size_t)n);
	}
	if (n < 0) {
		wire_write_error(&c->out, 0, WIRE_CODE_PROTOCOL, err.text);
		log_line(c, "a client is sent away", err.text);
		c->state = CONNECTION_LEAVING;
	}
}

/* The first four bytes of a HELLO are its length: far below "GET ". */
static bool speaks_http(const struct connection *c)
{
	return c->state == CONNECTION_GREETING && c->in.len >= 4 &&
	       (!memcmp(c->in.at, "GET ", 4) || !memcmp(c->in.at, "HEAD", 4));
}

/* One request per connection: what follows it is nobody's. */
static void serve_http(struct connection *c)
{
	size_t len = http_request_length(c->in.at, c->in.len);

	c->state = CONNECTION_HTTP;
	c->indexing = len && is_indexing(c);
	if (len && !c->indexing && c->customer.state == WORK_NONE)
		workers_ask(&c->service->workers, &c->customer, c->in.at, len, true);
}

static void end_http(struct connection *c)
{
	const struct customer *customer = &c->customer;
	char line[HTTP_LINE + 1];

	c->state = CONNECTION_LEAVING;
	if (customer->found &&
	    senders_begin(&c->service->senders, c->fd, c->in.at, customer->len,
			  &c->service->debuginfo.dirs, &customer->place))
		return;
	http_refuse(c->in.at, customer->len, &c->out);
	http_line(c->in.at, customer->len, line);
	log_line(c, "http: nothing is there", line);
}

/* The question at the front has been answered. */
static void end_question(struct connection *c)
{
	const struct customer *customer = &c->customer;

	if (customer->http)
		return end_http(c);
	drop_message(c, customer->len);
	if (customer->leave)
		c->state = CONNECTION_LEAVING;
}

bool connection_tick(struct connection *c, int64_t now)
{
	struct file_index *index = c->service->debuginfo.dirs.index;
	char text[64];

	if (c->indexing && c->state == CONNECTION_SERVING && now - c->told_at >= TELL_MS) {
		c->told_at = now;
		snprintf(text, sizeof(text), "indexing the directories: %llu files",
			 (unsigned long long)file_index_seen(index));
		send_progress(c, text, file_index_seen(index), 0);
	}
	if (c->customer.state != WORK_NONE && c->state == CONNECTION_SERVING &&
	    now - c->told_at >= TELL_MS) {
		c->told_at = now;
		send_progress(c, "reading debug information", 0, 0);
	}
	if (c->indexing || c->looker.pid || c->customer.state != WORK_NONE)
		return true;
	if (c->state == CONNECTION_GREETING || c->state == CONNECTION_HTTP)
		return now - c->moved_at < GREETING_MS;
	if (!c->in.len && !unsent(c))
		return true;
	return now - c->moved_at < STUCK_MS;
}

bool connection_serve(struct connection *c, short revents)
{
	if (c->looker.pid)
		return !revents || end_look(c);
	if ((revents & (POLLERR | POLLNVAL)) || ((revents & POLLHUP) && !(revents & POLLIN)))
		return false;
	if (c->indexing)
		c->indexing = is_indexing(c);
	if (customer_take(&c->customer))
		end_question(c);
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
