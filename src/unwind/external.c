/* A module is known again by its path and build-id: numbers are of one side alone. */
#include "unwind/external.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

void external_destroy(struct external *external)
{
	if (!external)
		return;
	module_id_deinit(&external->id);
	row_table_deinit(&external->rows);
	cfi_close(external->cfi);
	vec_deinit(&external->rules);
	vec_deinit(&external->symbols);
	free(external);
}

void externals_deinit(struct externals *externals)
{
	for (size_t i = 0; i < externals->len; i++)
		external_destroy(externals->at[i]);
	vec_deinit(externals);
}

static struct external *find(const struct externals *externals, const struct module *module)
{
	for (size_t i = externals ? externals->len : 0; i--;) { /* the latest first */
		struct external *external = externals->at[i];

		if (module_id_same_build(&external->id, &module->id) &&
		    !strcmp(external->id.path, module->id.path))
			return external;
	}
	return NULL;
}

const struct external *externals_find(const struct externals *externals,
				      const struct module *module)
{
	return find(externals, module);
}

int externals_step(const struct externals *externals, const struct module *module,
		   const struct arch *arch, uint64_t vaddr, struct memory *memory,
		   struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct external *external = find(externals, module);

	if (!external || !external->rules.len ||
	    (!external->cfi && cfi_open_copy(external->rules.at, external->rules.len, arch,
					     &external->cfi, NULL)))
		return -ENOENT;
	return cfi_step(external->cfi, vaddr, memory, regs, cfa, flags);
}

const struct row *externals_row(const struct externals *externals, const struct module *module,
				uint64_t vaddr)
{
	const struct external *external = externals_find(externals, module);

	return external ? row_table_find(&external->rows, vaddr) : NULL;
}

bool externals_symbol(const struct externals *externals, const struct module *module,
		      const char *name, struct image_symbol *ret)
{
	const struct external *external = externals_find(externals, module);

	for (size_t i = 0; external && i < external->symbols.len; i++) {
		const struct external_symbol *symbol = &external->symbols.at[i];
		if (strcmp(symbol->name, name))
			continue;
		*ret = (struct image_symbol){.name = symbol->name,
					     .value = symbol->value,
					     .size = symbol->size,
					     .thumb = symbol->thumb,
					     .type = STT_FUNC,
					     .bind = STB_GLOBAL};
		return true;
	}
	return false;
}
