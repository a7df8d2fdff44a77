/*
 * poll() over all connections; each gets a turn when it is readable, writable, or has a
 * whole message that was received already.
 */
#include "serve/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int server_add(struct server *server, int fd, struct err *err)
{
	struct connection *connection = connection_create(&server->service, fd);

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
	connection_destroy(server->connections.at[index]);
	server->connections.at[index] = server->connections.at[--server->connections.len];
}

int server_run(struct server *server, struct err *err)
{
	VEC(struct pollfd) fds = {};
	int e = 0;

	while (!e && server->connections.len) {
		size_t count = server->connections.len;
		int timeout = -1;
		if (!vec_reserve(&fds, count)) {
			e = err_set(err, -ENOMEM, "no memory to wait for connections");
			break;
		}
		for (size_t i = 0; i < count; i++) {
			struct connection *connection = server->connections.at[i];
			fds.at[i] = (struct pollfd){connection->fd,
						    connection_events(connection), 0};
			if (connection_is_ready(connection))
				timeout = 0;
		}
		if (poll(fds.at, count, timeout) < 0 && errno != EINTR)
			e = err_sys(err, -errno, "cannot wait for connections");
		for (size_t i = count; !e && i--;)
			if (!connection_serve(server->connections.at[i], fds.at[i].revents))
				remove_at(server, i);
	}
	vec_deinit(&fds);
	return e;
}

void server_deinit(struct server *server)
{
	while (server->connections.len)
		remove_at(server, server->connections.len - 1);
	vec_deinit(&server->connections);
	shelf_deinit(&server->service.shelf);
}
