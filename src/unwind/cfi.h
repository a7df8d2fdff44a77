/*
 * DWARF call frame information (.eh_frame, .debug_frame) of one image, compiled
 * to rows.  DWARF 5 section 6.4; LSB 5 "Exception Frames"; x86-64 psABI 3.6/3.7.
 */
#ifndef MEMTRACE_CFI_H
#define MEMTRACE_CFI_H

#include "arch/cpu.h"
#include "base/vec.h"
#include "elf/image.h"
#include "region/row.h"

struct cfi;

/* Is the file for that CPU? */
bool cfi_is_for(const struct image *image, const struct arch *arch);

/*
 * Finds the tables; builds no rows.  Lookup is by .eh_frame_hdr's binary search
 * table, or, where that is missing or lies, by an index built on first use.
 * -ENOENT: no unwind data in this file.
 */
int cfi_open(struct image *image, const struct arch *arch, struct cfi **ret, struct err *err) MUST_CHECK;
void cfi_close(struct cfi *cfi); /* NULL is allowed */

/*
 * The row in force at vaddr (for a return address the caller passes pc - 1).
 * Always fills *ret: ROW_CFA_NONE where no FDE covers vaddr (-ENOENT) or its
 * data is broken (-EINVAL).  0 otherwise.
 */
int cfi_row(struct cfi *cfi, uint64_t vaddr, struct row *ret);

/*
 * All rows from begin on, ascending: each holds from its vaddr to the next one's; where no
 * unwind data covers what follows, a ROW_CFA_NONE says so.  The first is the one in force
 * at begin, if any.  Stops at end, or when visit returns true.
 */
void cfi_rows(struct cfi *cfi, uint64_t begin, uint64_t end,
	      bool (*visit)(void *arg, uint64_t vaddr, const struct row *row), void *arg);

VEC_TYPE(cfi_bytes, uint8_t);

/* Appends to *ret what describes [begin, end), as a .debug_frame that needs no file: at most
 * max bytes, whole entries. */
void cfi_copy(struct cfi *cfi, uint64_t begin, uint64_t end, size_t max, struct cfi_bytes *ret);
/* Opens such a copy; the bytes must stay. */
int cfi_open_copy(const uint8_t *bytes, size_t len, const struct arch *arch, struct cfi **ret,
		  struct err *err) MUST_CHECK;

/* Opens a section that was read by somebody: .eh_frame (eh), of which the pointers are relative to its
 * address, or to .text (0: not known), or .debug_frame.  The bytes must stay.  -ENOMEM. */
int cfi_open_bytes(const uint8_t *bytes, size_t len, uint64_t vaddr, uint64_t text, bool eh,
		   const struct arch *arch, struct cfi **ret, struct err *err) MUST_CHECK;

/* Where the nearest FDE at or in front of vaddr begins: an instruction does.  False: none is
 * known. */
bool cfi_begin(struct cfi *cfi, uint64_t vaddr, uint64_t *ret);

/* Does the function at vaddr catch exceptions, or clean up behind them (has it an LSDA: LSB 5,
 * "Exception Frames")? */
bool cfi_has_handlers(struct cfi *cfi, uint64_t vaddr);

/* Whether much of the file's code (more than 15 %) is covered by no unwind data: it was
 * built without, and has only what its start files brought along. */
bool cfi_is_sparse(struct cfi *cfi);

/* All registers of one frame: the input of a full unwind. */
struct full_regs {
	uint64_t value[ARCH_MAX_REGS]; /* by DWARF number */
	uint64_t known;		       /* bit n: value[n] is meaningful */
};

/*
 * Steps from one frame to its caller with every rule evaluated, expressions
 * included.  vaddr as in cfi_row().  On success regs is the caller's frame,
 * *cfa the CFA, *flags enum row_flags.  -ENOENT no FDE, -EINVAL broken or an
 * unknown register is needed, -EFAULT memory, -ENODATA: the outermost frame.
 */
int cfi_step(struct cfi *cfi, uint64_t vaddr, struct memory *memory, struct full_regs *regs,
	     uint64_t *cfa, uint8_t *flags);

#endif
