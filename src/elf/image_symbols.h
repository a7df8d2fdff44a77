/*
 * Symbol tables as image_symbols.c reads them, for image_lookup.c.  For elf/ alone.
 */
#ifndef MEMTRACE_IMAGE_SYMBOLS_H
#define MEMTRACE_IMAGE_SYMBOLS_H

#include "elf/image_parts.h"

/* The tables, read on first use; empty (count 0) where there is none. */
const struct image_table *image_dynamic_table(struct image *image);
const struct image_table *image_static_table(struct image *image);

/* Symbol `index` of a table.  False: not one that has a name and an address here. */
bool image_table_symbol(const struct image *image, const struct image_table *t, size_t index,
			struct image_symbol *ret);

/* Whether symbol `index` has this name: the quick question before the above. */
bool image_table_is_named(const struct image *image, const struct image_table *t, size_t index,
			  const char *name);

/* Its name, whether it is defined here or not; NULL: it has none. */
const char *image_table_name(const struct image *image, const struct image_table *t,
			     size_t index);

/* Whether it names code: a function, or an untyped label in an executable segment. */
bool image_symbol_is_function(const struct image *image, const struct image_symbol *symbol);

#endif
