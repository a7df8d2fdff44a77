/*
 * What an address is called.  A resolver turns (module, offset) into functions,
 * inlined frames, files and lines, by asking memtrace-fs over a connection
 * (socket pair to a child, or TCP), in batches, each with a bounded wait.  What it
 * learned it keeps.  When the server is not there, dies or hangs, answers come from
 * nowhere and the caller falls back to the dynamic symbols it can read itself.
 */
#ifndef MEMTRACE_RESOLVER_H
#define MEMTRACE_RESOLVER_H

#include "base/err.h"
#include "base/types.h"
#include "elf/module_id.h"
#include "region/row.h"

struct resolver;

/* A module that names are asked of. */
struct resolver_module {
	uint32_t instance;   /* the caller's number; answers refer to it */
	struct module_id id; /* its path need not outlive the call */
	int pid;	     /* of the process that maps it: /proc/PID/root; 0 when remote */
};

struct resolved_frame {
	const char *function; /* demangled; NULL: unknown */
	const char *file;     /* NULL: unknown */
	uint32_t line;	      /* 0: unknown */
	bool inlined;	      /* inlined into the next one of the same address */
};

struct resolved { /* innermost inlined function first; the last is the real function */
	struct resolved_frame *frames;
	size_t count; /* 0: nothing is known of this address */
};

struct resolver_options {
	const char *const *debug_dirs; /* NULL-terminated, or NULL */
	bool serve_dirs; /* they are another machine's: nothing of this one is looked at */
	bool debuginfod;
	unsigned timeout_ms; /* longest silence of the server that is borne (default 10 000) */
	const char *server;  /* path of memtrace-fs; NULL: beside /proc/self/exe, then PATH */
	/* What the server does when an answer takes long ("downloading ..."), one line; may
	 * be NULL.  Called from within the functions that wait. */
	void (*progress)(void *arg, const char *text);
	void *progress_arg;
	/*
	 * Asked now and then while the server is silent, for RESOLVER_SILENCE_MS at least, and
	 * nobody watches who could cancel: is something more urgent waiting?  Then the
	 * connection is given up.  May be NULL.
	 */
	bool (*enough)(void *arg);
	void *enough_arg;
};

enum { RESOLVER_SILENCE_MS = 1000 };

/* Starts memtrace-fs as a child on a socket pair and greets it.  The child has a
 * process group of its own (Ctrl-C is not for it) and ends when the pair closes. */
int resolver_start(const struct resolver_options *options, struct resolver **ret,
		   struct err *err) MUST_CHECK;
/* The same over a connected socket (TCP, or a test's); takes fd over, also on failure. */
int resolver_connect(int fd, const struct resolver_options *options, struct resolver **ret,
		     struct err *err) MUST_CHECK;
void resolver_destroy(struct resolver *resolver); /* NULL is allowed; closes, reaps the child */

/* False when the connection was lost or timed out; `why` (may be NULL) says. */
bool resolver_is_alive(const struct resolver *resolver, const char **why);

/* Called several times a second; false: nobody waits any more. */
typedef bool resolver_progress_fn(void *arg, size_t done, size_t count);

/*
 * Questions are gathered by resolver_want(), for many modules, and asked together, as many as the
 * connection carries, by resolver_wait(): then the answers for `count` offsets (as
 * frame_lookup_offset() gives them) of the module are known.  With count 0 the server is only told
 * of the module: done while the process lives, it can open a file that is gone later.  -ENOMEM,
 * -ERANGE (instance), -ENOTCONN.
 */
int resolver_want(struct resolver *resolver, const struct resolver_module *module,
		  const uint64_t *offsets, size_t count, struct err *err) MUST_CHECK;

/*
 * `progress` (may be NULL) is called now and then with how many of count are done, and may end it:
 * -ECANCELED, and the answers that are under way are taken later.  0, or -errno when the server is
 * lost; what was learned until then stays.
 */
int resolver_wait(struct resolver *resolver, resolver_progress_fn *progress, void *arg,
		  struct err *err) MUST_CHECK;

/* What is known about one address.  NULL: never loaded.  Valid until destroy. */
const struct resolved *resolver_find(const struct resolver *resolver, uint32_t instance,
				     uint64_t offset);

/* Where a module's names came from ("/usr/lib/debug/.build-id/..", "its own .symtab",
 * ...), or RESOLVER_NOWHERE; NULL: not asked yet. */
#define RESOLVER_NOWHERE "none"
const char *resolver_source(const struct resolver *resolver, uint32_t instance);

/* What was found for a module and not used, and why ("/lib/x.so: does not match ..."), or
 * NULL. */
const char *resolver_remark(const struct resolver *resolver, uint32_t instance);

/* Addresses of functions by name (for stripped static programs): fills values[i]
 * with the symbol's value (the virtual address; of T32 code, and 1) or 0, and sizes[i] (may be
 * NULL) with what the table says. */
int resolver_symbols(struct resolver *resolver, const struct resolver_module *module,
		     const char *const *names, size_t count, uint64_t *values, uint64_t *sizes,
		     struct err *err) MUST_CHECK;

/*
 * How a module is unwound, by its debug file: resolver_wait() then calls visit for every
 * row, ascending; each holds from its vaddr to the next one's.  `arg` must be there until
 * then.  Errors as resolver_want().
 */
typedef void resolver_row_fn(void *arg, uint64_t vaddr, const struct row *row);
int resolver_want_unwind(struct resolver *resolver, const struct resolver_module *module,
			 resolver_row_fn *visit, void *arg, struct err *err) MUST_CHECK;

/*
 * The same, for what rows can't hold: bytes for cfi_open_copy(), in pieces, in order; fewer
 * than WIRE_MAX_RULES in all.
 */
typedef void resolver_rules_fn(void *arg, const uint8_t *bytes, size_t len);
int resolver_want_rules(struct resolver *resolver, const struct resolver_module *module,
			resolver_rules_fn *take, void *arg, struct err *err) MUST_CHECK;

/* The descriptor to poll for the server's end while nothing is asked; -1: lost. */
int resolver_fd(const struct resolver *resolver);
/* It is readable and nothing was asked: finds out whether the server has gone. */
void resolver_check(struct resolver *resolver);

/* After a loss: goes on over another connected socket (taken over, also on failure) with
 * all that was learned. */
int resolver_reconnect(struct resolver *resolver, int fd, struct err *err) MUST_CHECK;

#endif
