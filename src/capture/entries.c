/* Where a module's functions are; see entries.h. */
#include "capture/entries.h"

#include <elf.h>
#include <string.h>

#include "capture/plan.h"

enum { FORWARD_CODE = 256 };

bool entries_are_of(const struct module *module, const struct arch *arch)
{
	return module->image && image_machine(module->image) == arch->elf_machine &&
	       image_class(module->image) == arch->elf_class;
}

bool entries_find(const struct entries *entries, const char *name, struct image_symbol *ret)
{
	if (!entries_are_of(entries->module, entries->arch))
		return false;
	return image_symbol_find(entries->module->image, name, ret) ||
	       supplies_symbol(entries->supplies, entries->module, name, ret);
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

static bool is_operator(const struct function *function)
{
	return strncmp(function->name, "_Z", 2) == 0;
}

/* libstdc++ in a static program: its operator new calls the malloc beside it. */
static bool operators_forward(const struct entries *entries)
{
	static const char *const names[] = {"_Znwm", "_Znwj"};
	const struct arch *arch = entries->arch;
	struct image_symbol malloc_, new_;
	uint8_t code[FORWARD_CODE];

	if (!entries_find(entries, "malloc", &malloc_))
		return true; /* no malloc here: it must come from one that is hooked */
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!entries_find(entries, names[i], &new_))
			continue;
		size_t len = new_.size < sizeof(code) ? new_.size : sizeof(code);
		if (!arch->calls)
			return false;
		if (image_read(entries->module->image, new_.value, code, len) == 0 &&
		    arch->calls(code, len, new_.value, malloc_.value))
			return true;
	}
	return false;
}

int entries_for_each(const struct entries *entries, bool loader,
		     int (*visit)(void *arg, const struct function *function,
				  const struct image_symbol *symbol),
		     void *arg)
{
	size_t count;
	const struct function *functions = hooks_functions(loader, &count);
	struct image_symbol symbol;
	bool forward = operators_forward(entries);
	int rc = 0;

	for (size_t i = 0; i < count && !rc; i++) {
		if (!entries_find(entries, functions[i].name, &symbol) ||
		    symbol.type != STT_FUNC)
			continue;
		if (!is_operator(&functions[i]) || !forward)
			rc = visit(arg, &functions[i], &symbol);
	}
	return rc;
}
