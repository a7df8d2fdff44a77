/*
 * What a function's code is.
 *
 *    memory == file                               as it should be
 *    memory != file where a relocation writes     memory is right (text relocations)
 *    memory != file, a jump into an area of stubs a predecessor's patch: the file is right
 *    memory != file in the first byte: a break-   the file is right: it is a uprobe's
 *              point instruction
 *    memory != file otherwise                     somebody else works there: nobody can
 *                                                 say what is meant to run
 *
 * Only what is known to be whole is displaced.  Behind the first byte that is not, the file
 * says what the function is: for the search for branches that lead back.
 */
#include "hook/code.h"

#include <errno.h>
#include <string.h>

#include "hook/area.h"

enum { CODE_MAX = 4096, SHORT_CODE = 16 };

void code_deinit(struct code *code)
{
	free(code->bytes);
	free(code->there);
	*code = (struct code){.len = 0};
}

/* ---- how long it is ---------------------------------------------------- */

struct next_search {
	uint64_t from, next;
};

static bool is_next(void *arg, const struct image_symbol *symbol)
{
	struct next_search *search = arg;

	if (symbol->value >= search->from && symbol->value < search->next)
		search->next = symbol->value;
	return false;
}

size_t code_size(const struct module *module, uint64_t vaddr, uint64_t size)
{
	struct next_search search = {vaddr + (size ? size : 1), 0};

	if (size >= CODE_MAX)
		return CODE_MAX;
	if (size >= SHORT_CODE)
		return (size_t)size;
	search.next = size ? (vaddr + size + SHORT_CODE - 1) & ~(uint64_t)(SHORT_CODE - 1)
			   : vaddr + SHORT_CODE;
	image_for_each_symbol(module->image, is_next, &search);
	return (size_t)(search.next - vaddr);
}

/* ---- what it is -------------------------------------------------------- */

struct leftover_search {
	taddr_t addr;
	bool found;
};

static bool leftover_covers(void *arg, taddr_t begin, taddr_t end)
{
	struct leftover_search *search = arg;

	search->found = search->addr >= begin && search->addr < end;
	return search->found;
}

static bool is_stub(const struct hook_process *process, taddr_t addr)
{
	struct leftover_search search = {addr, false};

	for (size_t i = 0; addr && !search.found && i < process->modules->mapped.len; i++) {
		struct space space;

		if (padding_of(process->modules->mapped.at[i], process->maps, &space) &&
		    addr - space.base < space.len)
			area_visit(process->tracee, &space, leftover_covers, &search);
	}
	return search.found;
}

/* The byte at which a predecessor's patch begins; len: there is none. */
static size_t patch_find(const struct code *code, const struct hook_process *process,
			 taddr_t address)
{
	const struct arch *arch = process->tracee->arch;

	for (size_t at = 0; at + arch->trap->patch_len <= code->len && at < ARCH_MAX_DISPLACED; at++)
		if (!(at & arch->state_mask) &&
		    memcmp(code->there + at, code->bytes + at, arch->trap->patch_len) &&
		    is_stub(process, arch->trap->patch_target(code->there + at, address + at)))
			return at;
	return code->len;
}

static void compare(struct code *code, const struct arch *arch, struct image *image,
		    uint64_t vaddr, size_t patch)
{
	size_t from = arch->trap->patch_offset(code->bytes, code->len);

	code->breakpoint = arch->trap->is_breakpoint && from < code->len &&
			   code->there[from] != code->bytes[from] &&
			   arch->trap->is_breakpoint(code->there + from);
	code->whole = code->len;
	for (size_t at = from + code->breakpoint; at < code->len; at++) {
		bool patched = at - patch < arch->trap->patch_len;

		if (code->there[at] == code->bytes[at] && !patched)
			continue;
		if (!image_is_relocated(image, vaddr + at)) {
			if (!patched && code->whole == code->len)
				code->whole = at;
		} else if (patched && code->whole == code->len) {
			code->whole = at; /* what the patch covers is in no file */
		} else if (!patched) {
			code->bytes[at] = code->there[at];
		}
	}
}

int code_read(struct code *ret, const struct hook_process *process, const struct module *module,
	      uint64_t vaddr, bool thumb, size_t len)
{
	struct code code = {.bytes = calloc(1, len), .there = calloc(1, len), .len = len};
	struct tracee *tracee = process->tracee;
	size_t least = tracee->arch->trap->patch_len;
	taddr_t address = module->bias + vaddr;
	int rc = code.bytes && code.there ? 0 : -ENOMEM;

	while (!rc && code.len >= least &&
	       image_read(module->image, vaddr, code.bytes, code.len))
		code.len /= 2;
	if (!rc && code.len < least)
		rc = -ENOEXEC;
	if (!rc)
		rc = target_read(&tracee->target, address, code.there, code.len) ? -EFAULT : 0;
	if (rc) {
		code_deinit(&code);
		return rc;
	}
	compare(&code, tracee->arch, module->image, vaddr,
		patch_find(&code, process, address | thumb));
	*ret = code;
	return 0;
}
