/*
 * Hooks: which functions are watched, where they are, and the stubs on them.
 *
 *   module --(symbols)--> hooks --(slack, displaced code)--> area of stubs --> patched entries
 *            hooks_plan()                                       hooks_apply()
 *
 * Planning reads files and memory and changes nothing; it can be done while the
 * target runs.  Applying is short and needs the world to stand still.
 */
#ifndef MEMTRACE_HOOKS_H
#define MEMTRACE_HOOKS_H

#include "arch/arch.h"
#include "base/vec.h"
#include "elf/module.h"
#include "hook/code.h"
#include "hook/place.h"
#include "region/frame.h"
#include "tracer/tracee.h"
#include "tracer/undo.h"
#include "unwind/external.h"

/* What a call means for the heap. */
enum call {
	CALL_ALLOC,	   /* size = argument `size`, result = return value */
	CALL_CALLOC,	   /* size = argument 0 x argument 1 */
	CALL_POSIX_ALIGN,  /* size = argument 2, result = *argument 0 if 0 is returned */
	CALL_REALLOC,	   /* block = argument 0, size = argument 1 */
	CALL_REALLOCARRAY, /* block = argument 0, size = argument 1 x argument 2 */
	CALL_FREE,	   /* block = argument 0 */
	CALL_PRCTL,	   /* prctl: argument 0 may announce a seccomp filter */
	CALL_SIGACTION,	   /* argument 0 may be the signal of the trap */
	CALL_SECCOMP,	   /* a seccomp filter is about to be installed */
	CALL_PTRACE,	   /* argument 0: who asks to be traced */
	CALL_LOADER,	   /* _dl_debug_state: the list of modules changes */
};

/* In which modules a name counts; see evidence.h. */
enum who {
	WHO_ANY,
	WHO_ALLOCATOR, /* that have malloc and free */
	WHO_OLD,       /* the same, and something shows that it is theirs: no part of C */
	WHO_JEMALLOC,
};

struct function { /* a name that is looked for in modules */
	const char *name;
	enum call call;
	enum stub_kind kind;
	uint8_t size;	     /* CALL_ALLOC: which argument */
	const char *instead; /* STUB_INSTEAD: what is run; a name that stands earlier in the
				table */
	bool swap;	     /* with its first two arguments exchanged */
	enum who who;
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
	uint32_t home; /* instance of the module whose slack it is in, or HOME_PAGE */
	uint8_t *old;  /* area.len bytes, by the file and as they are */
	struct place place;
	bool applied;
	bool hardened; /* its soft trap leads to the hard one */
};

struct hook_page { /* of our own, for stubs that no slack has room for */
	taddr_t base;
	uint32_t len;
	bool made;		 /* the process has it */
	struct undo_place place; /* for the code that makes it */
};

struct hooks {
	VEC(struct hook) list;
	VEC(struct hook_area) areas;
	VEC(struct hook_page) pages;
	VEC(uint32_t) seen;   /* instances looked through for allocators */
	uint32_t loader;      /* instance of the program interpreter; 0: static */
	taddr_t loader_state; /* address of _r_debug.r_state; 0: unknown */
	bool hard; /* traps are break instructions: a seccomp filter forbids the others */
	int signo; /* of the soft trap */
	const struct externals *externals; /* functions that modules don't name themselves */
	bool allocators;		   /* any allocation function was found */
};

/* How planning and applying report: "Set breakpoint on ...", and that a function of a module
 * (NULL: none of it) is not followed, and why: the reason alone, see missed.h. */
struct hook_notes {
	void (*step)(void *arg, const char *format, ...);
	void (*miss)(void *arg, const struct module *module, const char *function,
		     const char *format, ...) __attribute__((format(printf, 4, 5)));
	void *arg;
};

/* What is to be planned. */
enum hook_scope {
	HOOK_LOADER, /* a program that has just been started: libraries are still to come */
	HOOK_ALL,
};

void hooks_deinit(struct hooks *hooks);

/*
 * Looks through mapped modules that were not looked through in this scope before;
 * finds functions, rooms and code, and builds stubs.  *planned: hooks that wait to
 * be applied.  A function that can't be hooked is a warning.
 */
int hooks_plan(struct hooks *hooks, struct tracee *tracee, const struct modules *modules,
	       const struct maps *maps, enum hook_scope scope, const struct hook_notes *notes,
	       size_t *planned, struct err *err);

/* Writes what was planned.  The world stands.  -EAGAIN: a thread would return into
 * the middle of a patch; let it run a moment and try again.  -ESTALE: what was planned with
 * is no more as it was; hooks_unplan() and plan anew. */
int hooks_apply(struct hooks *hooks, struct tracee *tracee, struct undo *undo,
		const struct modules *modules, const struct hook_notes *notes, struct err *err);

/* As if what is not applied had never been planned. */
void hooks_unplan(struct hooks *hooks);

/* Modules that were unmapped take their hooks with them. */
void hooks_forget_unmapped(struct hooks *hooks, struct undo *undo,
			   const struct modules *modules);

/* A new program: everything is gone. */
void hooks_clear(struct hooks *hooks);

/* Makes the traps of all areas hard from now on.  Nobody may be made to run what is not
 * written yet: the world stands, or the one thread does. */
int hooks_harden(struct hooks *hooks, struct tracee *tracee, struct undo *undo,
		 struct err *err);

/* Another signal for the soft traps, hooks->signo from now on.  The world stands.
 * -EAGAIN: a thread is just sending the old one; let it run a moment. */
int hooks_resign(struct hooks *hooks, struct tracee *tracee, int signo, struct err *err);

/* The signal by which a thread in one of our traps, at pc, is reported; 0: it is in none. */
int hooks_trap_signal(const struct hooks *hooks, taddr_t pc);
/* Where a thread that is in a soft trap, its signal unblocked but not sent, will be reported:
 * its trap_pc; 0: it is not there. */
taddr_t hooks_trap_open(const struct hooks *hooks, taddr_t pc);
/* The hook whose stub called the trap from `site`; *entry: before the function. */
const struct hook *hooks_by_site(const struct hooks *hooks, taddr_t site, bool *entry);
/* The hook whose patch is there, or NULL. */
const struct hook *hooks_by_patch(const struct hooks *hooks, taddr_t addr);
/* The area that pc is in, or NULL. */
const struct stub_area *hooks_area_at(const struct hooks *hooks, taddr_t pc);
/* The hook in whose stub or copy pc is, or NULL. */
const struct hook *hooks_by_stub(const struct hooks *hooks, taddr_t pc);

#endif
