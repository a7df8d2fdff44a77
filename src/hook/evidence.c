/* Is a function what its name says?  See evidence.h. */
#include "hook/evidence.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

enum { CODE = 256, CALLEES = 32, PLT_CODE = 16, FIRST_CODE = 9, DEEP = 3, VISITS = 64 };

static bool is_at(const struct entries *entries, const char *name, uint64_t value)
{
	struct image_symbol symbol;

	return entries_find(entries, name, &symbol) && symbol.value == value;
}

/* A function local to its file means what that file wants.  In a static program that can be
 * anywhere (-static-pie) the linker makes malloc itself local. */
static bool is_private(const struct entries *entries, const struct image_symbol *symbol)
{
	struct image_symbol start;

	return symbol->bind == STB_LOCAL &&
	       !(entries_find(entries, "__libc_start_main", &start) && !start.dynamic);
}

/* ---- where code leads --------------------------------------------------- */

/* Those whose calls count in whatever module with malloc they are; no operators. */
static bool is_basic(const struct function *function)
{
	return function_is_allocators(function) && function->who <= WHO_ALLOCATOR &&
	       strncmp(function->name, "_Z", 2);
}

static void basic_add(struct entries *entries, const struct function *function,
		      const struct image_symbol *symbol)
{
	if (entries->basic_count < ENTRIES_BASIC)
		entries->basic[entries->basic_count++] =
			(struct entries_basic){symbol->value, function->call == CALL_FREE};
}

void evidence_prepare(struct entries *entries)
{
	size_t count;
	const struct function *functions = functions_table(false, &count);
	struct image_symbol symbol;

	entries->basic_count = 0;
	for (size_t i = 0; i < count; i++)
		if (is_basic(&functions[i]) &&
		    entries_find(entries, functions[i].name, &symbol) &&
		    !is_private(entries, &symbol))
			basic_add(entries, &functions[i], &symbol);
}

static bool is_followed_here(const struct entries *entries, uint64_t value, bool frees)
{
	for (size_t i = 0; i < entries->basic_count; i++)
		if (entries->basic[i].value == value && entries->basic[i].frees == frees)
			return true;
	return false;
}

/* By name, wherever it is: another module's is followed there.  An operator's is only where
 * it leads on, as far as is known of this module's. */
static bool is_followed_name(const struct entries *entries, const char *name, bool frees)
{
	size_t count;
	const struct function *functions = functions_table(false, &count);
	struct image_symbol symbol;

	if (strncmp(name, "_Z", 2) == 0)
		return entries_find(entries, name, &symbol) &&
		       is_followed_here(entries, symbol.value, frees);
	for (size_t i = 0; i < count; i++)
		if (is_basic(&functions[i]) && strcmp(functions[i].name, name) == 0)
			return (functions[i].call == CALL_FREE) == frees;
	return false;
}

static size_t callees_of(const struct entries *entries, uint64_t value, size_t len,
			 struct callee *ret)
{
	uint64_t state = value & entries->arch->state_mask;
	uint8_t code[CODE];

	if (len > sizeof(code) || image_read(entries->module->image, value & ~state, code, len))
		return 0;
	return entries->arch->trap->callees(code, len, value, ret, CALLEES);
}

/* The name behind a slot, or behind an entry of the PLT, which begins with a jump through
 * one; NULL: none. */
static const char *name_of(const struct entries *entries, const struct callee *callee)
{
	struct callee through[CALLEES];
	size_t count;

	if (callee->slot)
		return image_slot_name(entries->module->image, callee->slot);
	count = callees_of(entries, callee->target, PLT_CODE, through);
	return count && through[0].slot
		       ? image_slot_name(entries->module->image, through[0].slot)
		       : NULL;
}

struct search {
	const struct entries *entries;
	bool frees;
	int visits; /* left */
};

static bool leads(struct search *s, uint64_t value, uint64_t size, int deep)
{
	uint64_t state_mask = s->entries->arch->state_mask;
	struct callee callees[CALLEES];
	size_t count =
		callees_of(s->entries, value, size && size < CODE ? size : CODE, callees);

	for (size_t i = 0; i < count && s->visits > 0; i++) {
		const char *name = name_of(s->entries, &callees[i]);
		uint64_t target = callees[i].target;
		struct image_symbol symbol = {.size = CODE};

		s->visits--;
		if (name ? is_followed_name(s->entries, name, s->frees)
			 : target && is_followed_here(s->entries, target & ~state_mask,
						      s->frees))
			return true;
		if (name || !target || deep <= 1 || target - value < size)
			continue;
		image_symbol_at(s->entries->module->image, target & ~state_mask, &symbol);
		if (leads(s, target, symbol.size, deep - 1))
			return true;
	}
	return false;
}

bool evidence_leads_on(struct entries *entries, const struct function *function,
		       const struct image_symbol *symbol, bool deep)
{
	struct search search = {entries, function->call == CALL_FREE, VISITS};

	if (!leads(&search, symbol->value | symbol->thumb, symbol->size, deep ? DEEP : 1))
		return false;
	basic_add(entries, function, symbol);
	return true;
}

/* Is all that a function does a jump to free, or is it the same function? */
static bool is_free(const struct entries *entries, const struct image_symbol *symbol)
{
	uint64_t value = symbol->value | symbol->thumb, state_mask = entries->arch->state_mask;
	size_t len = symbol->size && symbol->size < FIRST_CODE ? symbol->size : FIRST_CODE;
	struct callee callees[CALLEES];
	const char *name;

	if (is_at(entries, "free", symbol->value))
		return true;
	if (!callees_of(entries, value, len, callees))
		return false;
	name = name_of(entries, &callees[0]);
	return name ? strcmp(name, "free") == 0
		    : is_at(entries, "free", callees[0].target & ~state_mask);
}

bool evidence_delete_is_free(const struct entries *entries)
{
	struct image_symbol symbol;

	return entries_find(entries, "_ZdlPv", &symbol) && is_free(entries, &symbol);
}

/* ---- whose function it is ----------------------------------------------- */

/* Of libraries that replace malloc, what only they have; in a program that links them, too. */
static bool has_any(const struct entries *entries, const char *const *names, size_t count)
{
	struct image_symbol symbol;

	for (size_t i = 0; i < count; i++)
		if (entries_find(entries, names[i], &symbol))
			return true;
	return false;
}

static bool is_known_allocator(const struct entries *entries)
{
	static const char *const marks[] = {"mallctl", "tc_malloc", "mi_malloc", "rpmalloc"};

	return has_any(entries, marks, ARRAY_SIZE(marks));
}

/* A library, which has nothing of a program's; the C library is one. */
static bool is_library(const struct entries *entries)
{
	struct image *image = entries->module->image;
	struct image_symbol symbol;

	if (entries_find(entries, "__libc_start_main", &symbol))
		return symbol.dynamic;
	return image_type(image) == ET_DYN && !image_interpreter(image) && !image_is_pie(image);
}

/* glibc's functions have a second name, or can be replaced. */
static bool is_c_librarys(const struct entries *entries, const struct image_symbol *symbol)
{
	char name[64];

	snprintf(name, sizeof(name), "__libc_%s", symbol->name);
	return symbol->bind == STB_WEAK || is_at(entries, name, symbol->value);
}

/* Is it one of the four, or is it one of those that count anyway? */
static bool is_among(const struct entries *entries, const struct image_symbol *symbol)
{
	static const char *const four[] = {"malloc", "free", "calloc", "realloc"};
	uint64_t lowest = UINT64_MAX, highest = 0;
	struct image_symbol other;

	for (size_t i = 0; i < ARRAY_SIZE(four); i++) {
		if (!entries_find(entries, four[i], &other))
			continue;
		lowest = other.value < lowest ? other.value : lowest;
		highest = other.value > highest ? other.value : highest;
	}
	return (symbol->value > lowest && symbol->value < highest) ||
	       is_followed_here(entries, symbol->value, true) ||
	       is_followed_here(entries, symbol->value, false);
}

bool evidence_has_malloc(const struct entries *entries)
{
	struct image_symbol a, b;

	return entries_find(entries, "malloc", &a) && entries_find(entries, "free", &b) &&
	       !is_private(entries, &a) && !is_private(entries, &b);
}

bool evidence_is_allocators(const struct entries *entries, const struct function *function,
			    const struct image_symbol *symbol)
{
	static const char *const mallctl = "mallctl", *const start = "__libc_start_main";

	if (is_private(entries, symbol))
		return false;
	switch (function->who) {
	case WHO_ANY:
		return true;
	case WHO_ALLOCATOR:
		return evidence_has_malloc(entries);
	case WHO_OLD:
		return evidence_has_malloc(entries) &&
		       (is_library(entries) || is_known_allocator(entries) ||
			is_c_librarys(entries, symbol) || is_among(entries, symbol));
	case WHO_JEMALLOC:
		return has_any(entries, &mallctl, 1);
	case WHO_LIBC:
		return entries->mappings && has_any(entries, &start, 1);
	}
	return false;
}
