/*
 * Recording unwind cases: see case.h.
 *
 * A stack is walked a second time, from a copy of its bytes and from the modules' files
 * read anew through pieces.h, which keeps what is read.  The copy of the stack begins
 * small and is doubled until both walks agree, so that a case is no larger than it must.
 */
#include "capture/case.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/recording.h"
#include "unwind/external.h"

enum {
	STACK_FIRST = 1024,
	STACK_MAX = 64 * 1024,
	CASES_MAX = 256,
	FRAMES_MAX = 512,
};

/* ---- walking -------------------------------------------------------------- */

/* A process of nothing but a stack. */
struct stage {
	struct tracee tracee;
	struct walker walker;
	struct hooks hooks;
	struct undo undo;
};

/* Where a trap at this slot keeps the register that it needs itself. */
static taddr_t saved_place(const struct walk_case *c)
{
	return c->slot - (taddr_t)c->arch->trap->frame + (taddr_t)c->arch->trap->saved;
}

static int fill(const struct walk_case *c, int fd)
{
	const int saved_reg = arch_saved_reg(c->arch);
	uint8_t saved[8];

	arch_put_word(c->arch, saved, regs_read(c->arch, &c->regs, saved_reg));
	if (pwrite(fd, c->stack, c->stack_len, (off_t)c->slot) != (ssize_t)c->stack_len)
		return -errno;
	if (saved_reg &&
	    pwrite(fd, saved, c->arch->word_size, (off_t)saved_place(c)) < 0)
		return -errno;
	return 0;
}

int case_walk(const struct walk_case *c, frame_t *frames, size_t max, size_t *ret,
	      enum walk_end *end)
{
	struct stage *stage = calloc(1, sizeof(*stage));
	int fd = memfd_create("memtrace-case", MFD_CLOEXEC);
	int failed = !stage ? -ENOMEM : fd < 0 ? -errno : fill(c, fd);

	if (!failed) {
		stage->tracee.arch = c->arch;
		target_of_file(&stage->tracee.target, fd);
		walker_init(&stage->walker, &stage->tracee, c->modules, &stage->hooks,
			    &stage->undo);
		stage->walker.externals = c->externals;
		stage->walker.first_sp = c->first_sp;
		*ret = walker_walk(&stage->walker, &c->regs, c->slot, c->leaf, frames, max,
				   end);
		walker_deinit(&stage->walker);
	}
	if (fd >= 0)
		close(fd);
	free(stage);
	return failed;
}

/* ---- modules -------------------------------------------------------------- */

static int module_add(struct case_recorder *recorder, const struct module *live)
{
	struct module *own = calloc(1, sizeof(*own));

	if (!own || !module_id_copy(&own->id, &live->id) ||
	    !vec_push(&recorder->modules.list, own)) {
		if (own)
			module_id_deinit(&own->id);
		free(own);
		return -ENOMEM;
	}
	own->instance = live->instance;
	own->vdso = live->vdso;
	return 0;
}

/* Our modules are the live ones, instance by instance.  -ESTALE: they can't be, there is
 * another program now. */
static int modules_follow(struct case_recorder *recorder, const struct modules *live)
{
	struct modules *own = &recorder->modules;
	int failed = 0;

	if (own->list.len > live->list.len)
		return -ESTALE;
	for (size_t i = 0; i < own->list.len; i++)
		if (strcmp(own->list.at[i]->id.path, live->list.at[i]->id.path))
			return -ESTALE;
	for (size_t i = own->list.len; i < live->list.len && !failed; i++)
		failed = module_add(recorder, live->list.at[i]);
	vec_clear(&own->mapped);
	for (size_t i = 0; i < live->mapped.len && !failed; i++) {
		const struct module *from = live->mapped.at[i];
		struct module *to = own->list.at[from->instance - 1];

		to->begin = from->begin;
		to->end = from->end;
		to->bias = from->bias;
		failed = vec_push(&own->mapped, to) ? 0 : -ENOMEM;
	}
	return failed;
}

/* Reads the module's file again, through pieces. */
static int module_open(struct module *own, const struct module *live, struct memory *process)
{
	struct memory *behind = live->vdso ? process : live->source;
	struct recording *pieces;
	struct err err;
	int failed;

	if (own->image || !live->image || !behind)
		return 0;
	pieces = malloc(sizeof(*pieces));
	if (!pieces)
		return -ENOMEM;
	recording_init(pieces, behind, live->vdso ? live->begin : 0);
	own->source = &pieces->memory;
	if (live->vdso)
		failed = image_open_loaded(own->source, live->begin, &own->image, &err);
	else
		failed = image_open(own->source, &own->image, &err);
	return failed;
}

static int modules_open(struct case_recorder *recorder, const struct walker *live,
			const frame_t *frames, size_t count)
{
	int failed = 0;

	for (size_t i = 0; i < count && !failed; i++) {
		uint32_t instance = frame_instance(frames[i]);
		struct module *own = modules_by_instance(&recorder->modules, instance);

		if (own)
			failed = module_open(own, modules_by_instance(live->modules, instance),
					     &live->tracee->target.memory);
	}
	return failed;
}

/* "libc.so.6.6a8c4d2e.file" */
static void pieces_name(const struct module *module, char *ret, size_t size)
{
	const char *slash = strrchr(module->id.path, '/');
	char id[9] = "none";

	for (unsigned i = 0; i < 4 && i < module->id.build_id_len; i++)
		snprintf(id + 2 * i, 3, "%02x", module->id.build_id[i]);
	snprintf(ret, size, "%s.%s.%s", slash ? slash + 1 : module->id.path, id,
		 module->vdso ? "memory" : "file");
}

static FILE *create(const struct case_recorder *recorder, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", recorder->dir, name);
	return fopen(path, "we");
}

static int finish(FILE *file)
{
	int failed = ferror(file) ? -EIO : 0;

	return fclose(file) ? -errno : failed;
}

/* All that was read of the modules so far. */
static int write_pieces(const struct case_recorder *recorder)
{
	int failed = 0;

	for (size_t i = 0; i < recorder->modules.list.len && !failed; i++) {
		const struct module *module = recorder->modules.list.at[i];
		char name[300];
		FILE *out;

		if (!module->image)
			continue;
		pieces_name(module, name, sizeof(name));
		out = create(recorder, name);
		if (!out)
			return -errno;
		recording_write((struct recording *)module->source, out);
		failed = finish(out);
	}
	return failed;
}

/* ---- writing a case --------------------------------------------------------- */

static void write_modules(const struct modules *modules, FILE *out)
{
	for (size_t i = 0; i < modules->mapped.len; i++) {
		const struct module *m = modules->mapped.at[i];
		char name[300] = "-";

		if (m->image)
			pieces_name(m, name, sizeof(name));
		fprintf(out, "module %x %" PRIx64 " %" PRIx64 " %" PRIx64 " ", m->instance,
			m->begin, m->end, m->bias);
		for (unsigned at = 0; at < m->id.build_id_len; at++)
			fprintf(out, "%02x", m->id.build_id[at]);
		fprintf(out, "%s %s %s\n", m->id.build_id_len ? "" : "-", name, m->id.path);
	}
}

/* Only the rows that the frames lie in. */
static void write_rows(const struct walk_case *c, const frame_t *frames, size_t count,
		       FILE *out)
{
	for (size_t i = 1; i < count; i++) {
		const struct module *m =
			modules_by_instance(c->modules, frame_instance(frames[i]));
		uint64_t vaddr = frame_lookup_offset(frames[i]);
		const struct row *row = m ? externals_row(c->externals, m, vaddr) : NULL;

		if (row)
			fprintf(out, "row %x %" PRIx64 " %x %x %x %x %x %x %x\n", m->instance,
				vaddr, row->cfa, (unsigned)row->cfa_offset, row->ra,
				(uint16_t)row->ra_offset, row->fp, (uint16_t)row->fp_offset,
				row->flags);
	}
}

static void write_text(const struct walk_case *c, const frame_t *frames, size_t count,
		       enum walk_end end, FILE *out)
{
	fprintf(out, "arch %s\nslot %" PRIx64 "\n", c->arch->name, c->slot);
	if (c->first_sp)
		fprintf(out, "first_sp %" PRIx64 "\n", c->first_sp);
	for (int reg = 0; reg < c->arch->reg_count; reg++)
		if (regs_read(c->arch, &c->regs, reg))
			fprintf(out, "reg %x %" PRIx64 "\n", (unsigned)reg,
				regs_read(c->arch, &c->regs, reg));
	write_modules(c->modules, out);
	write_rows(c, frames, count, out);
	fprintf(out, "leaf %x %" PRIx64 "\n", frame_instance(c->leaf), frame_offset(c->leaf));
	for (size_t i = 0; i < count; i++)
		fprintf(out, "frame %x %" PRIx64 "%s%s\n", frame_instance(frames[i]),
			frame_offset(frames[i]), frames[i] & FRAME_EXACT ? " exact" : "",
			frames[i] & FRAME_GUESS ? " guess" : "");
	fprintf(out, "end %x\n", (unsigned)end);
}

static int write_case(const struct case_recorder *recorder, const struct walk_case *c,
		      const frame_t *frames, size_t count, enum walk_end end)
{
	char name[32];
	FILE *out;
	int failed;

	snprintf(name, sizeof(name), "%03zu.stack", recorder->written.len);
	out = create(recorder, name);
	if (!out)
		return -errno;
	fwrite(c->stack, c->stack_len, 1, out);
	failed = finish(out);
	snprintf(name, sizeof(name), "%03zu.case", recorder->written.len);
	out = failed ? NULL : create(recorder, name);
	if (!out)
		return failed ? failed : -errno;
	write_text(c, frames, count, end, out);
	return finish(out);
}

/* ---- recording -------------------------------------------------------------- */

static uint64_t hash_of(const frame_t *frames, size_t count)
{
	uint64_t hash = count;

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ frames[i]) * 0x9e3779b97f4a7c15ull;
	return hash;
}

static bool is_written(const struct case_recorder *recorder, uint64_t hash)
{
	for (size_t i = 0; i < recorder->written.len; i++)
		if (recorder->written.at[i] == hash)
			return true;
	return recorder->written.len == CASES_MAX;
}

/* Does the case give these frames?  1: yes. */
static int walks_alike(const struct walk_case *c, const frame_t *frames, size_t count,
		       enum walk_end end)
{
	frame_t *again = calloc(FRAMES_MAX, sizeof(*again));
	enum walk_end again_end;
	size_t n = 0;
	int failed = again ? 0 : -ENOMEM;

	/* The same limit, where that is why the walk ended. */
	if (!failed)
		failed = case_walk(c, again, end == WALK_DEPTH ? count : FRAMES_MAX, &n,
				   &again_end);
	if (!failed)
		failed = n == count && again_end == end &&
			 !memcmp(again, frames, n * sizeof(*frames));
	free(again);
	return failed;
}

static int stack_take(struct walk_case *c, struct target *target, const frame_t *frames,
		      size_t count, enum walk_end end, uint8_t *room)
{
	size_t wanted = STACK_FIRST;
	ssize_t n;
	int alike;

	c->stack = room;
	do {
		n = target_read_some(target, c->slot, room, wanted);
		if (n < 0)
			return (int)n;
		c->stack_len = (size_t)n;
		alike = walks_alike(c, frames, count, end);
		if (alike)
			return alike < 0 ? alike : 0;
		wanted *= 2;
	} while (wanted <= STACK_MAX && c->stack_len == wanted / 2);
	return -ENOTSUP;
}

int case_record(struct case_recorder *recorder, const struct walker *live,
		const struct walked *walked, struct err *err)
{
	const frame_t *frames = walked->frames;
	const size_t count = walked->count;
	uint64_t hash = hash_of(frames, count);
	struct walk_case c = {.arch = live->tracee->arch,
			      .modules = &recorder->modules,
			      .externals = live->externals,
			      .regs = *walked->regs,
			      .slot = walked->slot,
			      .first_sp = live->first_sp,
			      .leaf = frames[0]};
	uint8_t *room;
	int failed;

	if (is_written(recorder, hash))
		return 0;
	if (c.arch->trap->saved_reg) {
		uint8_t saved[8] = {0};

		target_read(&live->tracee->target, saved_place(&c), saved, c.arch->word_size);
		regs_write(c.arch, &c.regs, c.arch->trap->saved_reg, arch_word(c.arch, saved));
	}
	room = malloc(STACK_MAX);
	failed = room ? modules_follow(recorder, live->modules) : -ENOMEM;
	if (!failed)
		failed = modules_open(recorder, live, frames, count);
	if (!failed)
		failed = stack_take(&c, &live->tracee->target, frames, count, walked->end, room);
	if (!failed)
		failed = write_case(recorder, &c, frames, count, walked->end);
	if (!failed)
		failed = write_pieces(recorder);
	free(room);
	if (failed == -ENOTSUP)
		err_set(err, failed,
			"a stack of %zu frames has no case: walked again it has others", count);
	else if (failed)
		err_sys(err, failed, "cannot write a case to %s", recorder->dir);
	if (!vec_push(&recorder->written, hash))
		return -ENOMEM;
	return failed;
}

int case_recorder_open(struct case_recorder *ret, const char *dir, struct err *err)
{
	*ret = (struct case_recorder){.dir = dir};
	modules_init(&ret->modules, module_unwind_forget);
	if (dir && mkdir(dir, 0777) && errno != EEXIST)
		return err_sys(err, -errno, "cannot make %s", dir);
	return 0;
}

void case_recorder_close(struct case_recorder *recorder)
{
	for (size_t i = 0; i < recorder->modules.list.len; i++)
		if (recorder->modules.list.at[i]->source)
			recording_deinit(
				(struct recording *)recorder->modules.list.at[i]->source);
	modules_deinit(&recorder->modules);
	vec_deinit(&recorder->written);
}
