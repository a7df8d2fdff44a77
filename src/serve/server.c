/*
 * poll() over all connections and the workers; each connection gets a turn when it is readable,
 * writable, or has a whole message that was received already.  Nothing in a turn waits for a
 * peer, and debug information is read by others.
 */
#include "serve/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/file_index.h"

enum {
	TICK_MS = 1000,
	ACCEPT_PAUSE_MS = 20,
	TELL_SLOW_MS = 1000, /* an index that took longer is worth a word */
	DIAL_LIMIT_MS = 3000,
	DIAL_FIRST_MS = 250,
	DIAL_LAST_MS = 10000,
	/* The fixed places in the list of descriptors. */
	FD_LISTENER = 0,
	FD_INDEX,
	FD_ANNOUNCE,
	FD_WORKERS,
	FD_FIRST = FD_WORKERS + WORKERS_MAX,
};

void server_init(struct server *server)
{
	*server = (struct server){.listener = -1, .began = clock_ms()};
}

__attribute__((format(printf, 2, 3))) static void log_line(const struct server *server,
							   const char *format, ...)
{
	char text[256];
	va_list args;

	if (!server->log)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	server->log(server->log_arg, text);
}

/* ---- clients come and go ----------------------------------------------------------- */

int server_add(struct server *server, int fd, const char *from, struct err *err)
{
	struct connection *connection = connection_create(&server->service, fd, from);

	if (!connection) {
		close(fd);
		return err_set(err, -ENOMEM, "no memory for a connection");
	}
	if (!vec_push(&server->connections, connection)) {
		connection_destroy(connection);
		return err_set(err, -ENOMEM, "no memory for a connection");
	}
	return 0;
}

static void remove_at(struct server *server, size_t index)
{
	struct connection *connection = server->connections.at[index];
	bool greeted = *connection->from && connection->greeted;
	char from[ENDPOINT_TEXT];

	memcpy(from, connection->from, sizeof(from));
	connection_destroy(connection);
	server->connections.at[index] = server->connections.at[--server->connections.len];
	if (greeted)
		log_line(server, "Client %s has left", from);
	if (greeted && server->listener >= 0 && !server->connections.len)
		log_line(server, "Waiting for client to connect");
}

/* Half of the descriptors are for files. */
static size_t most_clients(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur / 2 > SERVER_MAX_CLIENTS)
		return SERVER_MAX_CLIENTS;
	return limit.rlim_cur / 2;
}

/* Room for one more: the client that has been silent longest goes.  It calls again when it
 * has a question; so nobody keeps others out by calling often and saying nothing. */
static void make_room(struct server *server)
{
	size_t oldest = 0;

	if (server->connections.len < most_clients())
		return;
	for (size_t i = 1; i < server->connections.len; i++)
		if (server->connections.at[i]->moved_at <
		    server->connections.at[oldest]->moved_at)
			oldest = i;
	remove_at(server, oldest);
}

static void accept_one(struct server *server)
{
	char from[ENDPOINT_TEXT];
	struct err err;
	int fd;

	make_room(server);
	if (endpoint_accept(server->listener, 0, &fd, from, &err)) {
		poll(NULL, 0, ACCEPT_PAUSE_MS); /* the listener may stay readable */
		return;
	}
	if (server_add(server, fd, from, &err))
		log_line(server, "%s", err.text);
}

/* Dials when it is time, with pauses that grow while nobody answers. */
static void dial(struct server *server, int64_t now)
{
	struct err err;
	int fd, e;

	if (!server->dial || server->connections.len || now < server->dial_at)
		return;
	e = endpoint_connect(server->dial, DIAL_LIMIT_MS,
			     server->dial_told ? NULL : server->log, server->log_arg, &fd,
			     &err);
	if (!e)
		e = server_add(server, fd, server->dial->host, &err);
	if (!e) {
		log_line(server, "Connected");
		server->dial_told = false;
		server->dial_pause_ms = DIAL_FIRST_MS;
		server->dial_at = now + DIAL_LIMIT_MS / 2;
		return;
	}
	if (!server->dial_told)
		log_line(server, "%s; trying again", err.text);
	server->dial_told = true;
	server->dial_pause_ms =
		server->dial_pause_ms ? 2 * server->dial_pause_ms : DIAL_FIRST_MS;
	if (server->dial_pause_ms > DIAL_LAST_MS)
		server->dial_pause_ms = DIAL_LAST_MS;
	server->dial_at = clock_ms() + server->dial_pause_ms;
}

/* ---- the loop ---------------------------------------------------------------------- */

/* Goes on with the index. */
static bool is_indexing(struct server *server)
{
	struct file_index *index = server->service.debuginfo.dirs.index;
	char *silent;
	bool ready;

	if (!index || server->indexed)
		return false;
	ready = file_index_step(index, &silent);
	if (silent)
		log_line(server, "%s: its file system does not answer: it is not served",
			 silent);
	free(silent);
	if (!ready)
		return true;
	if (clock_ms() - server->began >= TELL_SLOW_MS)
		log_line(server, "Indexed %llu files: %zu programs, libraries and debug files",
			 (unsigned long long)file_index_seen(index), file_index_count(index));
	server->indexed = true;
	return false;
}

static bool is_busy(const struct server *server)
{
	return server->connections.len || server->listener >= 0 || server->dial;
}

/* Whether somebody waits for an answer, who is told now and then that it takes long; or there
 * are processes whose end is to be seen. */
static bool is_working(const struct server *server)
{
	if (senders_count(&server->service.senders))
		return true;
	for (size_t i = 0; i < server->connections.len; i++)
		if (server->connections.at[i]->customer.state != WORK_NONE)
			return true;
	return false;
}

/* Fills fds; returns how long poll() may sleep. */
static int gather(struct server *server, struct pollfd *fds)
{
	struct file_index *index = server->service.debuginfo.dirs.index;
	bool indexing = is_indexing(server); /* our parent, too, is told how far it is */
	int retry_in = workers_gather(&server->service.workers, fds + FD_WORKERS);
	int timeout = server->listener < 0 && !server->dial && !indexing && !is_working(server)
			      ? -1
			      : TICK_MS;

	fds[FD_LISTENER] = (struct pollfd){server->listener, POLLIN, 0};
	fds[FD_INDEX] = (struct pollfd){indexing ? file_index_fd(index) : -1, POLLIN, 0};
	fds[FD_ANNOUNCE] = (struct pollfd){
		server->announce ? announce_fd(server->announce) : -1, POLLIN, 0};
	if (server->dial && server->dial_at - clock_ms() < TICK_MS)
		timeout = server->dial_at > clock_ms() ? (int)(server->dial_at - clock_ms())
			  : server->connections.len    ? TICK_MS
						       : 0;
	for (size_t i = 0; i < server->connections.len; i++) {
		struct connection *connection = server->connections.at[i];
		fds[FD_FIRST + i] =
			(struct pollfd){connection_fd(connection),
					connection_events(connection), 0};
		if (connection_is_ready(connection))
			timeout = 0;
	}
	return retry_in >= 0 && (timeout < 0 || timeout > retry_in) ? retry_in : timeout;
}

static void serve_all(struct server *server, const struct pollfd *fds, size_t count, bool tick)
{
	int64_t now = clock_ms();

	for (size_t i = count; i--;) {
		struct connection *connection = server->connections.at[i];
		bool greets = connection->state == CONNECTION_GREETING;

		if (!connection_serve(connection, fds[FD_FIRST + i].revents) ||
		    (tick && !connection_tick(connection, now))) {
			remove_at(server, i);
			continue;
		}
		if (greets && connection->state == CONNECTION_SERVING) {
			connection->greeted = true;
			if (*connection->from && !server->dial)
				log_line(server, "Client connected from %s", connection->from);
		}
	}
}

int server_run(struct server *server, struct err *err)
{
	VEC(struct pollfd) fds = {};
	int64_t ticked = 0;
	int e = 0;

	while (!e && is_busy(server)) {
		size_t count;
		bool tick;

		dial(server, clock_ms());
		count = server->connections.len;
		if (!vec_reserve(&fds, FD_FIRST + count)) {
			e = err_set(err, -ENOMEM, "no memory to wait for connections");
			break;
		}
		if (poll(fds.at, FD_FIRST + count, gather(server, fds.at)) < 0) {
			if (errno != EINTR)
				e = err_sys(err, -errno, "cannot wait for connections");
			continue;
		}
		tick = clock_ms() - ticked >= TICK_MS;
		if (tick) {
			ticked = clock_ms();
			if (server->announce)
				announce_join(server->announce);
		}
		senders_reap(&server->service.senders, server->service.log,
			     server->service.log_arg);
		workers_serve(&server->service.workers, fds.at + FD_WORKERS);
		serve_all(server, fds.at, count, tick);
		if (fds.at[FD_ANNOUNCE].revents)
			announce_answer(server->announce);
		if (fds.at[FD_LISTENER].revents)
			accept_one(server);
	}
	vec_deinit(&fds);
	return e;
}

void server_deinit(struct server *server)
{
	server->log = NULL;
	while (server->connections.len)
		remove_at(server, server->connections.len - 1);
	vec_deinit(&server->connections);
	workers_deinit(&server->service.workers);
	senders_end(&server->service.senders);
	announce_close(server->announce);
	if (server->listener >= 0)
		close(server->listener);
}
