/* What the files of this folder give to the table in arch.c; the contracts are in arch/trap.h.
 */
#ifndef MEMTRACE_ARM_H
#define MEMTRACE_ARM_H

#include "arch/trap.h"

enum { ARM_PATCH_LEN = 4 }; /* b, b.w */

/* displace.c.  Bit 0 of `from` says that the code is T32. */
uint32_t arm_patch_offset(const uint8_t *code, size_t len);
int arm_displace(const uint8_t *code, size_t len, taddr_t from, taddr_t to,
		 struct displaced *ret, struct err *err);

/* stub.c: places from sp at trap.pc, see the picture there. */
enum {
	ARM_TRAP_RESULT = 16,
	ARM_TRAP_R7 = 32,
	ARM_TRAP_ARGS = 44,
	ARM_TRAP_FRAME = 56,
	ARM_TRAP_ARG3 = 28,
	ARM_MAGIC_LEN = 8,
};
extern const uint8_t arm_magic[ARM_MAGIC_LEN];
int arm_stubs_build(struct stub_area *area, int signo, struct stub *stubs, size_t count,
		    const uint8_t *const *code, const size_t *code_len, size_t *failed,
		    struct err *err);
uint32_t arm_trap_disarm(uint8_t *ret);
void arm_trap_change_signal(struct stub_area *area, int signo);
taddr_t arm_patch_target(const uint8_t *code, taddr_t function);
int arm_stub_frame(const struct stub_area *area, const struct stub *stub, taddr_t pc,
		   bool called);

/* ways.c */
size_t arm_ways_in(const uint8_t *code, size_t len, taddr_t from, bool anywhere,
		   const struct covered *covered, size_t count, struct way *ret, size_t max);

size_t arm_callees(const uint8_t *code, size_t len, taddr_t from, struct callee *ret,
		   size_t max);
size_t arm_addresses(const uint8_t *code, size_t len, taddr_t from, taddr_t *ret,
		size_t max);

/* remote.c */
int arm_remote_build(taddr_t at, const struct remote_call *call,
		     const struct regs *regs, const int64_t *own, struct remote_code *ret);
int arm_copy_build(taddr_t at, const void *mask, const struct regs *regs, const int64_t *own,
		   struct remote_code *ret);
enum remote_at arm_remote_at(const struct regs *regs, const uint8_t *code);

#endif
