/*
 * Names without memtrace-fs: the dynamic symbols of the files themselves, opened
 * when a report first needs them.
 */
#ifndef MEMTRACE_DYNSYM_H
#define MEMTRACE_DYNSYM_H

#include "report/report.h"

struct dynsym;

/* NULL: memory is short. */
struct dynsym *dynsym_create(int pid);
void dynsym_destroy(struct dynsym *dynsym); /* NULL is allowed */

/* As report_names.symbol, with the struct dynsym as arg. */
const char *dynsym_symbol(void *arg, const struct snapshot_module *module, uint64_t offset,
			  uint64_t *base);

#endif
