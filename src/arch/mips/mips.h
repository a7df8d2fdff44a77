/* What the files of this folder give to the table in arch.c; the contracts are in arch/trap.h.
 */
#ifndef MEMTRACE_MIPS_H
#define MEMTRACE_MIPS_H

#include "arch/trap.h"

enum { MIPS_PATCH_LEN = 8 }; /* j, and a nop in its delay slot */

/* displace.c.  Bit 0 of `from` says that the code is MIPS16 or microMIPS. */
uint32_t mips_patch_offset(const uint8_t *code, size_t len);
int mips_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		  struct displaced *ret, struct err *err);

/* stub.c: places from sp at trap.pc, see the picture there. */
enum {
	MIPS_TRAP_RESULT = 32,
	MIPS_TRAP_ARG3 = 52,
	MIPS_TRAP_ARGS = 128,
	MIPS_TRAP_FRAME = 140,
	MIPS_MAGIC_LEN = 8,
};
extern const uint8_t mips_magic[MIPS_MAGIC_LEN];
int mips_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		     const uint8_t *const *code, const size_t *code_len, size_t *failed,
		     struct err *err);
uint32_t mips_trap_disarm(uint8_t *ret);
void mips_trap_change_signal(struct stub_area *area, int signo);
taddr_t mips_patch_target(const uint8_t *code, taddr_t function);
int mips_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		    bool called);

/* remote.c */
int mips_remote_build(taddr_t at, const struct remote_call *call, const struct regs *regs,
		      const int64_t *own, struct remote_code *ret);
int mips_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		    struct remote_code *ret);
enum remote_at mips_remote_at(const struct regs *regs, const uint8_t *code);

/* ways.c */
size_t mips_ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		    const struct covered *covered, size_t count, struct way *ret, size_t max);

/* callees.c */
size_t mips_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		    size_t max);
size_t mips_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret, size_t max);

#endif
