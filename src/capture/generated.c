/*
 * A walk knows generated code by its address alone (FRAME_NOWHERE); so does the region.  In a
 * snapshot, a copy, each of these frames is put into a module that stands for its kind of memory:
 *
 *     (0, pc)   -->   (module "[anon:v8]", pc)        named by prctl(PR_SET_VMA_ANON_NAME)
 *                     (module "[memfd:doublemapper]", pc)
 *                     (module "[/dev/zero]", pc)      a file that is no ELF file
 *                     (module "[generated code]", pc) memory without any name
 *
 * so that whatever names modules says where the code is.  They come behind the real modules, and
 * may have other numbers in the next snapshot; a bias they do not have.
 */
#include "capture/generated.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "capture/parts.h"
#include "heap/generated.h"

void generated_update(struct engine *engine)
{
	struct program *program = &engine->program;
	pid_t alive = tracee_alive(&engine->tracee);
	bool changed = false;

	/* (memory is short: what is named now stays unnamed) */
	if (parts_have(PART_runtimes) && alive &&
	    !jit_names_update(&program->jit, alive, &program->maps, &changed) && changed)
		walker_forget(&engine->ledger.walker);
}

void generated_at_end(struct engine *engine)
{
	struct region *region = engine->ledger.region;

	if (!program_names_at_end(&engine->program))
		return;
	generated_update(engine);
	for (uint32_t i = WALK_ENDS; i < region_node_count(region); i++) {
		frame_t frame = region_node(region, i)->frame;

		if (frame_instance(frame) == FRAME_NOWHERE)
			(void)jit_names_find(&engine->program.jit, frame_lookup_offset(frame)); /* which notes it */
	}
}

/* What stands for the kind of memory that a mapping is. */
static void label(const struct mapping *m, char *ret, size_t size)
{
	const char *path = m->path;

	if (!strncmp(path, "[anon", 5))
		snprintf(ret, size, "%.*s", (int)size - 1, path);
	else if (!strncmp(path, "/memfd:", 7))
		snprintf(ret, size, "[%.*s]", (int)size - 3, path + 1);
	else if (*path)
		snprintf(ret, size, "[%.*s]", (int)size - 3, path);
	else
		snprintf(ret, size, "[generated code]");
}

static uint32_t module_of(struct snapshot *s, const char *path, size_t real)
{
	const struct module_id id = {.path = path};
	struct snapshot_module *grown, new = {.mapped = true};

	for (size_t i = real; i < s->module_count; i++)
		if (!strcmp(s->modules[i].id.path, path))
			return s->modules[i].instance;
	if (s->module_count + 1 >= WALKER_STUB)
		return FRAME_NOWHERE;
	grown = realloc(s->modules, (s->module_count + 1) * sizeof(*grown));
	if (!grown)
		return FRAME_NOWHERE;
	s->modules = grown;
	new.instance = (uint32_t)s->module_count + 1;
	if (!module_id_copy(&new.id, &id))
		return FRAME_NOWHERE;
	grown[s->module_count++] = new;
	return new.instance;
}

/* Its module reaches from the first to the last mapping of its kind. */
static uint32_t place(struct engine *engine, struct snapshot *s, taddr_t pc, size_t real)
{
	const struct mapping *m = maps_find(&engine->program.maps, pc);
	struct snapshot_module *module;
	uint32_t instance;
	char path[128];

	if (!m || !m->exec)
		return FRAME_NOWHERE;
	label(m, path, sizeof(path));
	instance = module_of(s, path, real);
	if (!instance)
		return instance;
	module = &s->modules[instance - 1];
	if (!module->end || m->begin < module->begin)
		module->begin = m->begin;
	if (m->end > module->end)
		module->end = m->end;
	return instance;
}

int generated_describe(struct engine *engine, struct snapshot *snapshot)
{
	size_t real = snapshot->module_count;
	bool updated = false, nameless = false;
	int rc = 0;

	for (uint32_t i = WALK_ENDS; i < snapshot->node_count && !rc; i++) {
		frame_t *frame = &snapshot->nodes[i].frame;
		taddr_t pc = frame_lookup_offset(*frame);
		const char *name;
		uint32_t instance;

		if (frame_instance(*frame) != FRAME_NOWHERE)
			continue;
		if (!updated)
			generated_update(engine);
		updated = true;
		instance = place(engine, snapshot, pc, real);
		*frame |= frame_of(instance, 0);
		name = instance ? jit_names_find(&engine->program.jit, pc) : NULL;
		nameless |= !name;
		rc = generated_note(&snapshot->generated, *frame, name);
	}
	if (nameless)
		snapshot->generated_advice = runtime_names(engine->program.runtime);
	generated_sort(&snapshot->generated);
	return rc;
}
