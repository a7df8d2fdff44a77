/* What is known of one module: which files describe it, and what they say. */
#ifndef MEMTRACE_DEBUGINFO_H
#define MEMTRACE_DEBUGINFO_H

#include "serve/download.h"
#include "serve/search.h"
#include "symbols/wire.h"
#include "unwind/cfi.h"

struct debuginfo;

struct debuginfo_options {
	struct search_dirs dirs;
	struct download *download; /* NULL: debuginfod is not asked */
	download_progress_fn *progress; /* while something takes long; may be NULL */
	void *progress_arg;
};

/*
 * Finds and opens a module's files.  A module without any is one too: it says why in its
 * remark.  -ENOMEM.
 */
int debuginfo_open(const struct search_for *who, const struct debuginfo_options *options,
		   struct debuginfo **ret, struct err *err) MUST_CHECK;
void debuginfo_close(struct debuginfo *info); /* NULL is allowed */

/* Whether it was opened for the same file. */
bool debuginfo_is_for(const struct debuginfo *info, const struct search_for *who);
/* Whether the same files were found for both, and some were. */
bool debuginfo_is_same(const struct debuginfo *one, const struct debuginfo *other);
/* How many files it holds open: at most DEBUGINFO_FILES. */
unsigned debuginfo_files(const struct debuginfo *info);
enum { DEBUGINFO_FILES = 4 };

enum wire_names debuginfo_names(const struct debuginfo *info);
const char *debuginfo_source(const struct debuginfo *info); /* NULL: nothing was found */
const char *debuginfo_remark(const struct debuginfo *info); /* NULL: nothing to say */

/* The frames at a virtual address of the file, innermost first, at most max (>= 1).  0:
 * nothing is known.  Texts live until debuginfo_close(). */
size_t debuginfo_frames(struct debuginfo *info, uint64_t vaddr, struct wire_frame *ret,
			size_t max);

/* All unwind rows of [begin, end): as cfi_rows(). */
void debuginfo_unwind(struct debuginfo *info, uint64_t begin, uint64_t end,
		      bool (*visit)(void *arg, uint64_t vaddr, const struct row *row),
		      void *arg);

/* What rows can't hold of it: appended to *ret, as cfi_copy(). */
void debuginfo_rules(struct debuginfo *info, uint64_t begin, uint64_t end, size_t max,
		     struct cfi_bytes *ret);

/* A function by its symbol name: the symbol's value, bit 0 set for T32 code; false: there is
 * none. */
bool debuginfo_symbol(struct debuginfo *info, const char *name, uint64_t *value,
		      uint64_t *size);

#endif
