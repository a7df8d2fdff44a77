/* Where a module's functions are; see entries.h. */
#include "hook/entries.h"

#include "unwind/cfi.h"

bool entries_are_of(const struct module *module, const struct arch *arch)
{
	return module->image && cfi_is_for(module->image, arch);
}

bool entries_find(const struct entries *entries, const char *name, struct image_symbol *ret)
{
	if (!entries_are_of(entries->module, entries->arch))
		return false;
	return image_symbol_find(entries->module->image, name, ret) ||
	       externals_symbol(entries->externals, entries->module, name, ret);
}

/* The loader of glibc has a malloc for its own first moments; musl's loader is libc. */
bool entries_may_allocate(const struct entries *entries, uint32_t loader)
{
	const struct module *module = entries->module;
	struct image_symbol symbol;

	if (module->vdso || !module->mapped || !entries_are_of(module, entries->arch))
		return false;
	return module->instance != loader ||
	       entries_find(entries, "__libc_start_main", &symbol);
}
