/* The inside of the resolver: resolver.c asks, resolver_take.c takes the answers. */
#ifndef MEMTRACE_RESOLVER_PARTS_H
#define MEMTRACE_RESOLVER_PARTS_H

#include "symbols/cache.h"
#include "symbols/channel.h"
#include "symbols/child.h"

struct request {
	uint32_t id;
	enum wire_type type;
	struct cache_module *module;
	uint32_t count;		      /* offsets or names asked about */
	uint32_t answered;	      /* the first ones of them */
	struct cache_entry **entries; /* LOOKUP: count of them, ours */
	uint64_t *values, *sizes;     /* SYMBOLS: where the answers go, the caller's */
	struct row *rows;	      /* ROWS: the same */
	resolver_row_fn *visit;	      /* UNWIND: who takes them */
	resolver_rules_fn *take;      /* RULES: the same */
	void *arg;		      /* of both */
	uint64_t row_vaddr; /* of the last one */
	unsigned rounds;    /* UNWIND: full answers */
};

struct resolver {
	struct channel channel;
	struct child child;
	struct cache cache;
	VEC(struct request) requests;
	unsigned lookups; /* of these, LOOKUPs */
	uint32_t last_id;
	size_t turn;	     /* the module whose questions are asked next */
	size_t wanted, done; /* offsets since the last time all were answered */
	bool alive;
	char why[sizeof(((struct err *)0)->text)];
	unsigned timeout_ms;
	int64_t answered_at; /* when the last answer came */
	int64_t heard_at;    /* when the last message of any kind came */
	void (*say)(void *arg, const char *text);
	void *say_arg;
	bool (*enough)(void *arg);
	void *enough_arg;
};

/* A request is over: what was not answered of a LOOKUP waits again. */
void resolver_drop(struct resolver *resolver, size_t index);

/* Asks for the unwind rows from vaddr on. */
void resolver_ask_unwind(struct resolver *resolver, const struct request *request,
			 uint64_t vaddr);

/* A message has come.  0, or an error after which the connection is of no use. */
int resolver_take(struct resolver *resolver, const struct wire_message *message,
		  struct err *err) MUST_CHECK;

#endif
