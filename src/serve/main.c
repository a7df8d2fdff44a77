/* The program memtrace-fs: names for addresses, asked for over a connection. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "serve/serve_options.h"
#include "serve/server.h"

enum { DOWNLOAD_LIMIT_MS = 20000 };

static int complain(const struct err *err)
{
	fprintf(stderr, "memtrace-fs: %s\n", err->text);
	return 1;
}

static void print_log(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "memtrace-fs: %s\n", text);
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

static int serve(const struct serve_options *options, struct err *err)
{
	struct server server = {};
	struct debuginfo_options *debuginfo = &server.service.debuginfo;
	struct err why;
	int e = check_socket(options->fd, err);

	if (e)
		return e;
	raise_file_limit();
	debuginfo->dirs.debug_dirs = options->debug_dirs.at;
	debuginfo->dirs.local = true;
	server.service.log = options->verbose ? print_log : NULL;
	if (options->debuginfod &&
	    download_create(DOWNLOAD_LIMIT_MS, &debuginfo->download, &why))
		complain(&why);
	e = server_add(&server, options->fd, err);
	if (!e)
		e = server_run(&server, err);
	server_deinit(&server);
	download_destroy(debuginfo->download);
	return e;
}

int main(int argc, char *argv[])
{
	struct serve_options options;
	struct err err;
	int e = serve_options_read(argc, argv, &options, &err);

	if (e)
		return complain(&err);
	if (options.help)
		serve_options_print_help(stdout);
	else if (options.version)
		printf("memtrace-fs %s\n", MEMTRACE_VERSION);
	else if (options.fd < 0)
		e = err_set(&err, -EINVAL, "no connection to serve: memtrace gives it --fd=N");
	else
		e = serve(&options, &err);
	serve_options_deinit(&options);
	return e ? complain(&err) : 0;
}
