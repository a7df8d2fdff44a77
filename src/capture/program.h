/* The program that the process runs: what is mapped of it, and its loader. */
#ifndef MEMTRACE_PROGRAM_H
#define MEMTRACE_PROGRAM_H

#include "capture/jit_objects.h"
#include "capture/notify.h"
#include "capture/runtimes.h"
#include "elf/jit_names.h"
#include "elf/module.h"
#include "tracer/tracee.h"
#include "unwind/external.h"

struct program {
	char **command;
	struct modules modules;
	struct maps maps;
	struct jit_names jit; /* what is generated */
	struct jit_objects objects;    /* .. and shown to debuggers */
	const struct runtime *runtime; /* or NULL */
	const char *own_heap;	       /* runtime_own_heap() */
	struct externals externals; /* what memtrace-fs says of the modules */
	bool loading;		    /* libraries are not all there yet */
	pid_t child;		    /* of the process, by its last fork; 0 */
	/* code: it is another machine's, and has taken the place of one that was followed; why
	 * it can't be. */
	struct err foreign;
};

void program_init(struct program *program, const atomic_bool *hurry);
void program_deinit(struct program *program);

/* A target that was just opened: what of it may not answer. */
void program_limit(const struct program *program, struct target *target);

/* Looks at the mappings anew.  What is new is said. */
int program_update(struct program *program, struct tracee *tracee, struct notifier *notifier,
		   bool *changed, struct err *err) MUST_CHECK;

/* Its arguments as they are by now: nginx's and postgres' say what the process does.  pid: alive, or 0.
 * (Of one that is another program, which is not followed, it is as the one that was.) */
void program_title(struct program *program, pid_t pid);

/* The dynamic loader: the interpreter, or what was started itself, with the program as its
 * argument.  NULL: a static program, whatever of a loader is in it for its dlopen(). */
struct module *program_loader(const struct program *program, struct tracee *tracee);

/* Its runtime writes names of generated code down, perhaps when it ends (generated_at_end()). */
bool program_names_at_end(const struct program *program);

/* The process may have become a program that can't be followed: -ENOTSUP, and why; else 0. */
int program_check(const struct program *program, struct err *err) MUST_CHECK;

#endif
