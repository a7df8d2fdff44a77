/* RISC-V code as it is read for frames; unwind/code_frame.h has what follows. */
#ifndef MEMTRACE_RISCV64_FRAME_H
#define MEMTRACE_RISCV64_FRAME_H

#include "unwind/code_frame.h"

/*
 * By the code of a function from its first instruction, len bytes of which lie in front of the
 * place.  -ENOENT: sp depends on a value.
 */
int riscv64_scan(const struct arch *arch, const uint8_t *code, size_t len,
		 struct code_frame *ret);

/* By len bytes of code from a pc that a thread is at, to the end of the function; exact.  -ENOENT:
 * they do not lead there straight, or what they put back is not on the stack. */
int riscv64_scan_end(const uint8_t *code, size_t len, struct code_frame *ret);

/* Where the code, of which the last instruction is in front of the place, may begin a function
 * that has a frame there: the nearest one that lowers sp, behind which ra is saved, and from
 * which instructions lead to the place.  Its offset, or -ENOENT. */
int64_t riscv64_scan_begin(const struct arch *arch, const uint8_t *code, size_t len);

/* Does a call end these 4 bytes in front of a return address? */
bool riscv64_is_behind_call(const uint8_t *code);

/* Of code that nothing else describes, as those of the unwinder. */
void riscv64_place_row(struct image *image, const struct arch *arch,
		       const struct unwinder_place *place, struct row *ret);
int riscv64_place_step(struct image *image, const struct arch *arch,
		       const struct unwinder_place *place, struct memory *memory,
		       struct full_regs *regs, uint64_t *cfa, uint8_t *flags);

#endif
