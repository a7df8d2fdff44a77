/* A module is known again by its path and build-id: numbers are of one side alone. */
#include "capture/supply.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

void supply_destroy(struct supply *supply)
{
	if (!supply)
		return;
	free(supply->path);
	row_table_deinit(&supply->rows);
	cfi_close(supply->cfi);
	vec_deinit(&supply->rules);
	vec_deinit(&supply->symbols);
	free(supply);
}

void supplies_deinit(struct supplies *supplies)
{
	for (size_t i = 0; i < supplies->len; i++)
		supply_destroy(supplies->at[i]);
	vec_deinit(supplies);
}

static struct supply *find(const struct supplies *supplies, const struct module *module)
{
	for (size_t i = supplies ? supplies->len : 0; i--;) { /* the latest first */
		struct supply *supply = supplies->at[i];

		if (supply->build_id_len == module->build_id_len &&
		    !memcmp(supply->build_id, module->build_id, module->build_id_len) &&
		    !strcmp(supply->path, module->path))
			return supply;
	}
	return NULL;
}

const struct supply *supplies_find(const struct supplies *supplies, const struct module *module)
{
	return find(supplies, module);
}

int supplies_step(const struct supplies *supplies, const struct module *module,
		  const struct arch *arch, uint64_t vaddr, struct memory *memory,
		  struct full_regs *regs, uint64_t *cfa, uint8_t *flags)
{
	struct supply *supply = find(supplies, module);

	if (!supply || !supply->rules.len ||
	    (!supply->cfi &&
	     cfi_open_copy(supply->rules.at, supply->rules.len, arch, &supply->cfi, NULL)))
		return -ENOENT;
	return cfi_step(supply->cfi, vaddr, memory, regs, cfa, flags);
}

const struct row *supplies_row(const struct supplies *supplies, const struct module *module,
			       uint64_t vaddr)
{
	const struct supply *supply = supplies_find(supplies, module);

	return supply ? row_table_find(&supply->rows, vaddr) : NULL;
}

bool supplies_symbol(const struct supplies *supplies, const struct module *module,
		     const char *name, struct image_symbol *ret)
{
	const struct supply *supply = supplies_find(supplies, module);

	for (size_t i = 0; supply && i < supply->symbols.len; i++) {
		const struct supply_symbol *symbol = &supply->symbols.at[i];
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
