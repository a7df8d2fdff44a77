/* The inside of the pool of workers: workers.c (who asks whom), workers_letters.c (what they
 * say), workers_crash.c (what they died of), workers_customer.c (what one customer has). */
#ifndef MEMTRACE_WORKERS_PARTS_H
#define MEMTRACE_WORKERS_PARTS_H

#include "serve/workers.h"

struct worker {
	pid_t pid;
	int fd;
	struct post_bytes in, out;
	size_t sent;
	bool busy;
	struct customer *customer; /* whose question it is about; NULL: who has left */
	bool again;		   /* a module is introduced again, before the question */
	int64_t since;
	/* Whether it moves: the CPU's time that it had used when it was looked at, and when that
	 * was last more than before. */
	int64_t looked_at, moved_at, used;
};

/* Sends what waits.  False: it has gone. */
bool worker_flush(struct worker *worker);
/* Reads and handles what is there.  False: it has gone, or has to. */
bool worker_receive(struct workers *workers, struct worker *worker);

/* The module that the customer's question is about, or NULL. */
struct introduced *customer_module(struct customer *customer);
void customer_drop(struct customer *customer, struct introduced *module);
/* The end of its question. */
void customer_done(struct customer *customer);
/* Finds the message that `bytes` are. */
bool customer_message(const uint8_t *bytes, size_t len, struct wire_message *ret);

/* What a worker died of with this module, lately; or NULL. */
const struct crash *crash_find(const struct workers *workers, const struct introduced *module);
/* status: of waitpid(); NULL: it waited for a file system that does not answer. */
void crash_add(struct workers *workers, const struct introduced *module, const int *status);
/* Answers for the worker that has ended of the module, or would. */
void crash_answer(struct workers *workers, struct customer *customer,
		  const struct introduced *module, const char *words);

#endif
