/*
 * A growable array of any type, as three fields in the owner's struct:
 *
 *     VEC(struct mapping) mappings;         // zeroed = empty
 *     if (!vec_push(&v, item)) return -ENOMEM;
 *     for (size_t i = 0; i < v.len; i++) use(v.at[i]);
 *     vec_deinit(&v);
 */
#ifndef MEMTRACE_VEC_H
#define MEMTRACE_VEC_H

#include <stdlib.h>

#include "base/types.h"

#define VEC(type)           \
	struct {            \
		type *at;   \
		size_t len; \
		size_t cap; \
	}

/* The same as a named struct, where it has to be passed around. */
#define VEC_TYPE(name, type) \
	struct name {        \
		type *at;    \
		size_t len;  \
		size_t cap;  \
	}

/* Makes room for `want` items of `size` bytes; false when memory is short, and
 * then nothing has changed. */
bool vec_reserve_(void **at, size_t *cap, size_t want, size_t size);

#define vec_reserve(v, want) \
	vec_reserve_((void **)&(v)->at, &(v)->cap, (want), sizeof(*(v)->at))
#define vec_push(v, item) \
	(vec_reserve((v), (v)->len + 1) ? ((v)->at[(v)->len++] = (item), true) : false)
#define vec_clear(v) ((void)((v)->len = 0))
#define vec_deinit(v) (free((v)->at), (v)->at = NULL, (v)->len = (v)->cap = 0)

#endif
