/*
 * Which ELF files a process has mapped.
 *
 * A module is found by its executable mappings: what is mapped only as data (a file
 * read by mmap) runs no code.  Where it lies says module_place.c: two loads of one file
 * (dlmopen) have two biases and are two modules; two mappings with one bias are one module.
 *
 * A program may have copied its text into memory of its own, at the same place (for huge
 * pages): executable, and no file's.  The file's other mappings are beside it; it is that
 * module if it lies where the file has code, and holds that code.
 */
#include "elf/module.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/order.h"
#include "elf/fingerprint.h"
#include "elf/module_parts.h"
#include "region/frame.h"

void modules_init(struct modules *modules, void (*forget)(struct module *))
{
	*modules = (struct modules){.forget = forget};
}

/* Unmapped, by its build-id it is known again: a program that loads a library a thousand
 * times would have a thousand files open here. */
static void release_file(struct module *module)
{
	if (module->file && module->id.build_id_len)
		file_shut(module->file);
}

static void module_destroy(struct module *module)
{
	if (!module)
		return;
	image_close(module->image);
	module_close(module);
	module_id_deinit(&module->id);
	free(module);
}

void modules_deinit(struct modules *modules)
{
	for (size_t i = 0; i < modules->list.len; i++) {
		if (modules->forget)
			modules->forget(modules->list.at[i]);
		module_destroy(modules->list.at[i]);
	}
	vec_deinit(&modules->list);
	vec_deinit(&modules->mapped);
	vec_deinit(&modules->far);
	vec_deinit(&modules->devices);
	files_deinit(&modules->files);
}

/* [vdso], [vsyscall]: of another kind than memory that the program itself named. */
static bool is_kernels(const struct mapping *m)
{
	return m->path[0] == '[' && strncmp(m->path, "[anon", 5);
}

/* ---- a new one ------------------------------------------------------------------- */

static void note_debuglink(struct module *module)
{
	uint32_t crc;
	const char *name = image_debuglink(module->image, &crc);

	if (name)
		module_id_set_debuglink(&module->id, name, crc);
}

static void note_fingerprint(struct module *module)
{
	struct fingerprint fingerprint;

	if (!fingerprint_make(module->image, &fingerprint))
		module_id_set_fingerprint(&module->id, fingerprint.bytes,
					  sizeof(fingerprint.bytes));
}

/* A module for this mapping; NULL with 0: it is none.  `code`: m itself, or the copy of code
 * of its file's. */
static int module_create(struct update *u, const struct mapping *m, const struct mapping *code,
			 struct module **ret)
{
	struct module *module = calloc(1, sizeof(*module));
	const uint8_t *id;
	size_t len;

	*ret = NULL;
	if (!module || !(module->id.path = strdup(m->path))) {
		free(module);
		return -ENOMEM;
	}
	module->dev = m->dev;
	module->inode = m->inode;
	module->deleted = m->deleted;
	module->vdso = is_vdso(m);
	if (!module_open(u, module, m) ||
	    !(code == m ? module_place(u, module, m) : module_place_copy(u, module, m, code))) {
		module_destroy(module);
		return 0;
	}
	if (module->image) {
		if (!module->silent)
			module->why[0] = '\0';
		id = image_build_id(module->image, &len);
		if (id)
			module_id_set_build_id(&module->id, id, len);
		if (!module->id.build_id_len)
			note_debuglink(module);
		if (!module->id.build_id_len && !module->vdso)
			note_fingerprint(module);
	}
	*ret = module;
	return 0;
}

/* ---- following ------------------------------------------------------------------- */

/* The module that this mapping already belongs to; it may be unmapped at present. */
static struct module *find_known(const struct update *u, const struct mapping *m)
{
	for (size_t i = 0; i < u->modules->list.len; i++) {
		struct module *module = u->modules->list.at[i];
		taddr_t bias;

		if (!module_same_file(module, m) || m->begin < module->begin ||
		    m->begin >= module->end)
			continue;
		if (module->mapped && (module->vdso || !module->image))
			return module;
		/* An open file is the same file as before; without one it is compared anew. */
		if (module->image &&
		    (module->mapped || (module->file && file_is_same(module->file))) &&
		    module_bias(u, module->image, m, &bias) && bias == module->bias)
			return module;
	}
	return NULL;
}

/* It is there again: read from the file that is open now.  fresh is used up. */
static void take_back(struct modules *modules, struct module *old, struct module *fresh)
{
	if (modules->forget)
		modules->forget(old);
	image_close(old->image);
	module_close(old);
	old->image = fresh->image;
	old->source = fresh->source;
	old->file = fresh->file;
	fresh->image = NULL;
	fresh->source = NULL;
	fresh->file = NULL;
	module_destroy(fresh);
}

/* (One without a build-id keeps its file open; but not where another memtrace had it.) */
static bool is_same_build(const struct module *old, const struct module *fresh)
{
	return fresh->id.build_id_len
		       ? module_id_same_build(&old->id, &fresh->id)
		       : !old->file && module_id_same_fingerprint(&old->id, &fresh->id);
}

/* An unmapped module without an open file that `fresh` is the same as. */
static struct module *find_returned(const struct update *u, const struct module *fresh)
{
	for (size_t i = 0; i < u->modules->list.len; i++) {
		struct module *old = u->modules->list.at[i];

		if (!old->mapped && old->dev == fresh->dev && old->inode == fresh->inode &&
		    old->bias == fresh->bias && !strcmp(old->id.path, fresh->id.path) &&
		    is_same_build(old, fresh))
			return old;
	}
	return NULL;
}

/* Opens and numbers what is mapped by m, or of which `code` is a copy. */
static int add_new(struct update *u, const struct mapping *m, const struct mapping *code,
		   struct module **ret)
{
	struct modules *modules = u->modules;
	struct module *module, *old;
	int failed;

	*ret = NULL;
	if (modules->list.len + 1 >= FRAME_INSTANCES)
		return 0; /* frames have no numbers left: its code is in no module */
	failed = module_create(u, m, code, &module);
	if (failed || !module)
		return failed;
	old = find_returned(u, module);
	if (old) {
		take_back(modules, old, module);
		module = old;
	} else if (vec_push(&modules->list, module)) {
		module->instance = (uint32_t)modules->list.len;
	} else {
		module_destroy(module);
		return -ENOMEM;
	}
	*ret = module;
	return 0;
}

bool modules_remember(struct modules *modules, const struct module *module)
{
	struct module *copy;

	if (module->instance != modules->list.len + 1 || module->instance >= FRAME_INSTANCES)
		return false;
	copy = calloc(1, sizeof(*copy));
	if (!copy || !module_id_copy(&copy->id, &module->id) || !vec_push(&modules->list, copy)) {
		module_destroy(copy);
		return false;
	}
	copy->instance = module->instance;
	copy->begin = module->begin;
	copy->end = module->end;
	copy->bias = module->bias;
	copy->dev = module->dev;
	copy->inode = module->inode;
	copy->vdso = module->vdso;
	return true;
}

static void see(struct update *u, struct module *module, const struct mapping *m)
{
	u->changed |= !module->mapped;
	module->mapped = module->seen = true;
	module->deleted = m->deleted;
}

static int add_mapping(struct update *u, const struct mapping *m)
{
	struct module *module = find_known(u, m);
	int failed = module ? 0 : add_new(u, m, m, &module);

	if (module)
		see(u, module, m);
	return failed;
}

/* ---- copied code ----------------------------------------------------------------- */

static bool is_seen(const struct update *u, taddr_t addr)
{
	for (size_t i = 0; i < u->modules->list.len; i++) {
		const struct module *module = u->modules->list.at[i];

		if (module->seen && addr >= module->begin && addr < module->end)
			return true;
	}
	return false;
}

/* The nearest mapping of a file, as far from m as segments of one file are; step: 1 or -1. */
static const struct mapping *file_beside(const struct update *u, const struct mapping *m,
					 int step)
{
	enum { GAP = 4 << 20 };
	const struct mapping *first = u->maps->list.at, *end = first + u->maps->list.len;

	for (const struct mapping *at = m + step; at >= first && at < end; at += step) {
		if ((at > m ? at->begin - m->end : m->begin - at->end) > GAP)
			return NULL;
		if (at->inode)
			return at;
	}
	return NULL;
}

static struct module *find_copied(const struct update *u, const struct mapping *m,
				  const struct mapping *code)
{
	for (size_t i = 0; i < u->modules->list.len; i++) {
		struct module *module = u->modules->list.at[i];

		if (module->mapped && module->image && module_same_file(module, m) &&
		    code->begin >= module->begin && code->begin < module->end)
			return module;
	}
	return NULL;
}

/* Executable memory that is no file's. */
static int add_copied(struct update *u, const struct mapping *code)
{
	for (int step = -1; step <= 1; step += 2) {
		const struct mapping *m = file_beside(u, code, step);
		struct module *module = NULL;
		int failed = 0;

		if (!m || is_seen(u, m->begin)) /* a file whose code is its own */
			continue;
		module = find_copied(u, m, code);
		if (!module)
			failed = add_new(u, m, code, &module);
		if (module)
			see(u, module, m);
		if (failed || module)
			return failed;
	}
	return 0;
}

static int by_begin(const void *a, const void *b)
{
	const struct module *left = *(struct module *const *)a,
			    *right = *(struct module *const *)b;

	return (left->begin > right->begin) - (left->begin < right->begin);
}

static int sort_mapped(struct modules *modules)
{
	vec_clear(&modules->mapped);
	for (size_t i = 0; i < modules->list.len; i++) {
		if (modules->list.at[i]->mapped &&
		    !vec_push(&modules->mapped, modules->list.at[i]))
			return -ENOMEM;
	}
	if (modules->mapped.len)
		qsort(modules->mapped.at, modules->mapped.len, sizeof(modules->mapped.at[0]),
		      by_begin);
	return 0;
}

/* ---- what may not answer ---------------------------------------------------------- */

/* Is the mapping's file one of a local file system?  Looked up once for each device. */
static bool is_near(struct update *u, const struct mapping *m)
{
	struct modules *modules = u->modules;
	struct modules_device new = {.dev = m->dev};

	for (size_t i = 0; i < modules->devices.len; i++)
		if (modules->devices.at[i].dev == m->dev)
			return modules->devices.at[i].local;
	new.local = mounts_are_local(update_mounts(u), m->dev, m->path);
	(void)vec_push(&modules->devices, new);
	return new.local;
}

static int note_far(struct update *u)
{
	struct ranges *far = &u->modules->far;

	vec_clear(far);
	for (size_t i = 0; i < u->maps->list.len; i++) {
		const struct mapping *m = &u->maps->list.at[i];
		struct range range = {m->begin, m->end};

		if (m->inode && !is_near(u, m) && !vec_push(far, range))
			return -ENOMEM;
	}
	return 0;
}

int modules_update(struct modules *modules, int pid, const struct maps *maps,
		   struct memory *process, bool *changed, struct err *err)
{
	struct update u = {.modules = modules,
			   .pid = pid,
			   .maps = maps,
			   .process = process,
			   .page = (uint64_t)sysconf(_SC_PAGESIZE)};
	int failed = note_far(&u);

	for (size_t i = 0; i < modules->list.len; i++)
		modules->list.at[i]->seen = false;
	for (size_t i = 0; i < maps->list.len && !failed; i++) {
		const struct mapping *m = &maps->list.at[i];

		if (m->exec && (m->inode || is_vdso(m)))
			failed = add_mapping(&u, m);
	}
	for (size_t i = 0; i < maps->list.len && !failed; i++) {
		const struct mapping *m = &maps->list.at[i];

		if (m->exec && !is_kernels(m) && !is_seen(&u, m->begin))
			failed = add_copied(&u, m);
	}
	for (size_t i = 0; i < modules->list.len && !failed; i++) {
		struct module *module = modules->list.at[i];

		u.changed |= module->mapped && !module->seen;
		module->mapped = module->seen;
		if (!module->mapped)
			release_file(module);
	}
	if (sort_mapped(modules))
		failed = -ENOMEM;
	mounts_deinit(&u.mounts);
	if (changed)
		*changed = u.changed;
	return failed ? err_sys(err, failed, "reading the modules of pid %d", pid) : 0;
}

struct module *modules_find(const struct modules *modules, taddr_t pc)
{
	size_t low = order_count(modules->mapped.len, i, modules->mapped.at[i]->begin <= pc);

	if (low == 0 || pc >= modules->mapped.at[low - 1]->end)
		return NULL;
	return modules->mapped.at[low - 1];
}

struct module *modules_by_instance(const struct modules *modules, uint32_t instance)
{
	return instance && instance <= modules->list.len ? modules->list.at[instance - 1]
							 : NULL;
}
