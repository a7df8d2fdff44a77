/* Split DWARF: the units that a linked program has only the skeletons of. */
#ifndef MEMTRACE_SPLIT_H
#define MEMTRACE_SPLIT_H

#include <elfutils/libdw.h>

#include "serve/elffile.h"

struct search_dirs;
struct splits;
struct split;

/* Of the program that `file` is, whose DWARF dw is.  All must outlive it.  NULL: no memory. */
struct splits *splits_create(const struct search_dirs *dirs, struct elffile *file, Dwarf *dw);
void splits_destroy(struct splits *splits); /* NULL is allowed */

/* The unit that belongs to a skeleton.  NULL: its file is not there, or not of this build;
 * `why` says so.  In the memory of splits. */
struct split *split_open(struct splits *splits, Dwarf_Die *skeleton, uint64_t id,
			 struct err *why);

/* Whether its file is there at all; it is not read.  False: `why` says so. */
bool split_is_there(struct splits *splits, Dwarf_Die *skeleton, uint64_t id, struct err *why);

Dwarf_Die split_tree(struct split *split);

/* The addresses of one of its DIEs, as [begin, end), until visit is false. */
void split_ranges(struct split *split, Dwarf_Die *die,
		  bool (*visit)(void *arg, uint64_t begin, uint64_t end), void *arg);

#endif
