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

enum { CODE_MAX = 4096, SHORT_CODE = 16, MOST_JUMPS = 4 };

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

static uint64_t state_of(const struct arch *arch, const struct image_symbol *symbol)
{
	return symbol->thumb ? arch->state_mask : 0;
}

bool code_is_too_short(const struct arch *arch, const struct module *module,
		       const struct image_symbol *symbol)
{
	size_t len = code_size(module, symbol->value, symbol->size);
	uint64_t from = symbol->value | state_of(arch, symbol);
	uint8_t *code = malloc(len);
	struct displaced displaced;
	struct err err;
	bool fits = true;

	if (code && !image_read(module->image, symbol->value, code, len))
		fits = arch->trap->displace(code, len, from, from, &displaced, &err) != -ENOTSUP;
	free(code);
	return !fits;
}

/* How many calls and jumps there are from byte `at` on, and the target of the first; 0: it is in a slot. */
static size_t leads_on(const struct arch *arch, const struct image_symbol *symbol, const uint8_t *code,
		       size_t len, size_t at, uint64_t *target)
{
	struct callee callee = {.target = 0};
	size_t count = arch->trap->callees(code + at, len - at,
					   (symbol->value + at) | state_of(arch, symbol), &callee, 1);

	*target = callee.target;
	return count;
}

/* Nothing but a jump: musl's free() where the linker makes it a c.j of two bytes (RISC-V), with
 * another function behind it. */
static bool is_jump(const struct arch *arch, const struct module *module,
		    const struct image_symbol *symbol, uint64_t *ret)
{
	size_t len = symbol->size ? (size_t)symbol->size
				  : code_size(module, symbol->value, symbol->size);
	uint8_t code[ARCH_MAX_DISPLACED];
	uint64_t behind;

	if (!len || len >= arch->trap->patch_len ||
	    image_read(module->image, symbol->value, code, len) ||
	    leads_on(arch, symbol, code, len, 0, ret) != 1 || !*ret ||
	    !code_is_too_short(arch, module, symbol))
		return false;
	for (size_t at = 1; at < len; at++) /* something else in front of it may change arguments */
		if (leads_on(arch, symbol, code, len, at, &behind))
			return false;
	return true;
}

void code_follow(const struct arch *arch, const struct module *module, struct image_symbol *symbol)
{
	struct image_symbol next;
	uint64_t target;
	bool known;

	for (int jumps = 0; jumps < MOST_JUMPS; jumps++) {
		if (!is_jump(arch, module, symbol, &target))
			return;
		known = image_symbol_at(module->image, target & ~arch->state_mask, &next);
		if (known && next.size && next.value != (target & ~arch->state_mask))
			return; /* into the middle of a function, whose calls would be counted, too */
		symbol->thumb = (target & arch->state_mask) != 0;
		symbol->value = target & ~arch->state_mask;
		symbol->size = known && next.value == symbol->value ? next.size : 0;
	}
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

/* Where a predecessor's patch is. */
static void patch_find(struct code *code, const struct hook_process *process, taddr_t address)
{
	const struct arch *arch = process->tracee->arch;

	for (size_t at = 0; at + arch->trap->patch_len <= code->len && at < ARCH_MAX_DISPLACED; at++) {
		uint8_t there[16] = {0};
		size_t rest = code->len - at, len;

		memcpy(there, code->there + at, rest < sizeof(there) ? rest : sizeof(there));
		len = arch_patch_len(arch->trap, there);
		if ((at & arch->state_mask) || len > rest || !memcmp(there, code->bytes + at, len) ||
		    !is_stub(process, arch->trap->patch_target(there, address + at)))
			continue;
		code->patched = at;
		code->patched_len = len;
		return;
	}
}

static void compare(struct code *code, const struct arch *arch, struct image *image,
		    uint64_t vaddr)
{
	size_t from = arch->trap->patch_offset(code->bytes, code->len);

	code->breakpoint = arch->trap->is_breakpoint && from < code->len &&
			   code->there[from] != code->bytes[from] &&
			   arch->trap->is_breakpoint(code->there + from);
	code->whole = code->len;
	for (size_t at = from + code->breakpoint; at < code->len; at++) {
		bool patched = at - code->patched < code->patched_len;

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
	patch_find(&code, process, address | thumb);
	compare(&code, tracee->arch, module->image, vaddr);
	*ret = code;
	return 0;
}
