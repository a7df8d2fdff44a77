/* What building the stubs of an area is on every CPU: one behind the other. */
#ifndef MEMTRACE_STUBS_BUILD_H
#define MEMTRACE_STUBS_BUILD_H

#include "arch/encode.h"
#include "arch/trap.h"

/* One stub, at the encoder's place, from code, the bytes of its function; other: the one that it
 * runs (STUB_INSTEAD), or NULL.  0 or -errno, then with err. */
typedef int stub_build_fn(void *arg, struct stub *stub, const struct stub *other,
			  const uint8_t *code, size_t code_len, struct err *err);

/*
 * All of them; e: what `build` writes to.  0, or -EINVAL (one runs one that comes behind it),
 * -ENOSPC (they do not fit), or what `build` says; then *failed (may be NULL) is which.
 */
int stubs_build_each(const struct encoder *e, struct stub *stubs, size_t count,
		     const uint8_t *const *code, const size_t *code_len, stub_build_fn *build,
		     void *arg, size_t *failed, struct err *err);

#endif
