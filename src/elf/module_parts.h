/* What the files of modules share: module.c, module_open.c, module_place.c. */
#ifndef MEMTRACE_MODULE_PARTS_H
#define MEMTRACE_MODULE_PARTS_H

#include <string.h>

#include "elf/module.h"

/* What one update works with. */
struct update {
	struct modules *modules;
	int pid;
	const struct maps *maps;
	struct memory *process;
	uint64_t page;
	struct mounts mounts; /* read when they are needed */
	bool has_mounts;
	bool changed;
};

static inline bool is_vdso(const struct mapping *m)
{
	return !strcmp(m->path, "[vdso]");
}

/* The process' file systems, read when they are first asked for (module_open.c). */
const struct mounts *update_mounts(struct update *u);

/* Opens the image of m's file, or of the process' memory.  False: this is no ELF file. */
bool module_open(struct update *u, struct module *module, const struct mapping *m);
void module_close(struct module *module);

/* Is m a mapping of the module's file, by device, inode and path? */
bool module_same_file(const struct module *module, const struct mapping *m);
/* The bias at which `image` is loaded, judged by one of its executable mappings; false: m is
 * none of it. */
bool module_bias(const struct update *u, const struct image *image, const struct mapping *m,
		 taddr_t *ret);
/* Sets bias, begin and end; false when the mapping can't be a load of this file. */
bool module_place(const struct update *u, struct module *module, const struct mapping *m);
/* The same of code that is not mapped from the file, of which `m` is a mapping. */
bool module_place_copy(const struct update *u, struct module *module, const struct mapping *m,
		       const struct mapping *code);

#endif
