/*
 * Modules: the ELF files mapped in a process, followed through dlopen/dlclose.
 *
 * An instance number (frame.h) names a module for the whole session.  It is never
 * given to another file: when a library is unmapped, its module is kept with
 * `mapped` = false, so that a stack recorded in it keeps its name; when the same
 * file (device, inode, build-id, path) comes back at the same bias it gets its old
 * number again; at another bias, a new one.
 */
#ifndef MEMTRACE_MODULE_H
#define MEMTRACE_MODULE_H

#include "elf/file.h"
#include "elf/image.h"
#include "elf/maps.h"
#include "elf/module_id.h"

struct module {
	uint32_t instance;   /* 1.. */
	struct module_id id; /* its path is ours */
	taddr_t begin, end;  /* first to last mapped byte + 1 */
	taddr_t bias;	     /* pc - bias = virtual address in the file; modulo 2^64 */
	uint64_t dev, inode;
	bool mapped;
	bool deleted; /* the file on disk is gone or was replaced */
	bool vdso;
	struct image *image; /* NULL when the file could not be read; then `why` says */
	bool silent;	     /* its file system does not answer: `why` says so, image or not */
	char why[160];
	void *owner; /* for whoever keeps unwind data beside it; see modules_init() */
	struct memory
		*source;   /* the file's, what image reads from; NULL: the process' memory */
	struct file *file; /* kept open so that its inode can't be given away; NULL */
	bool seen;	   /* of modules_update() alone */
};

/* Can its file be read?  (One that is unmapped was shut.) */
static inline bool module_has_file(const struct module *module)
{
	return module->source && (!module->file || module->file->open);
}

struct modules {
	VEC(struct module *) list;	       /* list.at[i]->instance == i + 1 */
	VEC(struct module *) mapped;	       /* sorted by begin */
	void (*forget)(struct module *module); /* frees module->owner; may be NULL */
	struct files files;
	struct ranges far; /* mapped files of file systems that may not answer */
	VEC(struct modules_device {
		uint64_t dev;
		bool local;
	})
	devices;
};

void modules_init(struct modules *modules, void (*forget)(struct module *));
void modules_deinit(struct modules *modules);

/*
 * Brings the list up to date with the process' mappings.  Files are opened by
 * /proc/PID/map_files or, where that is not allowed, /proc/PID/root/PATH, and used
 * only if device and inode are the mapping's (where the file system reports another
 * device, inode and content); else the image is read from the process' own memory
 * (`process`; may be NULL; must then stay valid as long as the modules).  A file
 * that is not ELF, or of which nothing is mapped executable, is no module; one that
 * is broken is a module without image.  *changed (may be NULL): something was
 * mapped or unmapped since the last call.  0, or -ENOMEM with the list as good as
 * it got.
 */
int modules_update(struct modules *modules, int pid, const struct maps *maps,
		   struct memory *process, bool *changed, struct err *err) MUST_CHECK;

/*
 * A module that was mapped when another list was made, with its number there, which is the next one
 * of this list: what is mapped is known again by it at the next update.  Everything but id, the
 * addresses, dev and inode is ignored; id is copied.  False: memory is short, or it is not the next.
 */
bool modules_remember(struct modules *modules, const struct module *module);

/* The mapped module that contains pc, or NULL.  O(log n). */
struct module *modules_find(const struct modules *modules, taddr_t pc);
/* By instance number, mapped or not; NULL: no such. */
struct module *modules_by_instance(const struct modules *modules, uint32_t instance);

#endif
