/*
 * Symbol tables, sorted: by address for lookups, by name when the first name is asked
 * for.  Of several names at one address the one people know is shown: global before weak
 * before local, few leading underscores, short (malloc, not __libc_malloc).
 */
#include "serve/functions.h"

#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "base/order.h"
#include "base/vec.h"
#include "serve/demangle.h"

enum { NEST = 16 }; /* how far back a symbol that covers an address is looked for */

struct code { /* an executable segment */
	uint64_t begin, size;
};

struct functions {
	VEC(struct code) code;
	VEC(struct function) list; /* by begin, then rank */
	VEC(char *) names;	   /* beside it: readable ones, made when asked for */
	VEC(uint32_t) by_name;	   /* indexes into list */
	bool sorted, named;
	bool all_code_is_named; /* a .symtab is there: .dynsym has but what is exported */
};

struct functions *functions_create(void)
{
	return calloc(1, sizeof(struct functions));
}

void functions_destroy(struct functions *functions)
{
	if (!functions)
		return;
	for (size_t i = 0; i < functions->names.len; i++)
		free(functions->names.at[i]);
	vec_deinit(&functions->names);
	vec_deinit(&functions->by_name);
	vec_deinit(&functions->list);
	vec_deinit(&functions->code);
	free(functions);
}

/* As local, though a linker may have left it STB_GLOBAL. */
static bool is_hidden(const GElf_Sym *sym)
{
	unsigned visibility = GELF_ST_VISIBILITY(sym->st_other);

	return visibility == STV_HIDDEN || visibility == STV_INTERNAL;
}

static uint8_t rank_of(const GElf_Sym *sym, const char *name)
{
	size_t underscores = strspn(name, "_");
	unsigned rank = 0;

	if (GELF_ST_BIND(sym->st_info) == STB_LOCAL || is_hidden(sym))
		rank = 80;
	else if (GELF_ST_BIND(sym->st_info) == STB_WEAK)
		rank = 40;
	if (GELF_ST_TYPE(sym->st_info) == STT_NOTYPE)
		rank += 120;
	/* A mangled name's underscores say nothing. */
	if (strncmp(name, "_Z", 2) && strncmp(name, "_R", 2))
		rank += 10 * (unsigned)(underscores < 3 ? underscores : 3);
	return (uint8_t)rank;
}

/* Functions, and the unnamed types of assembler code; no mapping symbols ($x). */
static bool is_function(const GElf_Sym *sym, const char *name)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);

	if (!name || !*name || sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS ||
	    !sym->st_value)
		return false;
	return type == STT_FUNC || type == STT_GNU_IFUNC ||
	       (type == STT_NOTYPE && *name != '$' && *name != '.');
}

static bool is_code(const struct functions *functions, uint64_t vaddr)
{
	for (size_t i = 0; i < functions->code.len; i++)
		if (vaddr - functions->code.at[i].begin < functions->code.at[i].size)
			return true;
	return false;
}

/* Adds the parts of the address space that hold code. */
static bool code_add(struct functions *functions, Elf *elf)
{
	size_t count;
	GElf_Phdr phdr;

	if (elf_getphdrnum(elf, &count) < 0)
		return true;
	for (size_t i = 0; i < count && gelf_getphdr(elf, (int)i, &phdr); i++)
		if (phdr.p_type == PT_LOAD && (phdr.p_flags & PF_X) &&
		    !is_code(functions, phdr.p_vaddr) &&
		    !vec_push(&functions->code, ((struct code){phdr.p_vaddr, phdr.p_memsz})))
			return false;
	return true;
}

static int table_add(struct functions *functions, Elf *elf, Elf_Scn *scn, const GElf_Shdr *shdr)
{
	Elf_Data *data = elf_getdata(scn, NULL);
	size_t count = data && shdr->sh_entsize ? data->d_size / shdr->sh_entsize : 0;
	bool has_state;
	GElf_Ehdr ehdr;
	GElf_Sym sym;

	has_state = gelf_getehdr(elf, &ehdr) &&
		    (ehdr.e_machine == EM_ARM || ehdr.e_machine == EM_MIPS);
	for (size_t i = 0; i < count && i <= INT32_MAX; i++) {
		const char *name = gelf_getsym(data, (int)i, &sym)
					   ? elf_strptr(elf, shdr->sh_link, sym.st_name)
					   : NULL;
		bool thumb = false;

		if (!is_function(&sym, name))
			continue;
		/* ELF for the Arm Architecture (IHI 0044), 5.5.3: bit 0 says that it is T32.
		 * (MIPS16: in .dynsym.) */
		if (has_state && GELF_ST_TYPE(sym.st_info) == STT_FUNC)
			thumb = sym.st_value & 1;
		sym.st_value -= thumb;
		if (!is_code(functions, sym.st_value))
			continue;
		if (!vec_push(&functions->list,
			      ((struct function){sym.st_value, sym.st_size, name, thumb,
						 rank_of(&sym, name)})))
			return -ENOMEM;
	}
	return 0;
}

int functions_add(struct functions *functions, const struct elffile *file, struct err *err)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	functions->sorted = functions->named = false;
	if (!code_add(functions, file->elf))
		return err_set(err, -ENOMEM, "%s: no memory for symbols", file->path);
	while ((scn = elf_nextscn(file->elf, scn))) {
		if (!gelf_getshdr(scn, &shdr) ||
		    (shdr.sh_type != SHT_SYMTAB && shdr.sh_type != SHT_DYNSYM))
			continue;
		if (table_add(functions, file->elf, scn, &shdr))
			return err_set(err, -ENOMEM, "%s: no memory for symbols", file->path);
		functions->all_code_is_named |= shdr.sh_type == SHT_SYMTAB;
	}
	return 0;
}

size_t functions_count(const struct functions *functions)
{
	return functions->list.len;
}

static int address_order(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank - y->rank;
	return strcmp(x->symbol, y->symbol);
}

static bool sort(struct functions *functions)
{
	if (functions->sorted)
		return true;
	for (size_t i = 0; i < functions->names.len; i++)
		free(functions->names.at[i]);
	if (!vec_reserve(&functions->names, functions->list.len))
		return false;
	functions->names.len = functions->list.len;
	if (functions->list.len) {
		memset(functions->names.at, 0,
		       functions->names.len * sizeof(*functions->names.at));
		qsort(functions->list.at, functions->list.len, sizeof(*functions->list.at),
		      address_order);
	}
	functions->sorted = true;
	return true;
}

/* How many of the list begin at or below vaddr. */
static size_t below(const struct functions *functions, uint64_t vaddr)
{
	return order_count(functions->list.len, i, functions->list.at[i].begin <= vaddr);
}

const struct function *functions_at(struct functions *functions, uint64_t vaddr)
{
	const struct function *found = NULL;
	size_t count, steps = 0;
	uint64_t begin = 0;

	if (!is_code(functions, vaddr) || !sort(functions))
		return NULL;
	count = below(functions, vaddr);
	/* Backwards: the first address with a symbol that covers vaddr, and there the best
	 * rank; a few other addresses may come between (labels within a function). */
	for (size_t i = count; i-- && steps < NEST;) {
		const struct function *function = &functions->list.at[i];
		if (found && function->begin != found->begin)
			return found;
		steps += function->begin != begin;
		begin = function->begin;
		if (vaddr - function->begin < function->size)
			found = function;
	}
	if (found || !count)
		return found;
	/* Nobody covers it: the nearest one, if it may reach here. */
	begin = functions->list.at[count - 1].begin;
	if (begin != vaddr && !functions->all_code_is_named)
		return NULL;
	for (size_t i = count; i-- && functions->list.at[i].begin == begin;)
		if (!functions->list.at[i].size)
			found = &functions->list.at[i];
	return found;
}

/* Names are equal up to "@VERSION" of the symbol. */
static int name_compare(const char *name, const char *symbol)
{
	size_t len = strcspn(symbol, "@");
	int order = strncmp(name, symbol, len);

	return order ? order : (unsigned char)name[len];
}

static int name_order(const void *a, const void *b, void *arg)
{
	const struct functions *functions = arg;
	const struct function *x = &functions->list.at[*(const uint32_t *)a];
	const struct function *y = &functions->list.at[*(const uint32_t *)b];
	size_t xl = strcspn(x->symbol, "@"), yl = strcspn(y->symbol, "@");
	int order = strncmp(x->symbol, y->symbol, xl < yl ? xl : yl);

	if (order || xl != yl)
		return order ? order : xl < yl ? -1 : 1;
	return x->rank - y->rank;
}

static bool sort_names(struct functions *functions)
{
	if (functions->named)
		return true;
	if (!sort(functions) || !vec_reserve(&functions->by_name, functions->list.len))
		return false;
	functions->by_name.len = functions->list.len;
	for (size_t i = 0; i < functions->list.len; i++)
		functions->by_name.at[i] = (uint32_t)i;
	if (functions->by_name.len)
		qsort_r(functions->by_name.at, functions->by_name.len,
			sizeof(*functions->by_name.at), name_order, functions);
	functions->named = true;
	return true;
}

static const struct function *by_name(const struct functions *functions, size_t i)
{
	return &functions->list.at[functions->by_name.at[i]];
}

const struct function *functions_find(struct functions *functions, const char *name)
{
	const struct function *found;
	size_t before;

	if (!sort_names(functions))
		return NULL;
	before = order_count(functions->by_name.len, i,
			     name_compare(name, by_name(functions, i)->symbol) > 0);
	if (before == functions->by_name.len)
		return NULL;
	found = by_name(functions, before); /* the best rank of the name */
	return name_compare(name, found->symbol) ? NULL : found;
}

const char *functions_name(struct functions *functions, const struct function *function)
{
	size_t index = (size_t)(function - functions->list.at);
	char **name = &functions->names.at[index];

	if (!*name)
		*name = demangle(function->symbol);
	if (!*name)
		*name = strndup(function->symbol, strcspn(function->symbol, "@"));
	return *name ? *name : function->symbol;
}
