/*
 * A stub may run another one's copy (STUB_INSTEAD), so that one has to be there before; and which
 * one could not be built is said, as the rest may do without it.
 */
#include "arch/stubs_build.h"

#include <errno.h>

int stubs_build_each(const struct encoder *e, struct stub *stubs, size_t count,
		     const uint8_t *const *code, const size_t *code_len, stub_build_fn *build,
		     void *arg, size_t *failed, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		bool instead = stubs[i].kind == STUB_INSTEAD;
		int error = 0;

		if (instead && stubs[i].instead >= i)
			error = err_set(err, -EINVAL, "a stub runs one that comes behind it");
		else if (!e->full)
			error = build(arg, &stubs[i], instead ? &stubs[stubs[i].instead] : NULL,
				      code[i], code_len[i], err);
		if (!error && e->full)
			error = err_set(err, -ENOSPC, "the stubs do not fit in %zu bytes",
					e->room);
		if (error && failed)
			*failed = i;
		if (error)
			return error;
	}
	return 0;
}
