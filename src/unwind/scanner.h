/*
 * The prologue scan (scan.h) over an image: which code is the function around a place, and
 * what the scan says there, remembered.
 */
#ifndef MEMTRACE_SCANNER_H
#define MEMTRACE_SCANNER_H

#include "unwind/exidx.h"
#include "unwind/scan.h"
#include "unwind/unwinder.h"

struct scanner;

/* exidx bounds functions where no symbol does; NULL: there is none.  Both must stay.  NULL:
 * no memory. */
struct scanner *scanner_create(struct image *image, const struct exidx *exidx);
void scanner_destroy(struct scanner *scanner); /* NULL is allowed */

/* The frame at a place, until the next call; NULL: not known.  No scanner knows nothing. */
const struct scan_frame *scanner_find(struct scanner *scanner,
				      const struct unwinder_place *place);

#endif
