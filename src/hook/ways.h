/* Ways into the bytes that patches will cover, from anywhere in the module. */
#ifndef MEMTRACE_WAYS_H
#define MEMTRACE_WAYS_H

#include "hook/hooks.h"

/*
 * Looks through a module's code, data and symbols for what leads into the displaced bytes of
 * one of its hooks (count of them, with stubs) behind their first.  0: nothing.  -ENOTSUP:
 * into *failed, and err says from where.  -ENOMEM.  The target may run.
 */
int ways_check(struct tracee *tracee, const struct module *module, const struct hook *hooks,
	       size_t count, size_t *failed, struct err *err) MUST_CHECK;

#endif
