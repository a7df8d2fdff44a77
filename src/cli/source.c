/*
 * Each way to a server comes down to a connected socket, and that to a resolver; a server
 * that comes back gets the old resolver, which has kept what it learned.
 */
#include "cli/source.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "symbols/channel.h"
#include "symbols/discovery.h"

enum {
	CONNECT_MS = 5000, /* the first time, for a server the user named */
	FOUND_MS = 2000,   /* for one that answered a search */
	RETRY_MS = 500,	   /* the console waits meanwhile */
	SEARCH_MS = 1000,
	NEEDED_MS = 60000, /* for a call without which nothing can be followed or unwound */
	LAST_MS = 12000,   /* for names, at the end: memtrace-fs calls every 10 s */
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

void source_init(struct source *source, const struct options *options, struct words *words)
{
	*source = (struct source){.options = options, .words = words, .listener = -1};
}

void source_deinit(struct source *source)
{
	if (source->listener >= 0)
		close(source->listener);
	resolver_destroy(source->resolver);
	source->resolver = NULL;
}

static void say(void *arg, const char *text)
{
	words_say(arg, "%s", text);
}

static struct resolver_options wish(const struct source *source)
{
	return (struct resolver_options){
		.debug_dirs =
			source->options->debug_dirs.len ? source->options->debug_dirs.at : NULL,
		.debuginfod = source->options->debuginfod,
		.say = words_wait,
		.say_arg = source->words,
		.enough = source->enough,
		.enough_arg = source->enough_arg,
	};
}

/* A connected socket becomes the resolver, or goes on with it.  0 or -errno. */
static int greet(struct source *source, int fd, struct err *err)
{
	struct resolver_options options = wish(source);
	bool again = source->resolver != NULL;
	int e = again ? resolver_reconnect(source->resolver, fd, err)
		      : resolver_connect(fd, &options, &source->resolver, err);

	if (e)
		return e;
	words_say(source->words, again ? "Connected again" : "Connected");
	source->lost_told = false;
	source->pause_ms = 0;
	return 0;
}

static int call(struct source *source, unsigned limit_ms, endpoint_say_fn *tell,
		struct err *err)
{
	int fd, e = endpoint_connect(&source->peer, limit_ms, tell, source->words, &fd, err);

	return e ? e : greet(source, fd, err);
}

/* The first who calls.  -errno: nobody does; *called: or it is no memtrace-fs. */
static int take_caller(struct source *source, int wait_ms, bool *called, struct err *err)
{
	char from[ENDPOINT_TEXT];
	int fd, e = endpoint_accept(source->listener, wait_ms, &fd, from, err);

	*called = !e;
	if (e)
		return e;
	words_say(source->words, "memtrace-fs calls from %s", from);
	return greet(source, fd, err);
}

/* Who is no memtrace-fs, or closes at once (somebody looks for open ports), is not who is waited
 * for. */
static int await_caller(struct source *source, int wait_ms, struct err *err)
{
	int64_t end = channel_now() + wait_ms;
	bool called;

	for (;;) {
		int64_t left = end - channel_now();
		int e = take_caller(source, left > 0 ? (int)left : 0, &called, err);

		if (!e || !called)
			return e;
		words_say(source->words, "%s: another one is waited for", err->text);
	}
}

/* ---- the four ways --------------------------------------------------------------------- */

static int open_child(struct source *source, struct err *err)
{
	struct resolver_options options = wish(source);

	return resolver_start(&options, &source->resolver, err);
}

static int open_call(struct source *source, struct err *err)
{
	int e = endpoint_parse(source->options->connect, "--connect", &source->peer, err);

	source->has_peer = !e;
	return e ? e : call(source, CONNECT_MS, say, err);
}

static int open_listener(struct source *source, bool needed, struct err *err)
{
	struct endpoint at;
	int e = endpoint_parse(source->options->listen, "--listen", &at, err);

	if (!e)
		e = endpoint_listen(&at, say, source->words, &source->listener, err);
	if (e || !needed)
		return e;
	words_say(source->words,
		  "Waiting for memtrace-fs to connect (%d s at most): the process's files "
		  "don't say all that is needed",
		  NEEDED_MS / 1000);
	return await_caller(source, NEEDED_MS, err);
}

/* Whether the server that we are connected with has the program's file. */
static bool has_program(struct source *source, const struct resolver_module *program)
{
	const char *from;

	if (!program || resolver_want(source->resolver, program, NULL, 0, NULL) ||
	    resolver_wait(source->resolver, NULL, NULL, NULL))
		return false;
	from = resolver_source(source->resolver, program->instance);
	return from && strcmp(from, "none");
}

static void peer_is(struct source *source, const struct discovery_found *found)
{
	char text[ENDPOINT_TEXT];

	endpoint_text((const struct sockaddr *)&found->address, found->len, text);
	source->has_peer = !endpoint_parse(text, "memtrace-fs", &source->peer, NULL);
}

/* Tries one after the other; the first that has the program stays.  When none has it: the
 * first that answers at all. */
static int choose(struct source *source, const struct discovery_list *found,
		  const struct resolver_module *program, struct err *err)
{
	size_t best = found->len;
	int e = err_set(err, -ENOENT, "no memtrace-fs has answered");

	for (size_t i = 0; i < found->len; i++) {
		peer_is(source, &found->at[i]);
		e = call(source, FOUND_MS, say, err);
		if (e)
			continue;
		if (found->len == 1 || has_program(source, program))
			return 0;
		best = best < i ? best : i;
		resolver_destroy(source->resolver);
		source->resolver = NULL;
	}
	if (best == found->len)
		return e;
	words_say(source->words, "None of them has the program's file");
	peer_is(source, &found->at[best]);
	return call(source, FOUND_MS, say, err);
}

static int open_search(struct source *source, const struct resolver_module *program,
		       struct err *err)
{
	struct discovery_list found;
	int e = discovery_search(SEARCH_MS, say, source->words, &found, err);

	if (!e)
		e = choose(source, &found, program, err);
	vec_deinit(&found);
	return e;
}

/* What can be done without a server. */
static void say_without(const struct source *source, const struct err *err, bool searched)
{
	words_warn(source->words, "%s; names are those of dynamic symbols only", err->text);
	if (searched)
		words_say(source->words, "Decode the report later: memtrace-fs --report FILE "
					 "DIR...");
}

static bool is_searching(const struct options *o)
{
	return o->autoconnect || (SEARCHES && !o->debug_dirs.len);
}

int source_connect(struct source *source, const struct resolver_module *program, bool needed,
		   struct err *err)
{
	const struct options *o = source->options;

	if (o->connect)
		return open_call(source, err);
	if (o->listen)
		return open_listener(source, needed, err);
	if (is_searching(o))
		return open_search(source, program, err);
	return open_child(source, err);
}

void source_open(struct source *source, const struct resolver_module *program, bool needed)
{
	const struct options *o = source->options;
	struct err err;

	if (!source_connect(source, program, needed, &err))
		return;
	say_without(source, &err, o->connect || o->listen || is_searching(o));
	source->lost_told = true;
}

/* ---- later ----------------------------------------------------------------------------- */

static bool is_alive(const struct source *source)
{
	return source->resolver && resolver_is_alive(source->resolver, NULL);
}

bool source_is_remote(const struct source *source)
{
	return source->has_peer || source->listener >= 0;
}

int source_fd(const struct source *source)
{
	return is_alive(source) ? resolver_fd(source->resolver) : source->listener;
}

bool source_event(struct source *source)
{
	bool called;

	if (!is_alive(source))
		return take_caller(source, 0, &called, NULL) == 0;
	resolver_check(source->resolver);
	return false;
}

void source_tell(struct source *source)
{
	const char *why = "";

	if (!source->resolver || source->lost_told || resolver_is_alive(source->resolver, &why))
		return;
	source->lost_told = true;
	words_warn(source->words,
		   "memtrace-fs is lost: %s; other names are those of dynamic symbols", why);
}

unsigned source_pause(struct source *source)
{
	if (is_alive(source) || !source->has_peer)
		return 0;
	source->pause_ms = source->pause_ms ? 2 * source->pause_ms : PAUSE_FIRST_MS;
	if (source->pause_ms > PAUSE_LAST_MS)
		source->pause_ms = PAUSE_LAST_MS;
	return source->pause_ms;
}

bool source_retry(struct source *source)
{
	struct err err;

	return !is_alive(source) && source->has_peer && call(source, RETRY_MS, NULL, &err) == 0;
}

void source_await(struct source *source)
{
	struct err err;

	if (is_alive(source) || source->listener < 0) {
		source_retry(source);
		return;
	}
	words_say(source->words, "Waiting for memtrace-fs to connect (%d s at most)",
		  LAST_MS / 1000);
	if (await_caller(source, LAST_MS, &err))
		say_without(source, &err, true);
}
