/* What of the program is mapped where; see program.h. */
#include "capture/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/parts.h"
#include "capture/walker.h"
#include "hook/entries.h"

enum { AT_BASE_TAG = 7, AT_ENTRY_TAG = 9 };

void program_init(struct program *program, const atomic_bool *hurry)
{
	modules_init(&program->modules, module_unwind_forget);
	program->modules.files.hurry = hurry;
	jit_names_init(&program->jit, &program->modules.files);
}

void program_deinit(struct program *program)
{
	externals_deinit(&program->externals);
	jit_names_deinit(&program->jit);
	if (jit_objects_there())
		jit_objects_clear(&program->objects);
	modules_deinit(&program->modules);
	maps_deinit(&program->maps);
	free(program->command);
}

void program_limit(const struct program *program, struct target *target)
{
	target->far = &program->modules.far;
	target->apart.hurry = program->modules.files.hurry;
}

/* Of the auxiliary vector (getauxval(3)): where the program interpreter lies, if there is one,
 * and where the program begins. */
struct auxv {
	taddr_t base, entry;
};

static struct auxv auxv_read(struct tracee *tracee)
{
	const struct arch *arch = tracee->arch;
	unsigned size = arch->word_size;
	struct auxv auxv = {0, 0};
	char path[64];
	uint8_t pair[16];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/auxv", tracee_alive(tracee));
	file = fopen(path, "re");
	while (file && fread(pair, size, 2, file) == 2) {
		uint64_t tag = arch_word(arch, pair), value = arch_word(arch, pair + size);

		if (tag == AT_BASE_TAG)
			auxv.base = value;
		else if (tag == AT_ENTRY_TAG)
			auxv.entry = value;
	}
	if (file)
		fclose(file);
	return auxv;
}

struct module *program_loader(const struct program *program, struct tracee *tracee)
{
	struct auxv auxv = auxv_read(tracee);
	struct module *module;
	struct image_symbol symbol;

	if (auxv.base)
		return modules_find(&program->modules, auxv.base);
	module = modules_find(&program->modules, auxv.entry);
	return module && entries_are_of(module, tracee->arch) &&
			       image_symbol_find(module->image, "_dl_debug_state", &symbol) &&
			       symbol.dynamic
		       ? module
		       : NULL;
}

int program_update(struct program *program, struct tracee *tracee, struct notifier *notifier,
		   bool *changed, struct err *err)
{
	struct maps maps = {0};
	size_t known = program->modules.list.len;
	pid_t alive = tracee_alive(tracee);
	int rc = maps_read(alive, &maps, err);

	if (rc)
		return rc;
	rc = modules_update(&program->modules, alive, &maps, &tracee->target.memory, changed,
			    err);
	maps_deinit(&program->maps);
	program->maps = maps;
	if (!rc && *changed) {
		const struct runtime *runtime = runtime_of(&program->modules);

		if (jit_objects_there())
			jit_objects_locate(&program->objects, &program->modules);
		if (runtime != program->runtime)
			program->own_heap = runtime_own_heap(runtime, alive);
		program->runtime = runtime;
		if (program_names_at_end(program)) /* (a runtime that is loaded later: who loads it, and all that it starts) */
			tracee_tell_exits(tracee);
	}
	for (size_t i = known; !rc && i < program->modules.list.len; i++) {
		const struct module *module = program->modules.list.at[i];

		notify_step(notifier, "Opening %s begin=0x%" PRIx64 " offset=0",
			    module->id.path, module->begin);
		if (!module->image)
			notify_missed(notifier, module, NULL, "%s", module->why);
		else if (module->silent)
			notify_warning(notifier, "%s: %s; what of it is in memory is used",
				       module->id.path, module->why);
	}
	return rc;
}

void program_title(struct program *program, pid_t pid)
{
	char **command = pid > 0 && !program->foreign.code ? status_command(pid) : NULL;

	if (command && program->command && command[0][0] == '[') { /* it has just ended: as it was called last */
		free(command);
	} else if (command) {
		free(program->command);
		program->command = command;
	}
}

bool program_names_at_end(const struct program *program)
{
	return parts_have(PART_runtimes) && runtime_names(program->runtime);
}

int program_check(const struct program *program, struct err *err)
{
	if (program->foreign.code)
		*err = program->foreign;
	return program->foreign.code;
}
