/*
 * Hooks: which functions are watched, where they are, and the stubs on them.
 *
 *   module --(symbols)--> hooks --(free space, displaced code)--> area of stubs --> patched
 *            hooks_plan()                                        hooks_apply()      entries
 *
 * Planning reads files and memory and changes nothing; it can be done while the target runs.
 * Applying is short, and all threads are stopped for it.
 *
 * What a stub does beside running its function is not known here: struct hook_payload says it.
 */
#ifndef MEMTRACE_HOOKS_H
#define MEMTRACE_HOOKS_H

#include "arch/trap.h"
#include "base/vec.h"
#include "hook/code.h"
#include "hook/functions.h"
#include "hook/place.h"
#include "hook/process.h"
#include "region/frame.h"

/* What the code in an area of stubs does; its user says it, by these functions. */
struct hook_payload {
	/* Encodes an area: as arch->trap->stubs_build(). */
	int (*build)(void *arg, struct stub_area *area, struct stub *stubs, size_t count,
		     const uint8_t *const code[], const size_t code_len[], size_t *failed,
		     struct err *err);
	/* What, written at *at, makes the stubs of an area do nothing but run their functions:
	 * at most 8 bytes.  Returns how many. */
	uint32_t (*disarm)(void *arg, const struct stub_area *area, taddr_t *at, uint8_t *ret);
	/* The areas are written, all threads are stopped, and nothing leads there yet. */
	int (*ready)(void *arg, struct err *err);
	void *arg;
};

struct hook {
	const struct function *function;
	uint32_t instance; /* the module it is in */
	frame_t frame;	   /* the function's entry as a frame */
	taddr_t address;   /* the function's entry */
	struct stub stub;
	uint32_t area; /* index into hooks.areas */
	/* What was planned with; freed when applied. */
	struct code code;
	struct place place;
	bool applied;
};

struct hook_area {
	struct stub_area area;
	uint32_t host; /* instance of the module behind whose text it is, or HOST_PAGE */
	uint8_t *old;  /* area.len bytes, by the file and as they are */
	struct place place;
	bool used; /* false: its module has gone, or its page could not be made */
	bool applied;
	bool changed; /* the payload's own note of it */
};

struct hook_page { /* of our own, for stubs that have no place elsewhere */
	taddr_t base;
	uint32_t len;
	bool made; /* the process has it */
	unsigned tries;
	struct undo_places places; /* for the code that makes it */
};

/* How planning and applying report: "Set breakpoint on ...", and that a function of a module
 * (NULL: none of it) is not followed, and why: the reason alone, see missed.h. */
struct hook_notes {
	void (*step)(void *arg, const char *format, ...);
	void (*miss)(void *arg, const struct module *module, const char *function,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));
	void *arg;
};

struct hooks {
	/* By the user, before anything is planned. */
	struct hook_process process;
	struct hook_payload payload;
	struct hook_notes notes;
	uint32_t numbers_end; /* stubs are given numbers below it */

	VEC(struct hook) list;
	VEC(struct hook_area) areas; /* indexes stay */
	VEC(struct hook_page) pages;
	VEC(uint32_t) seen;   /* instances looked through for allocators */
	uint32_t loader;      /* instance of the program interpreter; 0: static */
	taddr_t loader_state; /* address of _r_debug.r_state; 0: unknown */
	bool mappings;	      /* by the user: what maps memory is followed, too */
	uint32_t numbers;     /* that stubs have been given: 1 .. */
	bool allocators;      /* any allocation function was found */
};

/* What is to be planned. */
enum hook_scope {
	HOOK_LOADER, /* a program that has just been started: libraries are still to come */
	HOOK_ALL,
};

void hooks_deinit(struct hooks *hooks);

/*
 * Looks through mapped modules that were not looked through in this scope before;
 * finds functions, free space and code, and builds stubs.  *planned: hooks that wait to
 * be applied.  A function that can't be hooked is a warning.
 */
int hooks_plan(struct hooks *hooks, enum hook_scope scope, size_t *planned, struct err *err) MUST_CHECK;

/* Writes what was planned.  All threads are stopped.  -EAGAIN: a thread would return into
 * the middle of a patch; let it run a moment and try again.  -ESTALE: what was planned with
 * is no more as it was; hooks_unplan() and plan anew. */
int hooks_apply(struct hooks *hooks, struct err *err) MUST_CHECK;

/* As if what is not applied had never been planned. */
void hooks_unplan(struct hooks *hooks);

/* Modules that were unmapped take their hooks with them. */
void hooks_forget_unmapped(struct hooks *hooks);

/* A new program: everything is gone. */
void hooks_clear(struct hooks *hooks);

/* The hook whose patch is there, or NULL. */
const struct hook *hooks_by_patch(const struct hooks *hooks, taddr_t addr);
/* The area that pc is in, or NULL. */
const struct stub_area *hooks_area_at(const struct hooks *hooks, taddr_t pc);
/* The hook in whose stub or copy pc is, or NULL. */
const struct hook *hooks_by_stub(const struct hooks *hooks, taddr_t pc);

#endif
