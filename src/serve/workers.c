/* Who asks which worker, and when another one is begun.  Nothing here waits for one. */
#include "serve/workers.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "serve/process_end.h"
#include "serve/worker.h"
#include "serve/workers_parts.h"

enum {
	SHARE_MS = 300,
	LOOK_MS = 100,	     /* how often it is looked whether somebody waits too long */
	STUCK_MS = 6000,
	MAX_KEPT = 32 << 20, /* bytes of one customer's modules */
};

/* ---- a worker begins and ends ----------------------------------------------------------- */

static struct worker *worker_begin(struct workers *workers)
{
	struct worker *w = NULL;
	size_t place = 0;
	int fds[2];

	while (place < WORKERS_MAX && workers->list[place])
		place++;
	if (place < WORKERS_MAX)
		w = calloc(1, sizeof(*w));
	if (!w || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		free(w);
		return NULL;
	}
	w->pid = fork();
	if (w->pid == 0)
		worker_main(fds[1], workers->options);
	close(fds[1]);
	w->fd = fds[0];
	if (w->pid < 0) {
		close(w->fd);
		free(w);
		return NULL;
	}
	return workers->list[place] = w;
}

/* Its customers have none, and their modules are known to nobody. */
static void forget(struct customer *c)
{
	c->worker = NULL;
	for (size_t i = 0; i < c->modules.len; i++)
		c->modules.at[i].known = false;
}

/* Ends it.  False: it can't be ended (process_end.h); else *status is its wait status. */
static bool worker_end(struct workers *workers, struct worker *w, int *status)
{
	bool ended;

	close(w->fd);
	ended = process_end(w->pid, status);
	for (size_t i = 0; i < workers->customers.len; i++)
		if (workers->customers.at[i]->worker == w)
			forget(workers->customers.at[i]);
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (workers->list[i] == w)
			workers->list[i] = NULL;
	vec_deinit(&w->in);
	vec_deinit(&w->out);
	free(w);
	return ended;
}

void workers_deinit(struct workers *workers)
{
	int status;

	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (workers->list[i])
			worker_end(workers, workers->list[i], &status);
	for (size_t i = 0; i < ARRAY_SIZE(workers->crashes); i++)
		free(workers->crashes[i].key);
	vec_deinit(&workers->customers);
}

/* Sends what waits.  False: it has gone. */
bool worker_flush(struct worker *w)
{
	while (w->sent < w->out.len) {
		ssize_t n = send(w->fd, w->out.at + w->sent, w->out.len - w->sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		w->sent += (size_t)n;
	}
	vec_clear(&w->out);
	w->sent = 0;
	return true;
}

/* It has died, broke the rules, or waits in the kernel for what does not come (`stuck`). */
static void worker_died(struct workers *workers, struct worker *w, bool stuck)
{
	struct customer *c = w->customer;
	int status = 0;
	bool ended = worker_end(workers, w, &status);
	struct introduced *module = c ? customer_module(c) : NULL;
	const struct crash *crash;

	if (!c)
		return;
	if (!module)
		return customer_done(c); /* HTTP: nothing was found */
	crash_add(workers, module, stuck || !ended ? NULL : &status);
	crash = crash_find(workers, module);
	crash_answer(workers, c, module, crash ? crash->words : "no memory");
}

/* ---- customers -------------------------------------------------------------------------- */

bool customer_join(struct workers *workers, struct customer *c, struct wire_out *out)
{
	*c = (struct customer){.id = ++workers->last_id, .out = out};
	return vec_push(&workers->customers, c);
}

/* Whether anybody has it. */
static bool has_customers(const struct workers *workers, const struct worker *w)
{
	for (size_t i = 0; i < workers->customers.len; i++)
		if (workers->customers.at[i]->worker == w)
			return true;
	return false;
}

static size_t worker_count(const struct workers *workers)
{
	size_t count = 0;

	for (size_t i = 0; i < WORKERS_MAX; i++)
		count += workers->list[i] != NULL;
	return count;
}

void customer_leave(struct workers *workers, struct customer *c)
{
	struct worker *w = c->worker;
	int status;

	for (size_t i = 0; i < workers->customers.len; i++)
		if (workers->customers.at[i] == c)
			workers->customers.at[i] =
				workers->customers.at[--workers->customers.len];
	for (size_t i = 0; i < c->modules.len; i++)
		free(c->modules.at[i].message);
	vec_deinit(&c->modules);
	if (!w)
		return;
	if (w->customer == c)
		w->customer = NULL;
	/* One stays, with what it has read; a busy one without anybody is of no use. */
	if (!has_customers(workers, w) && (w->busy || worker_count(workers) > 1))
		worker_end(workers, w, &status);
	else if (post_write(&w->out, POST_LEFT, c->id, NULL, 0))
		worker_flush(w);
}

/* Keeps a MODULE, to introduce it again.  False: it can't be. */
static bool keep(struct customer *c)
{
	struct introduced *module;

	if (c->handle >= WIRE_MAX_MODULES || c->bytes + c->len > MAX_KEPT ||
	    !vec_reserve(&c->modules, (size_t)c->handle + 1))
		return false;
	while (c->modules.len <= c->handle)
		c->modules.at[c->modules.len++] = (struct introduced){};
	module = &c->modules.at[c->handle];
	customer_drop(c, module);
	module->message = malloc(c->len);
	if (!module->message)
		return false;
	memcpy(module->message, c->question, c->len);
	module->len = (uint32_t)c->len;
	c->bytes += c->len;
	return true;
}

static void dispatch(struct workers *workers);

void workers_ask(struct workers *workers, struct customer *c, const uint8_t *question,
		 size_t len, bool http)
{
	struct wire_message message = {};
	struct wire_module module;

	c->question = question;
	c->len = len;
	c->http = http;
	c->leave = c->found = c->introduces = false;
	c->handle = UINT32_MAX;
	c->state = WORK_WAITING;
	c->since = clock_ms();
	if (!http && customer_message(question, len, &message)) {
		struct cursor payload = message.payload;
		c->handle = cursor_u32(&payload);
		c->introduces = message.type == WIRE_MODULE &&
				wire_read_module(&message, &module, NULL) == 0;
	}
	if (c->introduces && !keep(c)) {
		wire_write_error(c->out, message.request, WIRE_CODE_MEMORY,
				 "no memory for a module");
		return customer_done(c);
	}
	dispatch(workers);
}

bool customer_take(struct customer *c)
{
	if (c->state != WORK_DONE)
		return false;
	c->state = WORK_NONE;
	return true;
}

/* ---- questions go out ---------------------------------------------------------------------
 */

static bool is_slow(const struct worker *w)
{
	return w->busy && clock_ms() - w->since >= SHARE_MS;
}

/* A worker for the customer: one that answers, or a new one. */
static struct worker *worker_for(struct workers *workers)
{
	struct worker *w;

	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (workers->list[i] && !is_slow(workers->list[i]))
			return workers->list[i];
	w = worker_begin(workers);
	for (size_t i = 0; !w && i < WORKERS_MAX; i++)
		w = workers->list[i];
	return w;
}

/* False: no memory. */
static bool put_question(struct worker *w, struct customer *c)
{
	struct introduced *module = customer_module(c);
	uint64_t arg = c->id;

	w->again = module && !c->introduces && !module->known;
	if (w->again)
		return post_write(&w->out, POST_ASK, arg | (uint64_t)POST_ASK_AGAIN << 32,
				  module->message, module->len);
	return post_write(&w->out, c->http ? POST_HTTP : POST_ASK, arg, c->question, c->len);
}

/* Gives the customer's question to its worker, which is free. */
static void give(struct workers *workers, struct customer *c)
{
	struct introduced *module = customer_module(c);
	const struct crash *crash = module ? crash_find(workers, module) : NULL;
	struct worker *w = c->worker;

	if (crash)
		return crash_answer(workers, c, module, crash->words);
	if (!put_question(w, c))
		return customer_done(c);
	w->busy = true;
	w->customer = c;
	w->since = w->moved_at = clock_ms();
	c->state = WORK_RUNNING;
	worker_flush(w); /* that it has died is seen by reading */
}

/* The customer has no worker, or one that makes it wait. */
static void place(struct workers *workers, struct customer *c)
{
	struct worker *w = c->worker;

	if (w && !is_slow(w))
		return;
	w = worker_for(workers);
	if (w == c->worker)
		return;
	if (c->worker) {
		if (post_write(&c->worker->out, POST_LEFT, c->id, NULL, 0))
			worker_flush(c->worker);
		forget(c);
	}
	c->worker = w;
}

/* Who has waited longest is first. */
static struct customer *next(struct workers *workers, const struct worker *w)
{
	struct customer *found = NULL;

	for (size_t i = 0; i < workers->customers.len; i++) {
		struct customer *c = workers->customers.at[i];
		if (c->state == WORK_WAITING && c->worker == w &&
		    (!found || c->since < found->since))
			found = c;
	}
	return found;
}

static void dispatch(struct workers *workers)
{
	struct customer *c;

	for (size_t i = 0; i < workers->customers.len; i++)
		if (workers->customers.at[i]->state == WORK_WAITING)
			place(workers, workers->customers.at[i]);
	for (size_t i = 0; i < WORKERS_MAX; i++)
		while (workers->list[i] && !workers->list[i]->busy &&
		       (c = next(workers, workers->list[i])))
			give(workers, c);
	while ((c = next(workers, NULL))) { /* not even one process can be had */
		struct wire_message message;
		if (!c->http && customer_message(c->question, c->len, &message))
			wire_write_error(c->out, message.request, WIRE_CODE_MEMORY,
					 "no process to read debug information");
		customer_done(c);
	}
}

/*
 * Whether it waits in the kernel, as for a file of a dead server: for STUCK_MS it has used no time
 * of a CPU, nor wanted any.  (Where it waits for others of ours, it looks at the clock meanwhile.)
 */
static bool worker_is_stuck(struct worker *w)
{
	int64_t now = clock_ms(), used;

	if (!w->busy || now - w->looked_at < LOOK_MS)
		return false;
	w->looked_at = now;
	used = process_cpu_ns(w->pid);
	if (used != w->used || !process_is_waiting(w->pid)) {
		w->used = used;
		w->moved_at = now;
	}
	return now - w->moved_at >= STUCK_MS;
}

int workers_gather(const struct workers *workers, struct pollfd *fds)
{
	int timeout = -1;

	for (size_t i = 0; i < WORKERS_MAX; i++) {
		const struct worker *w = workers->list[i];
		fds[i] = (struct pollfd){w ? w->fd : -1, POLLIN, 0};
		if (w && w->out.len)
			fds[i].events |= POLLOUT;
	}
	for (size_t i = 0; i < workers->customers.len; i++)
		if (workers->customers.at[i]->state == WORK_WAITING)
			timeout = LOOK_MS;
		else if (workers->customers.at[i]->state == WORK_DONE)
			return 0;
	return timeout;
}

void workers_serve(struct workers *workers, const struct pollfd *fds)
{
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct worker *w = workers->list[i];

		if (!w || fds[i].fd != w->fd)
			continue;
		if (((fds[i].revents & POLLOUT) && !worker_flush(w)) ||
		    ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) &&
		     !worker_receive(workers, w)))
			worker_died(workers, w, false);
		else if (worker_is_stuck(w))
			worker_died(workers, w, true);
	}
	dispatch(workers);
}
