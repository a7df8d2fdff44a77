/*
 * Each way to a server comes down to a connected socket, and that to a resolver; a server
 * that comes back gets the old resolver, which has kept what it learned.
 */
#include "cli/server_link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbols/discovery.h"

enum {
	CONNECT_MS = 5000, /* the first time, for a server the user named */
	FOUND_MS = 2000,   /* for one that answered a search */
	RETRY_MS = 500,	   /* the console waits meanwhile */
	SEARCH_MS = 1000,
	NEEDED_MS = 60000, /* for a call without which nothing can be followed or unwound */
	LAST_MS = 14000,   /* for names, at the end: memtrace-fs calls for 3 s, then again 10 s later */
	PAUSE_FIRST_MS = 500,
	PAUSE_LAST_MS = 30000,
};

/* How to get names when no option says it: a memtrace that was built for another machine,
 * or to be carried to one, has no memtrace-fs at its side. */
#ifdef MEMTRACE_SEARCHES
enum { SEARCHES = 1 };
#else
enum { SEARCHES = 0 };
#endif

void server_link_init(struct server_link *link, const struct options *options,
		      struct output *output)
{
	*link = (struct server_link){.options = options, .output = output, .listener = -1};
}

void server_link_deinit(struct server_link *link)
{
	if (link->listener >= 0)
		close(link->listener);
	resolver_destroy(link->resolver);
	link->resolver = NULL;
}

static void log_line(void *arg, const char *text)
{
	output_log(arg, "%s", text);
}

static struct resolver_options options_of(const struct server_link *link)
{
	return (struct resolver_options){
		.debug_dirs =
			link->options->debug_dirs.len ? link->options->debug_dirs.at : NULL,
		.debuginfod = link->options->debuginfod,
		.progress = output_wait,
		.progress_arg = link->output,
		.enough = link->enough,
		.enough_arg = link->enough_arg,
	};
}

/* A connected socket becomes the resolver, or goes on with it.  0 or -errno. */
static int greet(struct server_link *link, int fd, struct err *err)
{
	struct resolver_options options = options_of(link);
	bool again = link->resolver != NULL;
	int e = again ? resolver_reconnect(link->resolver, fd, err)
		      : resolver_connect(fd, &options, &link->resolver, err);

	if (e)
		return e;
	output_log(link->output, again ? "Connected again" : "Connected");
	link->lost_told = false;
	link->pause_ms = 0;
	return 0;
}

static int call(struct server_link *link, unsigned limit_ms, endpoint_log_fn *tell,
		struct err *err)
{
	int fd, e = endpoint_connect(&link->peer, limit_ms, tell, link->output, &fd, err);

	return e ? e : greet(link, fd, err);
}

/* The first who calls.  -errno: nobody does; *called: or it is no memtrace-fs. */
static int take_caller(struct server_link *link, int wait_ms, bool *called, struct err *err)
{
	char from[ENDPOINT_TEXT];
	int fd, e = endpoint_accept(link->listener, wait_ms, &fd, from, err);

	*called = !e;
	if (e)
		return e;
	output_log(link->output, "memtrace-fs calls from %s", from);
	return greet(link, fd, err);
}

/* Who is no memtrace-fs, or closes at once (somebody looks for open ports), is not who is
 * waited for. */
static int await_caller(struct server_link *link, int wait_ms, struct err *err)
{
	int64_t end = clock_ms() + wait_ms;
	bool called;

	for (;;) {
		int64_t left = end - clock_ms();
		int e = take_caller(link, left > 0 ? (int)left : 0, &called, err);

		if (!e || !called)
			return e;
		output_log(link->output, "%s: another one is waited for", err->text);
	}
}

/* ---- the four ways --------------------------------------------------------------------- */

static int open_child(struct server_link *link, struct err *err)
{
	struct resolver_options options = options_of(link);

	return resolver_start(&options, &link->resolver, err);
}

static int open_call(struct server_link *link, struct err *err)
{
	int e = endpoint_parse(link->options->connect, "--connect", &link->peer, err);

	link->has_peer = !e;
	return e ? e : call(link, CONNECT_MS, log_line, err);
}

static int open_listener(struct server_link *link, bool needed, struct err *err)
{
	struct endpoint at;
	int e = endpoint_parse(link->options->listen, "--listen", &at, err);

	if (!e)
		e = endpoint_listen(&at, log_line, link->output, &link->listener, err);
	if (e || !needed)
		return e;
	output_log(link->output,
		   "Waiting for memtrace-fs to connect (%d s at most): the process's files "
		   "don't say all that is needed",
		   NEEDED_MS / 1000);
	return await_caller(link, NEEDED_MS, err);
}

/* Whether the server that we are connected with has the program's file. */
static bool has_program(struct server_link *link, const struct resolver_module *program)
{
	const char *from;

	if (!program || resolver_want(link->resolver, program, NULL, 0, NULL) ||
	    resolver_wait(link->resolver, NULL, NULL, NULL))
		return false;
	from = resolver_source(link->resolver, program->instance);
	return from && strcmp(from, "none");
}

static void peer_is(struct server_link *link, const struct discovery_found *found)
{
	char text[ENDPOINT_TEXT];

	endpoint_text((const struct sockaddr *)&found->address, found->len, text);
	link->has_peer = !endpoint_parse(text, "memtrace-fs", &link->peer, NULL);
}

/* Tries one after the other; the first that has the program stays.  When none has it: the
 * first that answers at all. */
static int choose(struct server_link *link, const struct discovery_list *found,
		  const struct resolver_module *program, struct err *err)
{
	size_t best = found->len;
	int e = err_set(err, -ENOENT, "no memtrace-fs has answered");

	for (size_t i = 0; i < found->len; i++) {
		peer_is(link, &found->at[i]);
		e = call(link, FOUND_MS, log_line, err);
		if (e)
			continue;
		if (found->len == 1 || has_program(link, program))
			return 0;
		best = best < i ? best : i;
		resolver_destroy(link->resolver);
		link->resolver = NULL;
	}
	if (best == found->len)
		return e;
	output_log(link->output, "None of them has the program's file");
	peer_is(link, &found->at[best]);
	return call(link, FOUND_MS, log_line, err);
}

static int open_search(struct server_link *link, const struct resolver_module *program,
		       struct err *err)
{
	struct discovery_list found;
	int e = discovery_search(SEARCH_MS, log_line, link->output, &found, err);

	if (!e)
		e = choose(link, &found, program, err);
	vec_deinit(&found);
	return e;
}

/* What can be done without a server. */
static void warn_without(const struct server_link *link, const struct err *err, bool searched)
{
	output_warn(link->output, "%s; names are those of dynamic symbols only", err->text);
	if (searched)
		output_log(link->output, "To find names later: save FILE, or --format=snapshot "
					 "-o FILE; then memtrace-fs --report FILE DIR...");
}

static bool is_searching(const struct options *o)
{
	return o->autoconnect || (SEARCHES && !o->debug_dirs.len);
}

int server_link_connect(struct server_link *link, const struct resolver_module *program,
			bool needed, struct err *err)
{
	const struct options *o = link->options;

	if (o->connect)
		return open_call(link, err);
	if (o->listen)
		return open_listener(link, needed, err);
	if (is_searching(o))
		return open_search(link, program, err);
	return open_child(link, err);
}

void server_link_open(struct server_link *link, const struct resolver_module *program,
		      bool needed)
{
	const struct options *o = link->options;
	struct err err;

	if (!server_link_connect(link, program, needed, &err))
		return;
	warn_without(link, &err, o->connect || o->listen || is_searching(o));
	link->lost_told = true;
}

/* ---- later ----------------------------------------------------------------------------- */

static bool is_alive(const struct server_link *link)
{
	return link->resolver && resolver_is_alive(link->resolver, NULL);
}

bool server_link_is_remote(const struct server_link *link)
{
	return link->has_peer || link->listener >= 0;
}

bool server_link_is_chosen(const struct server_link *link)
{
	return server_link_is_remote(link) && (link->options->connect || link->options->listen);
}

int server_link_fd(const struct server_link *link)
{
	return is_alive(link) ? resolver_fd(link->resolver) : link->listener;
}

bool server_link_event(struct server_link *link)
{
	bool called;

	if (!is_alive(link))
		return take_caller(link, 0, &called, NULL) == 0;
	resolver_check(link->resolver);
	return false;
}

void server_link_tell(struct server_link *link)
{
	const char *why = "";

	if (!link->resolver || link->lost_told || resolver_is_alive(link->resolver, &why))
		return;
	link->lost_told = true;
	output_warn(link->output,
		    "memtrace-fs is lost: %s; other names are those of dynamic symbols", why);
}

unsigned server_link_pause(struct server_link *link)
{
	if (is_alive(link) || !link->has_peer)
		return 0;
	link->pause_ms = link->pause_ms ? 2 * link->pause_ms : PAUSE_FIRST_MS;
	if (link->pause_ms > PAUSE_LAST_MS)
		link->pause_ms = PAUSE_LAST_MS;
	return link->pause_ms;
}

bool server_link_retry(struct server_link *link)
{
	struct err err;

	return !is_alive(link) && link->has_peer && call(link, RETRY_MS, NULL, &err) == 0;
}

void server_link_await(struct server_link *link)
{
	struct err err;

	if (is_alive(link) || link->listener < 0) {
		server_link_retry(link);
		return;
	}
	output_log(link->output, "Waiting for memtrace-fs to connect (%d s at most)",
		   LAST_MS / 1000);
	if (await_caller(link, LAST_MS, &err))
		warn_without(link, &err, true);
}
