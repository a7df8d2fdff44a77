/* A module is known again by its path and build-id: numbers are of one side alone. */
#include "capture/supply.h"

#include <elf.h>
#include <string.h>

void supply_destroy(struct supply *supply)
{
	if (!supply)
		return;
	free(supply->path);
	row_table_deinit(&supply->rows);
	vec_deinit(&supply->symbols);
	free(supply);
}

void supplies_deinit(struct supplies *supplies)
{
	for (size_t i = 0; i < supplies->len; i++)
		supply_destroy(supplies->at[i]);
	vec_deinit(supplies);
}

const struct supply *supplies_find(const struct supplies *supplies, const struct module *module)
{
	for (size_t i = supplies ? supplies->len : 0; i--;) { /* the latest first */
		const struct supply *supply = supplies->at[i];

		if (supply->build_id_len == module->build_id_len &&
		    !memcmp(supply->build_id, module->build_id, module->build_id_len) &&
		    !strcmp(supply->path, module->path))
			return supply;
	}
	return NULL;
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
					     .type = STT_FUNC,
					     .bind = STB_GLOBAL};
		return true;
	}
	return false;
}
