/*
 * What a module's own file does not say any more and somebody else (memtrace-fs) knows:
 * how it is unwound, and where its functions are.  Handed to the capture before it begins,
 * or while it runs; the tracer thread never asks for it and never waits for it.
 */
#ifndef MEMTRACE_EXTERNAL_H
#define MEMTRACE_EXTERNAL_H

#include "elf/module.h"
#include "unwind/cfi.h"
#include "unwind/row_table.h"

struct external_symbol {
	const char *name;     /* one of capture_functions() */
	uint64_t value, size; /* virtual address; size 0: unknown */
	bool thumb;
};

struct external {
	struct module_id id; /* whose; its path is ours */
	struct row_table rows;
	struct cfi_bytes rules; /* for the rows that are ROW_CFA_FULL, and what they hang on */
	struct cfi *cfi;	/* of the rules, once used */
	VEC(struct external_symbol) symbols;
};

VEC_TYPE(externals, struct external *);

void external_destroy(struct external *external); /* NULL is allowed */
void externals_deinit(struct externals *externals);

/* NULL: nothing is known of the module.  externals may be NULL: there are none. */
const struct external *externals_find(const struct externals *externals,
				      const struct module *module);

/* The row for a virtual address of the module, or NULL. */
const struct row *externals_row(const struct externals *externals, const struct module *module,
				uint64_t vaddr);

/* Steps all registers over the frame at a virtual address of the module, by the rules: as
 * cfi_step(); -ENOENT: there are none for it. */
int externals_step(const struct externals *externals, const struct module *module,
		   const struct arch *arch, uint64_t vaddr, struct memory *memory,
		   struct full_regs *regs, uint64_t *cfa, uint8_t *flags);

/* A function of the module by name.  False: not known. */
bool externals_symbol(const struct externals *externals, const struct module *module,
		      const char *name, struct image_symbol *ret);

#endif
