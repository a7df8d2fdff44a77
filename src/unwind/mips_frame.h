/* MIPS code (o32) as it is read for frames; unwind/code_frame.h has what follows. */
#ifndef MEMTRACE_MIPS_FRAME_H
#define MEMTRACE_MIPS_FRAME_H

#include "unwind/code_frame.h"

enum { MIPS_S1 = 17, MIPS_SP = 29, MIPS_S8 = 30, MIPS_RA = 31, MIPS_PC = 32 };

/*
 * By the code of a function from its first instruction, len bytes of which lie in front of the
 * place.  -ENOENT: sp depends on a value.
 */
int mips_scan(const struct arch *arch, const uint8_t *code, size_t len, struct code_frame *ret);

/* Where the code, of which the last instruction is in front of the place, may begin a function
 * that has a frame there: the nearest one that lowers sp, behind which ra is saved.  Its offset,
 * or -ENOENT. */
int64_t mips_scan_begin(const struct arch *arch, const uint8_t *code, size_t len);

/* Do the last two instructions of these 8 bytes call, in front of a return address? */
bool mips_is_behind_call(const struct arch *arch, const uint8_t *code);

/* Do the last instructions of these 8 bytes, of MIPS16? */
bool mips16_is_behind_call(const struct arch *arch, const uint8_t *code);

#endif
