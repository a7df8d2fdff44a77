/* The inside of the resolver.  Its parts, from the lowest to resolver.c: each calls those
 * before it. */
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
	resolver_row_fn *visit;	      /* UNWIND: who takes them */
	resolver_rules_fn *take;      /* RULES: the same */
	void *arg;		      /* of both */
	uint64_t row_vaddr;	      /* of the last one */
	unsigned rounds;	      /* UNWIND: full answers */
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
	void (*progress)(void *arg, const char *text);
	void *progress_arg;
	bool (*enough)(void *arg);
	void *enough_arg;
};

enum { RESOLVER_END_GRACE_MS = 500 }; /* for a child that was told to end */

/* ---- resolver_requests.c ---- */

/* Puts a request under way.  NULL: no memory. */
struct request *resolver_request(struct resolver *resolver, enum wire_type type,
				 struct cache_module *module);
/* A request is over: what was not answered of a LOOKUP waits again. */
void resolver_drop(struct resolver *resolver, size_t index);
/* Tells the server of a module, once. */
int resolver_ask_module(struct resolver *resolver, struct cache_module *module,
			struct err *err) MUST_CHECK;
/* Asks for the names of some of what waits in the module. */
int resolver_ask_lookup(struct resolver *resolver, struct cache_module *module,
			struct err *err) MUST_CHECK;
/* Asks for the unwind rows from vaddr on. */
void resolver_ask_unwind(struct resolver *resolver, const struct request *request,
			 uint64_t vaddr);

/* ---- resolver_take.c ---- */

/* A message has come.  0, or an error after which the connection is of no use. */
int resolver_take(struct resolver *resolver, const struct wire_message *message,
		  struct err *err) MUST_CHECK;

/* ---- resolver_converse.c ---- */

/* HELLO out, WELCOME in. */
int resolver_greet(struct resolver *resolver, struct err *err) MUST_CHECK;
/* Asks what waits and takes answers until no request is under way. */
int resolver_converse(struct resolver *resolver, resolver_progress_fn *progress, void *arg,
		      struct err *err) MUST_CHECK;
/* The connection has an end. */
void resolver_hang_up(struct resolver *resolver);
/* Gives the connection up; err says why, more exactly than before where the child's end
 * explains it.  Returns err's code. */
int resolver_lose(struct resolver *resolver, struct err *err);
/* The error of a connection that was lost before. */
int resolver_lost(const struct resolver *resolver, struct err *err) MUST_CHECK;

#endif
