/* What counts of a module's functions; see choice.h. */
#include "hook/choice.h"

#include <elf.h>
#include <string.h>

#include "hook/evidence.h"
#include "hook/ifunc.h"
#include "hook/loader_caller.h"

static bool is_operator(const struct function *function)
{
	return strncmp(function->name, "_Z", 2) == 0;
}

/*
 * Operators: mostly they lead to malloc and free, which are followed.  Where they don't (an
 * allocator's own), malloc runs in place of operator new if nobody can tell the blocks apart.
 */
static bool operator_counts(struct entries *entries, const struct function *function,
			    const struct image_symbol *symbol)
{
	if (evidence_leads_on(entries, function, symbol, !entries->same_blocks))
		return false;
	if (entries->same_blocks)
		return true;
	if (strncmp(function->name, "_Znw", 4) == 0 && !function->name[5] && entries->miss)
		entries->miss(entries->arg, "operator new",
			      "it does not get its memory from malloc, and its blocks may be "
			      "told from malloc's");
	return false;
}

static bool counts(struct entries *entries, const struct function *function,
		   const struct image_symbol *symbol)
{
	if (evidence_is_allocators(entries, function, symbol))
		return !is_operator(function) || operator_counts(entries, function, symbol);
	if (function->who == WHO_OLD && evidence_has_malloc(entries) &&
	    !evidence_leads_on(entries, function, symbol, true) && entries->miss)
		entries->miss(entries->arg, function->name,
			      "nothing shows that it is the allocator's");
	return false;
}

struct visitor {
	int (*visit)(void *arg, const struct function *function,
		     const struct image_symbol *symbol);
	void *arg;
};

/* One that is chosen later: each that it can be. */
static int visit_choices(struct entries *entries, const struct function *function,
			 const struct image_symbol *resolver, const struct visitor *visitor)
{
	struct image_symbol choices[IFUNC_CHOICES];
	size_t count = ifunc_choices(entries, resolver, choices);
	int rc = 0;

	if (!count && entries->miss)
		entries->miss(
			entries->arg, function->name,
			"it is chosen at run time (IFUNC), by code that does not tell from "
			"what");
	for (size_t i = 0; i < count && !rc; i++)
		rc = visitor->visit(visitor->arg, function, &choices[i]);
	return rc;
}

int choice_for_each(struct entries *entries, bool loader,
		    int (*visit)(void *arg, const struct function *function,
				 const struct image_symbol *symbol),
		    void *arg)
{
	struct visitor visitor = {visit, arg};
	size_t count;
	const struct function *functions = functions_table(loader, &count);
	struct image_symbol symbol;
	int rc = 0;

	evidence_prepare(entries);
	entries->same_blocks = evidence_delete_is_free(entries);
	for (size_t i = 0; i < count && !rc; i++) {
		if (!entries_find(entries, functions[i].name, &symbol) ||
		    !counts(entries, &functions[i], &symbol))
			continue;
		if (loader && loader_caller_find(entries, &symbol))
			rc = visit(arg, functions_loader_caller(), &symbol);
		else
			rc = symbol.type == STT_GNU_IFUNC
				     ? visit_choices(entries, &functions[i], &symbol, &visitor)
				     : visit(arg, &functions[i], &symbol);
	}
	return rc;
}
