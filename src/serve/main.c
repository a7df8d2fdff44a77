/* The program memtrace-fs: names for addresses, asked for over a connection. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "report/utf8.h"
#include "serve/file_index.h"
#include "serve/offline_each.h"
#include "serve/serve_options.h"
#include "serve/server.h"

enum { DOWNLOAD_LIMIT_MS = 20000 };

static int complain(const struct err *err)
{
	fprintf(stderr, "memtrace-fs: %s\n", err->text);
	return 1;
}

/* Clients had a hand in it: it must not command the terminal. */
static void print_remark(const char *text)
{
	fputs("memtrace-fs: ", stderr);
	utf8_print(stderr, text);
	putc('\n', stderr);
}

static void print_log(void *arg, const char *text)
{
	(void)arg;
	print_remark(text);
}

/* The connection must be a socket, and is not for programs that libraries might start. */
static int check_socket(int fd, struct err *err)
{
	int type;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return err_sys(err, -errno, "--fd=%d", fd);
	if (type != SOCK_STREAM)
		return err_set(err, -EINVAL, "--fd=%d: not a stream socket", fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return 0;
}

/* A module takes up to four files: as many as we are allowed. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What everybody who started it by hand sees; a pipe as well, at once. */
static void print_line(void *arg, const char *text)
{
	(void)arg;
	printf("%s\n", text);
	fflush(stdout);
}

/* What the workers have to say. */
static void tell(void *arg, bool warning, const char *text)
{
	const struct service *service = arg;
	void (*words)(void *, const char *) = warning ? service->warn : service->log;

	if (words)
		words(service->log_arg, text);
}

static void setup(struct server *server, const struct serve_options *options)
{
	struct err why;

	server_init(server);
	server->service.log = options->verbose ? print_log : NULL;
	server->service.warn = server->service.log; /* our parent says it itself */
	server->service.workers.options = &server->service.debuginfo;
	server->service.workers.tell = tell;
	server->service.workers.arg = &server->service;
	if (options->debuginfod &&
	    download_create(DOWNLOAD_LIMIT_MS, &server->service.debuginfo.download, &why))
		complain(&why);
}

static void teardown(struct server *server)
{
	server_deinit(server);
	file_index_destroy(server->service.debuginfo.dirs.index);
	download_destroy(server->service.debuginfo.download);
}

/* The child of a memtrace on this machine. */
static int serve_parent(const struct serve_options *options, struct err *err)
{
	struct server server;
	int e = check_socket((int)options->fd, err);

	if (e)
		return e;
	raise_file_limit();
	setup(&server, options);
	server.service.dirs = server.service.debuginfo.dirs.debug_dirs = options->debug_dirs.at;
	server.service.debuginfo.dirs.local = !options->dirs.len;
	e = options->dirs.len ? file_index_create(options->dirs.at, false,
						  &server.service.debuginfo.dirs.index, err)
			      : 0;
	if (!e)
		e = server_add(&server, (int)options->fd, NULL, err);
	if (!e)
		e = server_run(&server, err);
	teardown(&server);
	return e;
}

static int open_listener(struct server *server, const struct serve_options *options,
			 struct err *err)
{
	struct endpoint any = {.port = ENDPOINT_PORT};
	const struct endpoint *at = options->listen_at ? &options->listen : &any;
	struct err why;
	int e = endpoint_listen(at, print_line, NULL, &server->listener, err);

	if (e || options->no_announce)
		return e;
	e = announce_open((uint16_t)atoi(at->port), options->interface, &server->announce,
			  &why);
	if (e == -ENODEV) {
		*err = why;
		return e;
	}
	if (e)
		complain(&why);
	return 0;
}

/* Of the machine's memory. */
static uint64_t quarter(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) / 4 * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int serve_network(const struct serve_options *options, struct err *err)
{
	struct search_dirs *dirs;
	struct server server;
	static const char *const none[] = {NULL};
	int e;

	setup(&server, options);
	dirs = &server.service.debuginfo.dirs;
	server.log = print_line;
	server.service.warn = print_log;
	server.service.dirs = options->dirs.at;
	server.service.lookers.limit = options->memory ? options->memory : quarter();
	dirs->debug_dirs = none;
	raise_file_limit();
	for (size_t i = 0; i < options->dirs.len; i++) {
		char text[4200];
		snprintf(text, sizeof(text), "Adding directory %s to search path",
			 options->dirs.at[i]);
		print_line(NULL, text);
	}
	e = file_index_create(options->dirs.at, true, &dirs->index, err);
	if (!e && options->connect_to)
		server.dial = &options->connect;
	else if (!e)
		e = open_listener(&server, options, err);
	if (!e && server.listener >= 0)
		print_line(NULL, "HTTP serves programs, debug files and the sources they name, "
				 "as far as everybody may read them");
	if (!e && server.listener >= 0)
		print_line(NULL, "Waiting for client to connect");
	if (!e)
		e = server_run(&server, err);
	teardown(&server);
	return e;
}

static int run(const struct serve_options *options, unsigned *failed, struct err *err)
{
	if (options->help)
		serve_options_help(stdout);
	else if (options->version)
		printf("memtrace-fs %s\n", MEMTRACE_VERSION);
	else if (options->dump)
		serve_options_dump(stdout);
	else if (options->report)
		return offline_all(options, print_remark, stdout, failed, err);
	else if (options->fd != NO_FD)
		return serve_parent(options, err);
	else
		return serve_network(options, err);
	return 0;
}

int main(int argc, char *argv[])
{
	struct serve_options options;
	unsigned failed = 0;
	struct err err;
	int e = serve_options_read(argc, argv, &options, &err);

	if (e)
		return complain(&err);
	e = run(&options, &failed, &err);
	serve_options_deinit(&options);
	return e ? complain(&err) : failed ? (int)options.error_exitcode : 0;
}
