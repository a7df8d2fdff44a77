/*
 * The conversation: questions go out as long as the window allows, answers are taken
 * (resolver_take.c), and each wait has an end.  After the first thing that goes wrong the
 * connection is given up for good.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "symbols/resolver_parts.h"

enum {
	WINDOW = 8,	  /* LOOKUPs under way */
	MAX_SILENCES = 6, /* time limits a server may fill with PROGRESS alone */
	WATCHED_MS = 250, /* whoever waits is told that often */
};

/* ---- the end of a connection -------------------------------------------------------- */

void resolver_hang_up(struct resolver *r)
{
	r->alive = false;
	channel_deinit(&r->channel);
	while (r->requests.len)
		resolver_drop(r, r->requests.len - 1);
}

int resolver_lose(struct resolver *r, struct err *err)
{
	int status;

	resolver_hang_up(r);
	/* A child that has gone by itself is there to be reaped at once; others are killed. */
	status = child_end(&r->child, err->code == -EPIPE ? RESOLVER_END_GRACE_MS : 0);
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

int resolver_lost(const struct resolver *r, struct err *err)
{
	return err_set(err, -ENOTCONN, "%s", r->why);
}

/* ---- questions and answers ---------------------------------------------------------- */

/* Puts as many waiting questions under way as the window allows. */
static int ask(struct resolver *r, struct err *err)
{
	size_t modules = r->cache.modules.len;

	for (size_t i = 0; i < modules && r->lookups < WINDOW; i++, r->turn++) {
		struct cache_module *module = r->cache.modules.at[r->turn % modules];
		while (module && module->waiting.len && r->lookups < WINDOW) {
			int e = resolver_ask_module(r, module, err);
			if (!e)
				e = resolver_ask_lookup(r, module, err);
			if (e)
				return e;
		}
	}
	return 0;
}

/* How long to wait for the next message: a silence of one time limit, or MAX_SILENCES of
 * them with nothing but progress. */
static int64_t deadline(const struct resolver *r)
{
	int64_t silent = r->heard_at + r->timeout_ms;
	int64_t idle = r->answered_at + (int64_t)MAX_SILENCES * r->timeout_ms;

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
static int check_timeouts(struct resolver *r, struct err *err)
{
	if (!r->enough || clock_ms() < r->heard_at + RESOLVER_SILENCE_MS ||
	    !r->enough(r->enough_arg))
		return 0;
	return err_set(err, -EAGAIN, "memtrace-fs did not answer within %g s",
		       (double)(clock_ms() - r->heard_at) / 1000);
}

int resolver_converse(struct resolver *r, resolver_progress_fn *progress, void *arg,
		      struct err *err)
{
	struct err own;
	int e = 0;

	if (!r->alive)
		return resolver_lost(r, err);
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
			e = check_timeouts(r, err);
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
	return e ? resolver_lose(r, err) : 0;
}

int resolver_greet(struct resolver *r, struct err *err)
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
			e = check_timeouts(r, err);
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
